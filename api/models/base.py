"""Base of the request bodies."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.fields import MAX_VERSION


def _convert_whole_number(value: Any) -> Any:
    """Return `1` for `1.0`: JSON has one number type."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Model(BaseModel):
    """A request body: unknown fields are errors, and so are `"1"` or `true` for a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


PublishedVersion = Annotated[int, Field(ge=1, le=MAX_VERSION), BeforeValidator(_convert_whole_number)]
