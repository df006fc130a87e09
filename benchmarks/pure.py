"""Planning and interpretation without Temporal."""

import time
from typing import Any

from benchmarks.cases import EXAMPLE, build_workflow
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import simulate


def build_chain(count: int) -> dict[str, Any]:
    """Build a definition of `count` nodes of several types."""
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
    return build_workflow(nodes, edges)


def measure_planning(count: int) -> float:
    """Return the seconds it takes to plan `count` nodes; best of three."""
    return min(measure_time(lambda: check(build_chain(count)).require()) for _ in range(3))


def measure_time(work: Any) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure_conditions(count: int) -> float:
    """Return condition nodes per second in a loop, planning included."""
    test = {"field": "item_index", "operator": "greater_than_or_equals", "value": 0}
    definition = build_workflow(
        [
            {"id": "each", "type": "loop", "collection": count, "body": ["c"]},
            {"id": "c", "type": "condition", "condition": test},
        ],
        [{"source": "trigger", "target": "each"}],
    )
    return count / min(measure_time(lambda: simulate(definition)) for _ in range(3))


def measure_actions(count: int) -> float:
    """Return action nodes per second in a loop, planning included."""
    definition = build_workflow(
        [
            {"id": "each", "type": "loop", "collection": count, "body": ["a"]},
            {"id": "a", "type": "action", "action": "bench.echo", "config": {**EXAMPLE, "order": "{{ item_index }}"}},
        ],
        [{"source": "trigger", "target": "each"}],
    )
    answer = {"bench.echo": {"output": {"done": True}}}
    return count / min(measure_time(lambda: simulate(definition, actions=answer)) for _ in range(3))
