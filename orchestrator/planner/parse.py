"""Read a definition as far as it can be read: what has the wrong type becomes a problem and is left out."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from orchestrator.jsontools.json_types import describe_type
from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.validation_messages import describe_validation_error
from orchestrator.model.definition import Definition
from orchestrator.planner.report import Report

EMPTY: dict[str, type] = {"string_type": str, "list_type": list}
"""What takes the position of an item that is left out."""
MAX_ROUNDS = 6
"""Leaving a value out can bring to light one more problem around it."""


def parse_definition(definition: Any, report: Report) -> Definition | None:
    """Read a definition; `None` when it is not an object at all."""
    if isinstance(definition, Definition):
        return definition
    if not isinstance(definition, Mapping):
        report.add_wrong_type("", f"a definition is an object, this is {describe_type(definition)}")
        return None
    data: Any = definition
    for _ in range(MAX_ROUNDS):
        try:
            return Definition.model_validate(data)
        except ValidationError as error:
            data = copy.deepcopy(dict(data)) if data is definition else data
            for wrong in error.errors(include_url=False):
                _leave_out(data, wrong, report)
    return None


def _leave_out(data: Any, wrong: Any, report: Report) -> None:
    """Report one wrong value and take it out of the data."""
    parts: list[Any] = []
    parent, here = None, data
    for part in wrong["loc"]:
        try:
            parent, here = here, here[part]
        except (KeyError, IndexError, TypeError):
            break
        parts.append(part)
    report.add_wrong_type(format_pointer(parts), describe_validation_error(wrong | {"input": here}))
    if isinstance(parent, dict):
        parent.pop(parts[-1], None)
    elif isinstance(parent, list):
        # The place stays, so that the pointers to those after it stay right.
        parent[parts[-1]] = EMPTY.get(wrong["type"], dict)()
