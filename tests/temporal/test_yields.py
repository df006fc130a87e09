"""A run that computes much, or calls many local actions, leaves the server room for signals and never hangs."""

from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from orchestrator.model.run import Run
from tests.temporal.world import World, make_plan, wait_until

pytestmark = pytest.mark.temporal

ORDERS = {"orders": [{"id": index, "total": index % 100} for index in range(2_000)]}
FILTER = '{{ input.orders | filter("total", "greater_than", 50) | count }}'
FAILED = (EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)


async def read_events(world: World, run_id: str) -> list[Any]:
    """Return the events of all executions of a run."""
    events: list[Any] = []
    execution: str | None = None
    while execution != "":
        history = await world.client.get_workflow_handle(run_id, run_id=execution).fetch_history()
        events = [*history.events, *events]
        execution = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    return events


def make_loop(times: int) -> dict[str, Any]:
    return {
        "each": {"type": "loop", "collection": times, "body": ["s"]},
        "s": {"type": "set", "config": {"n": FILTER}},
    }


@pytest.mark.slow
@pytest.mark.long
async def test_a_loop_of_costly_values_ends(world: World) -> None:
    # Only nodes were counted, so the workflow task outlasted the deadlock detector and the run hung for ever.
    customer, _ = world.script()
    times = 2_000
    run = await world.run(make_plan(make_loop(times), "trigger -> each", customer=customer), ORDERS)
    events = await read_events(world, run.id)

    assert (run.status, run.output) == ("completed", {"n": 980})
    assert [event.event_type for event in events if event.event_type in FAILED] == []
    # An iteration costs 280,000 units for the filter and 8,000 for two boundaries; yields come every 20,000,000,
    # and new executions every 150,000,000.
    timers = [event for event in events if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED]
    executions = [event for event in events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED]
    assert len(executions) == 1 + times * 288_000 // 150_000_000
    assert abs(len(timers) - times * 288_000 / 20_000_000) <= 1 + len(executions)


@pytest.mark.slow
async def test_a_loop_of_costly_values_can_be_cancelled(world: World) -> None:
    customer, _ = world.script()
    run_id = await world.start(make_plan(make_loop(1_000_000), "trigger -> each", customer=customer), ORDERS)

    async def has_iterated() -> Run | None:
        run = await world.runs.reader.read_document(run_id)
        return run if run.steps_completed > 10 else None

    await wait_until(has_iterated)
    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert run.status == "cancelled"


async def test_a_value_that_costs_too_much_fails_its_step(world: World) -> None:
    customer, _ = world.script()
    nodes = {"s": {"type": "set", "config": {"n": [FILTER] * 200}}}
    run = await world.run(make_plan(nodes, "trigger -> s", customer=customer), ORDERS)

    assert run.failure is not None
    assert (run.status, run.failure["error_type"], run.failure["node_id"]) == ("failed", "execution_error", "s")
    assert "too much work" in run.failure["message"]


@pytest.mark.slow
async def test_local_actions_end_their_workflow_task_after_a_second(world: World) -> None:
    # They held it until the loop ended: a pause took 7 s to arrive.
    customer, script = world.script({"work": {"output": {}}})
    script.seconds = 0.15
    nodes = {
        "each": {"type": "loop", "collection": 30, "body": ["a"]},
        "a": {"type": "action", "action": "work", "execution": "local"},
    }
    run = await world.run(make_plan(nodes, "trigger -> each", customer=customer))
    events = await read_events(world, run.id)

    assert run.status == "completed"
    # 30 calls of 0.15 s last 4.5 s at least: without a bound, one task for all of them.
    completed = [event for event in events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
    assert len(completed) >= 4
