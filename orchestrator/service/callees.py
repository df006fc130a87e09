"""Find the workflows that a definition calls."""

from collections.abc import Mapping
from typing import Any

from orchestrator.model.definition import WORKFLOW_NAME
from orchestrator.planner.node_checks import read_pinned_version

MAX_CALLEES = 200


def find_callees(definition: Mapping[str, Any]) -> set[tuple[str, int | None]]:
    """Name the workflows that a definition calls, each with the version it asks for."""
    found: set[tuple[str, int | None]] = set()
    nodes = definition.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        config = node.get("config") if isinstance(node, Mapping) and node.get("type") == "workflow" else None
        name = config.get("workflow_id") if isinstance(config, Mapping) else None
        if isinstance(name, str) and WORKFLOW_NAME.fullmatch(name) and isinstance(config, Mapping):
            found.add((name, read_pinned_version(config)))
    return found
