"""What a run carries along of its events, where it continues as new in the middle of inline branches."""

from typing import Any

import pytest

from orchestrator.planner.planner import check
from orchestrator.simulator import testing
from orchestrator.simulator.testing import simulate_interrupted
from tests.golden import read_definition

PARTS = [{"name": "part", "payload": number, "at": number} for number in range(1, 5)]
NODES = {
    "each": {"type": "loop", "collection": 4, "body": ["read"]},
    "read": {"type": "wait", "config": {"event": "part"}},
    "then": {"type": "loop", "collection": 4, "body": ["nod"]},
    "nod": {"type": "delay", "delay_seconds": 10},
}
EDGES = ("trigger -> fork", "each -> then")


def collect_carried(nodes: dict[str, Any], *edges: str, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Run a graph, interrupted at each boundary; return the numbers of the events that are carried along each time."""
    carried: list[list[int]] = []
    list_readable = testing._InterruptingEffects._list_readable

    def list_and_note(effects: Any) -> list[Any]:
        carried.append([event.number for event in list_readable(effects)])
        return list_readable(effects)

    monkeypatch.setattr(testing._InterruptingEffects, "_list_readable", list_and_note)
    definition = read_definition({"nodes": {**NODES, **nodes}, "edges": (*EDGES, *edges)}, "events", "events")
    run, _ = simulate_interrupted(check(definition).require(), events=PARTS)

    assert run.status == "completed"
    return carried


def test_an_event_that_no_other_branch_waits_for_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """All events that a branch had read were carried along as long as its parallel was open."""
    nodes = {
        "fork": {"type": "parallel", "branches": [["each"], ["other"]], "config": {"mode": "inline"}},
        "other": {"type": "wait", "config": {"event": "another", "timeout_seconds": 60}},
    }

    carried = collect_carried(nodes, monkeypatch=monkeypatch)

    assert len(carried) >= 4
    assert carried == [[]] * len(carried)


def test_an_event_is_kept_as_long_as_a_sibling_can_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = {
        "fork": {"type": "parallel", "branches": [["each"], ["nap"], ["inner"]], "config": {"mode": "inline"}},
        "nap": {"type": "delay", "delay_seconds": 25},
        "late": {"type": "wait", "config": {"event": "part"}},
        "inner": {"type": "parallel", "branches": [["ask"], ["rest"]], "config": {"mode": "inline"}},
        "ask": {"type": "wait", "config": {"event": "{{ 'part' }}"}},
        "rest": {"type": "delay", "delay_seconds": 10},
    }

    carried = collect_carried(nodes, "nap -> late", monkeypatch=monkeypatch)

    # At 25 s the second branch reads event 1 and ends; from then on nobody can read any.
    assert [1, 2, 3, 4] in carried
    assert carried[-1] == []
