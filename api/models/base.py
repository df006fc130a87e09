"""Base of the request bodies."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.fields import MAX_VERSION

MAX_FIELDS = 100


def _convert_whole_number(value: Any) -> Any:
    """Return `1` for `1.0`: JSON has one number type."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Model(BaseModel):
    """A request body: unknown fields are errors, and so are `"1"` or `true` for a number."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_too_many_fields(cls, value: Any) -> Any:
        """Refuse a body with very many fields by one error: 55,000 take the event loop a second."""
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            raise PydanticCustomError("too_many_fields", "has too many fields")
        return value


WholeNumber = Annotated[int, BeforeValidator(_convert_whole_number)]
PublishedVersion = Annotated[int, Field(ge=1, le=MAX_VERSION), BeforeValidator(_convert_whole_number)]
