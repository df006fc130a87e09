"""`data.transform`: reshape data with a JMESPath expression."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jmespath.exceptions import JMESPathError
from pydantic import BaseModel, ConfigDict, Field

from activities.jmespath_budget import BudgetExceeded, search, search_quickly
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
        return Transformed(result=await _evaluate(parameters.expression, parameters.data))
    except BudgetExceeded:
        raise _make_failure("the JMESPath expression is too expensive for this data") from None
    except (JMESPathError, RecursionError, TypeError, ValueError, ArithmeticError) as error:
        raise _make_failure(f"cannot evaluate the JMESPath expression: {error}") from error


async def _evaluate(expression: str, data: Any) -> Any:
    """Return the value of an expression, in a thread unless that would cost more than the work."""
    try:
        return _require_json(search_quickly(expression, data))
    except BudgetExceeded:
        return await asyncio.get_running_loop().run_in_executor(THREADS, _evaluate_in_thread, expression, data)


def _evaluate_in_thread(expression: str, data: Any) -> Any:
    return _require_json(search(expression, data, MAX_SECONDS))


def _require_json(value: Any) -> Any:
    """Return a value; raises where it is not JSON."""
    json.dumps(value)
    return value


def _make_failure(message: str) -> ActionFailed:
    return ActionFailed(message, error_type="execution_error", recoverable=False)
