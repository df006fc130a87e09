"""`data.transform`: reshape data with a JMESPath expression."""

from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BaseModel, ConfigDict, Field

from activities.registry import ActionFailed, action

MAX_EXPRESSION = 10_000


class Transform(BaseModel):
    """Parameters of `data.transform`."""

    model_config = ConfigDict(extra="forbid")

    expression: str = Field(
        description="JMESPath expression, applied to `data`.", min_length=1, max_length=MAX_EXPRESSION
    )
    data: Any = Field(None, description="Data that the expression reads.")


class Transformed(BaseModel):
    """Result of `data.transform`."""

    result: Any = Field(None, description="Value of the expression; null if nothing matches.")


@action("data.transform", timeout_seconds=5, execution="local")
async def transform(parameters: Transform) -> Transformed:
    """Reshape data with a JMESPath expression."""
    try:
        return Transformed(result=jmespath.search(parameters.expression, parameters.data))
    except (JMESPathError, RecursionError, TypeError, ValueError) as error:
        message = f"cannot evaluate the JMESPath expression: {error}"
        raise ActionFailed(message, error_type="execution_error", recoverable=False) from error
