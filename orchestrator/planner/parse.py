"""Parse a definition as far as possible: a value of the wrong type is reported and left out."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from orchestrator.jsontools.json_types import describe_type
from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.validation_messages import describe_validation_error
from orchestrator.model.definition import Definition
from orchestrator.planner.report import Report

MAX_ROUNDS = 6
"""Leaving out a value can reveal one more problem around it."""
EMPTY: dict[str, type] = {"string_type": str, "list_type": list}
"""The empty value that replaces an invalid item of a list, by type of error."""


def parse_definition(definition: Any, report: Report) -> Definition | None:
    """Parse a definition; return None when it is not an object at all."""
    if isinstance(definition, Definition):
        return definition
    if not isinstance(definition, Mapping):
        report.add_wrong_type("", f"a definition must be an object, not {describe_type(definition)}")
        return None
    data: Any = definition
    for _ in range(MAX_ROUNDS):
        try:
            return Definition.model_validate(data)
        except ValidationError as error:
            data = copy.deepcopy(dict(data)) if data is definition else data
            for invalid in error.errors(include_url=False):
                _leave_out(data, invalid, report)
    return None


def _leave_out(data: Any, invalid: Any, report: Report) -> None:
    """Report one value of the wrong type and remove it from the data."""
    keys: list[Any] = []
    parent, value = None, data
    for key in invalid["loc"]:
        try:
            parent, value = value, value[key]
        except (KeyError, IndexError, TypeError):
            break
        keys.append(key)
    name = f"`{keys[-1]}`" if keys and isinstance(keys[-1], str) else "this value"
    report.add_wrong_type(format_pointer(keys), f"{name} {describe_validation_error(invalid | {'input': value})}")
    if isinstance(parent, dict):
        parent.pop(keys[-1], None)
    elif isinstance(parent, list):
        # The index stays occupied, so that pointers to later items stay right.
        parent[keys[-1]] = EMPTY.get(invalid["type"], dict)()
