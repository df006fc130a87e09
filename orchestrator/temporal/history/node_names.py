"""Find the nodes of a plan by their names, and in the ids of steps."""

from collections.abc import Iterator, Mapping
from typing import Any


def list_nodes(scope: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and id of every node of a plan, which another release may have written."""
    for node in scope.get("nodes") or ():
        yield str(node.get("kind")), str(node.get("name") or node.get("id")), str(node.get("id"))
        inner = [node.get("body"), *(branch.get("scope") for branch in node.get("branches") or ())]
        for each in inner:
            if isinstance(each, Mapping):
                yield from list_nodes(each)


def parse_node_id(step_id: str) -> str:
    """Return the node id in a step id such as `remind[3]/send#2`."""
    return step_id.removesuffix("/compensate").rpartition("/")[2].partition("#")[0]
