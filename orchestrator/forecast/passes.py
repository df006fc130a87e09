"""How often each node runs: in one pass of its scope, and in all of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, floor
from typing import Any

from orchestrator.forecast.ledger import Part
from orchestrator.forecast.sizes import MAX_COUNT, Sizes
from orchestrator.model.plan import Action, AnyNode, Call, Loop, Scope
from orchestrator.model.plan_nodes import list_inner_scopes

ROUNDING = 1e-6
EXPLICIT_PASSES = (24, 6, 2)
"""Passes that are walked one by one, by depth of the loop; the rest is as the later half of these."""
MAX_DEPTH = 8
"""Of loops in loops in which more than one pass is walked."""
MAX_WALKED = 200_000
"""Nodes to walk until one pass of each loop, and one run of each called workflow, has to do: about two seconds."""
CHILD_NODES, PLAN_BYTES, MERGED_KEYS = 20, 100, 8
"""Nodes walked in the time of beginning a child workflow; bytes of a plan measured, and sums added, in that of one."""
MAX_PASSES = 10**12
"""Passes of a node in a run; what loops in loops have beyond these is not counted."""


@dataclass(slots=True)
class Spreader:
    """Turns averages into whole numbers, one pass after another: 0.5 is 0, 1, 0, 1. All flows of a run share it."""

    passed: dict[str, float] = field(default_factory=dict)
    walked: int = 0
    """Nodes that have been walked."""
    passes: int = 1
    """Of all loops around what is walked now."""
    calls: dict[str, Part] = field(default_factory=dict)
    """What a called workflow has cost last, by its key."""
    plan_bytes: dict[str, int] = field(default_factory=dict)
    """Sizes of the plans of called workflows, by their keys."""

    @property
    def is_spent(self) -> bool:
        """Whether the forecast has to come to its end: definitions may nest loops and calls without a bound."""
        return self.walked >= MAX_WALKED

    def count_explicit(self, depth: int) -> int:
        """Return how many passes to walk one by one."""
        if depth >= MAX_DEPTH or self.is_spent:
            return 1
        return EXPLICIT_PASSES[min(depth, len(EXPLICIT_PASSES) - 1)]

    def count_child(self, start: float, cost: Part) -> None:
        """Count the work for a child workflow."""
        self.walked += CHILD_NODES + int(start) // PLAN_BYTES
        self.count_sums(cost)

    def count_sums(self, cost: Part) -> None:
        """Count the work for adding up a part."""
        self.walked += len(cost.by_key) // MERGED_KEYS

    def recall(self, node: Call) -> Part | None:
        """Return what a called workflow has cost before, where there is no time to walk it again."""
        return self.calls.get(node.workflow) if self.is_spent else None

    def begin_passes(self, count: int) -> int:
        """Return how many passes of a loop to count."""
        count = min(count, max(MAX_PASSES // self.passes, 1))
        self.passes *= max(count, 1)
        return count

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
    items = min(items, MAX_COUNT)
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


def measure(value: Any) -> int:
    """Return the bytes of a value as JSON; those of a template as it is written."""
    return len(json.dumps(value, separators=(",", ":"), default=str).encode())
