"""Find the workflows that a definition calls, without checking it."""

from collections.abc import Mapping
from typing import Any, Literal

from orchestrator.model.definition import WORKFLOW_NAME
from orchestrator.planner.node_checks import read_called_version

Call = tuple[str, int | Literal["latest"] | None]
"""The ID of a workflow and the version that is called; `None` is the newest when the caller is published."""


def find_callees(definition: Mapping[str, Any]) -> set[Call]:
    """Return the workflows that a definition calls directly."""
    callees: set[Call] = set()
    nodes = definition.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        config = node.get("config") if isinstance(node, Mapping) and node.get("type") == "workflow" else None
        name = config.get("workflow_id") if isinstance(config, Mapping) else None
        if isinstance(name, str) and WORKFLOW_NAME.fullmatch(name) and isinstance(config, Mapping):
            callees.add((name, read_called_version(config)))
    return callees
