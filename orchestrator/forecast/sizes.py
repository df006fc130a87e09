"""The sizes for which a run is forecast, as they are given."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.jsontools.validation_messages import describe_validation_error

DEFAULT_ITEMS = 10
DEFAULT_RESULT_BYTES = 1_000
ITEM_BYTES = 100
"""Of one item that a batch of a wide loop is given."""

MAX_COUNT = 1e9

Count = Annotated[float, Field(ge=0, le=MAX_COUNT)]


class Sizes(BaseModel):
    """What the forecast of a run is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: dict[str, Count] = Field({}, description="Number of items of loops, by node ID; a share is an average.")
    times: dict[str, Count] = Field(
        {},
        description="How many times nodes run in each pass of what they are in: several times in a cycle, 0 for nodes"
        " that a run does not reach, 0.1 for those that one item in ten reaches.",
    )
    results: dict[str, Count] = Field({}, description="Bytes of what nodes return, by node ID.")
    seconds: dict[str, Count] = Field(
        {}, description="Seconds of delays and intervals that are computed, by node ID: up to a second is not shown."
    )
    default_items: Count = Field(
        DEFAULT_ITEMS, description="Number of items of loops whose collection is not written in the definition."
    )
    default_result: Count = Field(DEFAULT_RESULT_BYTES, description="Bytes of what all other nodes return.")


def describe_mistakes(error: ValidationError) -> str:
    """Return everything that is wrong with sizes, for people."""
    messages = []
    for each in error.errors():
        *path, name = [str(part) for part in each["loc"]] or [""]
        if each["type"] == "json_invalid":
            messages.append("this is not JSON")
        elif each["type"] == "extra_forbidden":
            hint = did_you_mean(name, Sizes.model_fields)
            messages.append(f"unknown field `{name}`" + (f" ({hint})" if hint else ""))
        else:
            where = "/".join([*path, name])
            messages.append(f"{where or 'the value'} {describe_validation_error(each)}")
    return "; ".join(messages)
