"""Find mistakes in conditions: comparisons that never hold, and what goes wrong in their expressions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.errors import TemplateSyntaxError
from orchestrator.language import compile_expression, compile_template
from orchestrator.planner.data_flow.expressions import Inference, ask_presence
from orchestrator.planner.data_flow.narrowing import narrow
from orchestrator.planner.data_flow.types import Type
from orchestrator.planner.data_flow.values import infer_json

PRESENCE = ("exists", "not_exists", "is_empty", "is_not_empty")
"""Operators that ask whether there is anything."""


def check_condition(source: Any, pointer: str, inference: Inference) -> None:
    """Report comparisons that can never hold, and what goes wrong in the expressions of a condition.

    `and` and `or` are read from left to right: what the conditions before have decided is known.
    """
    if not isinstance(source, Mapping):
        return
    for kind in ("and", "or"):
        if source.get("type") == kind and isinstance(source.get("conditions"), Sequence):
            for index, inner in enumerate(source["conditions"]):
                check_condition(inner, f"{pointer}/conditions/{index}", inference)
                inference = replace(inference, state=narrow(inner, inference.state, holds=kind == "and"))
    if source.get("type") == "not":
        check_condition(source.get("condition"), f"{pointer}/condition", inference)
    elif source.get("expression"):
        _infer(source["expression"], f"{pointer}/expression", inference)
    elif source.get("field"):
        _check_simple(source, pointer, inference)


def _check_simple(source: Mapping[str, Any], pointer: str, inference: Inference) -> None:
    field, operator = source["field"], source.get("operator") or "equals"
    asks_null = operator in ("equals", "not_equals") and source.get("value") is None
    reading = replace(inference, asks=True) if operator in PRESENCE or asks_null else inference
    known = _infer(field, f"{pointer}/field", reading, is_path=True)
    wanted = infer_json(source.get("value"), f"{pointer}/value", inference)
    if known is not None and isinstance(operator, str):
        inference.move(pointer).check_comparison(operator, known, wanted, 0, f"`{field}` {operator}"[:80])


def _infer(text: Any, pointer: str, inference: Inference, *, is_path: bool = False) -> Type | None:
    """Return the type of the field or expression of a condition; None if it cannot be read."""
    if not isinstance(text, str):
        return None
    try:
        template = (compile_expression if is_path and "{{" not in text else compile_template)(text)
    except TemplateSyntaxError:
        return None
    located = inference.move(pointer, text)
    types = [located.infer(node if is_path else ask_presence(node)) for node in template.expressions]
    return types[0] if template.is_expression else None
