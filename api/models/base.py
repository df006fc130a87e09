"""What every body of the API shares."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.fields import MAX_VERSION


def _convert_whole_number(value: Any) -> Any:
    """JSON knows one kind of number: `1.0` is `1`."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Model(BaseModel):
    """What is sent to us: an unknown key is a mistake, and so is `"1"` or `true` where a number is meant."""

    model_config = ConfigDict(extra="forbid", strict=True)


PublishedVersion = Annotated[int, Field(ge=1, le=MAX_VERSION), BeforeValidator(_convert_whole_number)]
