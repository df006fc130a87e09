"""Steps that wait for an operator, with their time limits."""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import EPOCH, Simulation, simulate, trace_simulation


def define(*nodes: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    edges = [{"source": "trigger", "target": nodes[0]["id"]}]
    return {"name": "Operator", "trigger": {"type": "manual"}, "nodes": list(nodes), "edges": edges, **more}


def test_a_retry_has_the_whole_time_again() -> None:
    """The limit counted from the first start, so a retry after it had passed failed at once."""
    durations = iter((20.0, 8.0))

    async def work(_: Any) -> Any:
        await asyncio.sleep(next(durations))

    loop = {"id": "each", "type": "loop", "collection": 1, "body": ["a"], "timeout_seconds": 10, "on_error": "pause"}
    definition = define(loop, {"id": "a", "type": "action", "action": "work"})
    run = simulate(definition, actions={"work": work}, resolutions=[{"node_id": "each", "action": "retry"}])

    assert run.status == "completed"
    assert (run.completed_at - run.started_at).total_seconds() == 18


def test_a_cancellation_that_arrives_with_the_notification_ends_the_step() -> None:
    """An operation that has a result absorbs the cancellation, and the run waited for an operator for ever."""

    async def page(_: Any) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return {}

    broken = {"id": "a", "type": "action", "action": "broken", "on_error": "pause"}
    settings = {"timeout_seconds": 10, "notify": {"action": "page", "config": {}}}
    actions = {"broken": {"error": {"message": "locked", "recoverable": False}}, "page": page}
    run = simulate(define(broken, settings=settings), actions=actions)

    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure["error_type"] == "timeout_error"


class FreshAnswers(list[Mapping[str, Any]]):
    """Answers of an operator, each made as it is asked for, as a worker decodes updates: nothing else holds them."""

    def __init__(self) -> None:
        self.numbers = count()

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        yield {"node_id": "a", "action": "fallback", "value": {"n": next(self.numbers)}}

    def remove(self, answer: Mapping[str, Any]) -> None:
        """Keep nothing."""


def test_each_step_has_the_fallback_that_it_was_given() -> None:
    """Fallbacks of operators were compiled once by their address, which another object has when they are gone."""
    loop = {"id": "each", "type": "loop", "collection": 50, "body": ["a"]}
    broken = {"id": "a", "type": "action", "action": "broken", "on_error": "pause"}
    actions = {"broken": {"error": {"message": "locked", "recoverable": False}}}
    run = trace_simulation(check(define(loop, broken)).require(), Simulation(EPOCH, actions, FreshAnswers())).run

    assert run.status == "completed"
    assert [step.output_data["value"]["n"] for step in run.steps if step.node_id == "a"] == list(range(50))
