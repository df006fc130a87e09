"""What is known about the data where a condition or an expression holds, or where it does not hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from orchestrator.errors import TemplateSyntaxError
from orchestrator.language import compile_expression, compile_template
from orchestrator.language.arithmetic import INFIX
from orchestrator.language.nodes import Binary, Literal, Node, Path, Unary
from orchestrator.language.presets import PRESETS
from orchestrator.planner.data_flow.types import (
    MISSING,
    State,
    Type,
    drop_kinds,
    get_child,
    join,
    keep_kinds,
    replace_fields,
    type_of,
)

PRESENT = frozenset(
    (
        *("exists", "is_not_empty", "contains", "starts_with", "ends_with", "matches", "before", "after", "between"),
        *("greater_than", "greater_than_or_equals", "less_than", "less_than_or_equals"),
        *("length_equals", "length_greater_than", "length_less_than"),
    )
)
"""Operators that hold only for a field that is there and not null; `exists` for one that is there."""
ABSENT = {"not_exists": "exists", "is_empty": "is_not_empty"}
"""Operators that hold wherever the other does not."""


def narrow(source: Any, state: State, *, holds: bool) -> State:
    """Return what is known where a condition holds, or where it does not."""
    if not isinstance(source, Mapping):
        return state
    conditions = source.get("conditions")
    match source.get("type"):
        case "and" | "or" as kind if isinstance(conditions, Sequence) and conditions:
            # All of `and` hold, none of `or` does; else only what is known in each case.
            if (kind == "and") == holds:
                return reduce(lambda known, inner: narrow(inner, known, holds=holds), conditions, state)
            return join_states([narrow(inner, state, holds=holds) for inner in conditions])
        case "not":
            return narrow(source.get("condition"), state, holds=not holds)
    if isinstance(source.get("preset"), str) and source["preset"] in PRESETS:
        return narrow(PRESETS[source["preset"]].condition, state, holds=holds)
    if isinstance(source.get("expression"), str):
        return _narrow_text(source["expression"], state, holds=holds)
    return _narrow_simple(source, state, holds=holds)


def _narrow_simple(source: Mapping[str, Any], state: State, *, holds: bool) -> State:
    field, operator, value = source.get("field"), source.get("operator") or "equals", source.get("value")
    if not isinstance(field, str) or not isinstance(operator, str):
        return state
    try:
        template = (compile_template if "{{" in field else compile_expression)(field)
    except TemplateSyntaxError:
        return state
    path = template.expressions[0] if template.is_expression else None
    if not isinstance(path, Path):
        return _narrow_text(field, state, holds=holds == bool(value)) if isinstance(value, bool) else state
    operator, holds = (ABSENT[operator], not holds) if operator in ABSENT else (operator, holds)
    if operator == "not_equals":
        operator, holds = "equals", not holds
    if operator in ("equals", "in"):
        return _narrow_equal(path, value, state, holds=holds, listed=operator == "in")
    return _mark_present(path, state) if holds and operator in PRESENT else state


def _narrow_equal(path: Path, value: Any, state: State, *, holds: bool, listed: bool) -> State:
    constants = value if listed and isinstance(value, list) else [value]
    if any(isinstance(each, str) and "{{" in each for each in constants) or not constants:
        return state
    if not holds:
        return _mark_present(path, state) if constants == [None] and not listed else state
    if None in constants or any(isinstance(each, list | dict) for each in constants):
        return state
    wanted = reduce(join, map(type_of, constants))
    return narrow_path(path, state, lambda known: _intersect(known, wanted))


def _intersect(known: Type, wanted: Type) -> Type:
    kept = keep_kinds(known, wanted.kinds)
    if not kept.kinds:
        return known
    texts = wanted.texts if known.texts is None or wanted.texts is None else known.texts & wanted.texts
    # One of a few texts, no matter who chose it.
    return replace(kept, texts=texts, outside=False) if "text" in kept.kinds else kept


def _narrow_text(text: str, state: State, *, holds: bool) -> State:
    try:
        template = compile_template(text)
    except TemplateSyntaxError:
        return state
    return narrow_expression(template.expressions[0], state, holds=holds) if template.is_expression else state


def narrow_expression(node: Node, state: State, *, holds: bool) -> State:
    """Return what is known where an expression is true, or where it is false, null, 0 or empty."""
    match node:
        case Path():
            return _mark_present(node, state) if holds else state
        case Unary(operator="not", operand=operand):
            return narrow_expression(operand, state, holds=not holds)
        case Binary(operator="and" | "or" as operator, left=left, right=right):
            first = narrow_expression(left, state, holds=holds)
            if (operator == "and") == holds:
                return narrow_expression(right, first, holds=holds)
            return join_states([first, narrow_expression(right, state, holds=holds)])
        case Binary(operator=operator, left=Path() as path, right=right) if INFIX[operator].condition:
            name = INFIX[operator].condition
            if isinstance(right, Literal):
                value = {"field": _write_path(path), "operator": name, "value": right.value}
                return _narrow_simple(value, state, holds=holds)
            return _mark_present(path, state) if holds and name in PRESENT else state
        case _:
            return state


def _write_path(path: Path) -> str:
    return path.root + "".join(f"[{part!r}]" if isinstance(part, int) else f'["{part}"]' for part in path.parts)


def _mark_present(path: Path, state: State) -> State:
    return narrow_path(path, state, lambda known: known if known.is_absent else drop_kinds(known, "missing", "null"))


def narrow_path(path: Path, state: State, change: Callable[[Type], Type]) -> State:
    """Return the state with another type at the end of a path; what leads there is then there, too."""
    if path.root == "steps":
        if not path.parts:
            return state
        key, parts = f"steps.{path.parts[0]}", path.parts[1:]
    else:
        key, parts = path.root, path.parts
    known = state.get(key)
    if known is None:  # not set yet, or set by the run itself
        return state
    return {**state, key: _change_at(known, parts, change)}


def _change_at(known: Type, parts: Sequence[str | int], change: Callable[[Type], Type]) -> Type:
    if not parts:
        return change(known)
    child = get_child(known, parts[0])
    if child == MISSING:
        return known
    changed = _change_at(child, parts[1:], change)
    if changed.may_be_absent:
        return known
    present = keep_kinds(known, ("object", "list"))
    if "object" not in present.kinds:
        return present
    return replace_fields(present, {**known.fields, str(parts[0]): changed})


def join_states(states: Sequence[State]) -> State:
    """Return what is known where any of several states is the case."""
    first, *others = states
    joined = dict(first)
    for other in others:
        if other is first:
            continue
        for name in [*joined, *(name for name in other if name not in joined)]:
            joined[name] = join(joined.get(name, MISSING), other.get(name, MISSING))
    return joined
