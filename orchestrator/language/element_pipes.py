"""The pipes that look into the elements of lists and objects. Replay-sensitive."""

from typing import Any

from orchestrator.errors import ConditionError, EvaluationError
from orchestrator.jsontools.json_types import describe_type, describe_value
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language.costs import FILTERED_ITEM, PATH
from orchestrator.language.env import Env
from orchestrator.language.nodes import List, Literal, Node
from orchestrator.language.operators import (
    HINTS,
    OPERATORS,
    TAKES,
    Operator,
    accepts_value,
    compare,
    compile_pattern,
    spend_on_pattern,
)
from orchestrator.language.pipe_values import check_constant, require_list, require_object, require_text
from orchestrator.language.values import MISSING, get_child, is_number

FILTER_EXAMPLE = 'filter("total", "greater_than", 10)'


def map_elements(env: Env, value: Any, path: Any) -> list[Any]:
    """Return the value at a path of each element."""
    keys = require_text(path).split(".")
    items = require_list(value)
    env.spend(PATH * len(keys) * len(items))
    found = (_get_value(item, keys) for item in items)
    return [None if item is MISSING else item for item in found]


def _get_value(value: Any, keys: list[str]) -> Any:
    """Return the value at a path of an element, or `MISSING`."""
    for key in keys:
        value = get_child(value, key)
        if value is MISSING:
            break
    return value


def check_filter(subject: Node, arguments: tuple[Node, ...]) -> None:
    """Check everything about a filter that is known before the run; raises ConditionError."""
    path, name, *operand = arguments
    if not (isinstance(path, Literal) and isinstance(path.value, str)):
        raise ConditionError("the path must be text in quotes", hint=FILTER_EXAMPLE)
    if not (isinstance(name, Literal) and isinstance(name.value, str)):
        raise ConditionError("the operator must be text in quotes", hint=FILTER_EXAMPLE)
    operator = OPERATORS.get(name.value)
    if operator is None:
        hint = did_you_mean(name.value, OPERATORS) or f"known operators: {join_names(OPERATORS)}"
        raise ConditionError(f"unknown operator {describe_value(name.value)}", hint=hint)
    if operator.takes == "none" and operand:
        raise ConditionError(f"`{operator.name}` takes no value", hint=f'filter("name", "{operator.name}")')
    if operator.takes != "none" and not operand:
        raise ConditionError(f"`{operator.name}` needs a value", hint=FILTER_EXAMPLE)
    if operand:
        _check_operand(operator, operand[0])


def _check_operand(operator: Operator, operand: Node) -> None:
    match operand:
        case Literal(value):
            pass
        case List(items) if all(isinstance(item, Literal) for item in items):
            value = [item.value for item in items if isinstance(item, Literal)]
        case _:
            return
    if not accepts_value(value, operator.takes):
        message = f"`{operator.name}` takes {TAKES[operator.takes]}, not {describe_type(value)}"
        raise ConditionError(message, hint=HINTS.get(operator.takes))
    if operator.takes == "pattern":
        compile_pattern(value)


def filter_elements(env: Env, value: Any, path: str, name: str, operand: Any = None) -> list[Any]:
    """Return the elements in which the value at a path passes an operator."""
    operator, keys = OPERATORS[name], path.split(".") if path else []
    cost = FILTERED_ITEM + PATH * len(keys)
    result = []
    spend_on_pattern(operator, operand, env)
    try:
        for item in require_list(value):
            env.spend(cost)
            seen = _get_value(item, keys)
            if seen is MISSING and not operator.sees_missing:
                seen = None
            if compare(operator, path or "the element", seen, operand, env):
                result.append(item)
    except ConditionError as error:  # a bad pattern from the data
        raise EvaluationError(error.message, hint=error.hint) from None
    return result


def list_entries(env: Env, value: Any) -> list[Any]:
    """Return the keys and values of an object."""
    return [{"key": key, "value": item} for key, item in require_object(value).items()]


def chunk_elements(env: Env, value: Any, size: Any) -> list[Any]:
    """Return lists of some of the elements each."""
    items, length = require_list(value), _read_chunk_size(size)
    return [items[start : start + length] for start in range(0, len(items), length)]


def check_chunk(subject: Node, arguments: tuple[Node, ...]) -> None:
    """Check the size of chunks; raises ConditionError."""
    check_constant(arguments[0], _read_chunk_size)


def _read_chunk_size(size: Any) -> int:
    if not is_number(size) or (isinstance(size, float) and not size.is_integer()) or size < 1:
        message = f"the size of a chunk is a whole number of at least 1, not {describe_value(size)}"
        raise EvaluationError(message, hint="chunk(100)")
    return int(size)
