"""How often each node runs: in one pass of its scope, and in all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, floor

from orchestrator.forecast.sizes import Sizes
from orchestrator.model.plan import Action, AnyNode, Loop, Scope
from orchestrator.model.plan_nodes import list_inner_scopes

ROUNDING = 1e-6


@dataclass(slots=True)
class Spreader:
    """Turns averages into whole numbers, one pass after another: 0.5 is 0, 1, 0, 1."""

    passed: dict[str, float] = field(default_factory=dict)

    def take(self, name: str, average: float) -> int:
        """Return the number for the next pass."""
        before = self.passed.get(name, 0.0)
        self.passed[name] = before + average
        return floor(before + average + ROUNDING) - floor(before + ROUNDING)


def find_times(scope: Scope, sizes: Sizes) -> Mapping[str, float]:
    """Return how many times each node of a scope runs in one pass of it: once, or not where only failures lead."""
    reached = _find_reached(scope)
    return {node.id: sizes.times.get(node.id, 1.0 if rank in reached else 0.0) for rank, node in enumerate(scope.nodes)}


def _find_reached(scope: Scope) -> set[int]:
    """Return the ranks that are reached without a failure."""
    ranks = {node.id: rank for rank, node in enumerate(scope.nodes)}
    waiting = list(scope.entries)
    reached: set[int] = set()
    while waiting:
        rank = waiting.pop()
        if rank in reached:
            continue
        reached.add(rank)
        node = scope.nodes[rank]
        for port, following in node.ports.items():
            if port != "error":
                waiting += following
        waiting += [ranks[name] for inner in list_inner_scopes(node) for name in list_exits(inner) if name in ranks]
    return reached


def list_exits(scope: Scope) -> list[str]:
    """Return the ids of nodes outside of a scope to which it leads."""
    exits = list(scope.exits)
    for node in scope.nodes:
        exits += [name for port, names in node.exits.items() if port != "error" for name in names]
        for inner in list_inner_scopes(node):
            exits += list_exits(inner)
    return exits


def find_iterations(node: Loop, sizes: Sizes) -> float:
    """Return the average number of iterations of a loop."""
    items = sizes.items.get(node.id)
    if items is None:
        items = _count_literal(node.collection)
    if items is None:
        items = sizes.default_items
        if node.max_iterations is not None:
            items = min(items, node.max_iterations * (node.batch_size or 1))
    return ceil(items / node.batch_size) if node.batch_size else items


def _count_literal(collection: object) -> float | None:
    """Return the number of items of a collection that is written in the definition."""
    if isinstance(collection, list):
        return len(collection)
    return collection if isinstance(collection, int) and not isinstance(collection, bool) else None


def find_assumptions(scopes: list[Scope], sizes: Sizes) -> dict[str, float]:
    """Return the iterations of loops for which the default was taken, by node id."""
    assumed: dict[str, float] = {}
    waiting = list(scopes)
    while waiting:
        for node in waiting.pop().nodes:
            waiting += list_inner_scopes(node)
            if isinstance(node, Loop) and node.id not in sizes.items and _count_literal(node.collection) is None:
                assumed[node.id] = find_iterations(node, sizes)
    return assumed


def find_seconds(seconds: object) -> float | None:
    """Return how long a delay lasts, where the definition says so."""
    try:
        return float(seconds) if isinstance(seconds, str | int | float) else None
    except ValueError:
        return None


def is_fused(node: AnyNode) -> bool:
    """Return whether a node runs in a segment."""
    return isinstance(node, Action) and node.fused
