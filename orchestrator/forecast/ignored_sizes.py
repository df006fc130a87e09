"""Find sizes that a forecast does not use: of nodes that do not exist, or whose type has no such size."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from orchestrator.forecast.report import IgnoredSize
from orchestrator.forecast.sizes import Sizes
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.model.plan import AnyNode, Plan
from orchestrator.model.plan_nodes import iterate_nodes

TAKEN_BY: Mapping[str, tuple[str, ...]] = {
    "items": ("loop",),
    "results": ("action", "wait", "workflow", "parallel", "loop"),
    "seconds": ("delay", "loop"),
}
"""The types of nodes that have a size; `times` is for all."""
MAX_HINTS = 20
"""A hint compares a name with all those that might be meant."""


def list_ignored(plan: Plan, sizes: Sizes) -> list[IgnoredSize]:
    """Return the sizes that the forecast of a plan does not use, and what was likely meant."""
    nodes = [node for each in (plan, *plan.workflows.values()) for node in iterate_nodes(each.scope)]
    found = list(_find_ignored(sizes, nodes))
    hinted = [_describe(field, node_id, kinds, nodes) for field, node_id, kinds in islice(found, MAX_HINTS)]
    return hinted + [_describe(field, node_id, kinds, ()) for field, node_id, kinds in found[MAX_HINTS:]]


def _find_ignored(sizes: Sizes, nodes: Sequence[AnyNode]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the field, the node and the types that nodes of this ID have."""
    kinds: dict[str, set[str]] = {}
    for node in nodes:
        kinds.setdefault(node.id, set()).add(node.kind)
    for field in ("items", "times", "results", "seconds"):
        for node_id in getattr(sizes, field):
            own = kinds.get(node_id, set())
            taken = own.intersection(TAKEN_BY[field]) if field in TAKEN_BY else own
            if not taken:
                yield field, node_id, sorted(own)


def _describe(field: str, node_id: str, kinds: Sequence[str], nodes: Sequence[AnyNode]) -> IgnoredSize:
    taken = TAKEN_BY.get(field)
    if kinds:
        message = f"`{node_id}` is of type {' and '.join(kinds)}; {field} are for nodes of type {_join(taken or ())}"
    else:
        message = f"no node has the ID `{node_id}`"
    hint = did_you_mean(node_id, dict.fromkeys(node.id for node in nodes if taken is None or node.kind in taken))
    return IgnoredSize(field=field, node_id=node_id, message=message + (f" ({hint})" if hint else ""))


def _join(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
