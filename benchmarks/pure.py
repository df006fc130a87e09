"""Planning and interpreting without Temporal."""

import time
from typing import Any

from benchmarks.cases import EXAMPLE, workflow_of
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import simulate


def chain(count: int) -> dict[str, Any]:
    """Write a definition of so many nodes of several types."""
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    before = "trigger"
    for n in range(count // 5):
        nodes += [
            {"id": f"a{n}", "type": "action", "action": "bench.echo", "config": {"order": "{{ input.id }}"}},
            {"id": f"c{n}", "type": "condition", "condition": {"field": f"steps.a{n}.output.order", "value": n}},
            {"id": f"l{n}", "type": "loop", "collection": "{{ input.items }}", "body": [f"s{n}"]},
            {"id": f"s{n}", "type": "set", "config": {f"v{n}": "{{ item.price | round(2) }}"}},
            {"id": f"d{n}", "type": "delay", "delay_seconds": 1},
        ]
        edges += [
            {"source": before, "target": f"a{n}"},
            {"source": f"a{n}", "target": f"c{n}"},
            {"source": f"c{n}", "target": f"l{n}", "condition": "true"},
            {"source": f"c{n}", "target": f"d{n}", "condition": "false"},
            {"source": f"l{n}", "target": f"d{n}"},
        ]
        before = f"d{n}"
    return workflow_of(nodes, edges)


def plan_seconds(count: int) -> float:
    """Time the check of a definition of so many nodes; the best of three."""
    return min(timed(lambda: check(chain(count)).require()) for _ in range(3))


def timed(work: Any) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def conditions_per_second(count: int) -> float:
    """Time a loop over a condition node, planning included."""
    test = {"field": "item_index", "operator": "greater_than_or_equals", "value": 0}
    definition = workflow_of(
        [
            {"id": "each", "type": "loop", "collection": count, "body": ["c"]},
            {"id": "c", "type": "condition", "condition": test},
        ],
        [{"source": "trigger", "target": "each"}],
    )
    return count / min(timed(lambda: simulate(definition)) for _ in range(3))


def actions_per_second(count: int) -> float:
    """Time a loop over an action node, planning included."""
    definition = workflow_of(
        [
            {"id": "each", "type": "loop", "collection": count, "body": ["a"]},
            {"id": "a", "type": "action", "action": "bench.echo", "config": {**EXAMPLE, "order": "{{ item_index }}"}},
        ],
        [{"source": "trigger", "target": "each"}],
    )
    answer = {"bench.echo": {"output": {"done": True}}}
    return count / min(timed(lambda: simulate(definition, actions=answer)) for _ in range(3))
