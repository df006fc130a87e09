"""`data.transform`: reshape data with a JMESPath expression."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jmespath.exceptions import JMESPathError
from pydantic import BaseModel, ConfigDict, Field

from activities.jmespath_budget import BudgetExceeded, search
from activities.registry import DISCOURAGED_TEMPLATES, ActionFailed, action

MAX_EXPRESSION = 10_000
MAX_SECONDS = 4.0
"""Less than the timeout of an attempt: a thread cannot be stopped from outside."""
THREADS = ThreadPoolExecutor(2, thread_name_prefix="jmespath")
"""Threads of their own: expensive expressions do not hold up what else needs one, such as name resolution."""


class Transform(BaseModel):
    """Parameters of `data.transform`."""

    model_config = ConfigDict(extra="forbid")

    expression: str = Field(
        description="JMESPath expression, applied to `data`.",
        min_length=1,
        max_length=MAX_EXPRESSION,
        json_schema_extra=DISCOURAGED_TEMPLATES,
    )
    data: Any = Field(None, description="Data that the expression reads.")


class Transformed(BaseModel):
    """Result of `data.transform`."""

    result: Any = Field(None, description="Value of the expression; null if nothing matches.")


@action("data.transform", timeout_seconds=5, execution="local")
async def transform(parameters: Transform) -> Transformed:
    """Reshape data with a JMESPath expression, within a budget of work."""
    try:
        loop = asyncio.get_running_loop()
        return Transformed(
            result=await loop.run_in_executor(THREADS, _evaluate, parameters.expression, parameters.data)
        )
    except BudgetExceeded:
        raise _make_failure("the JMESPath expression is too expensive for this data") from None
    except (JMESPathError, RecursionError, TypeError, ValueError, ArithmeticError) as error:
        raise _make_failure(f"cannot evaluate the JMESPath expression: {error}") from error


def _evaluate(expression: str, data: Any) -> Any:
    """Return the value of an expression; not on the event loop."""
    value = search(expression, data, MAX_SECONDS)
    json.dumps(value)  # raises where it is not JSON, before it goes back to the event loop
    return value


def _make_failure(message: str) -> ActionFailed:
    return ActionFailed(message, error_type="execution_error", recoverable=False)
