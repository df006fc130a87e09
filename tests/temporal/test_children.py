"""Signals to a child workflow."""

import asyncio
from typing import Any, cast

import pytest
from temporalio.client import WorkflowHandle

from orchestrator.temporal.workflow.children import Child
from tests.temporal.world import World, make_plan, run_scripted_worker


class SlowHandle:
    """A child that takes a turn of the event loop to accept a signal."""

    def __init__(self) -> None:
        self.accepted: list[Any] = []
        self.under_way = 0
        self.most = 0

    async def signal(self, _: str, value: Any) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        self.accepted.append(value)


async def test_signals_to_a_child_are_sent_one_at_a_time() -> None:
    """The server delivers those of one workflow task in any order: a resume overtook its pause."""
    child, handle = Child("run/fork[0]", "Fork", "fork[0]", ("go",)), SlowHandle()
    await child.send_signal("event", 1)  # the child has not started
    await child.send_signal("event", 2)

    await asyncio.gather(
        child.catch_up(cast("Any", handle)), *(child.send_signal("event", number) for number in (3, 4, 5))
    )

    assert (handle.accepted, handle.most) == ([1, 2, 3, 4, 5], 1)


@pytest.mark.temporal
async def test_no_workflow_task_sends_two_signals_to_a_child(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["each"]]},
        "each": {"type": "loop", "collection": 5, "body": ["ask"]},
        "ask": {"type": "wait", "config": {"event": "go"}},
    }
    queue = f"signals-{next(world.numbers)}"
    apart = World(world.client, type(world.runs)(world.client, world.runs.settings), world.scripts, queue=queue)
    apart.runs.settings = world.runs.settings.model_copy(update={"task_queue": queue})
    run_id = await apart.start(make_plan(nodes, "trigger -> fork", customer=customer))
    async with run_scripted_worker(apart):
        await apart.wait_for_waiting(run_id, "event")
    for number in range(5):
        await apart.runs.send_event(run_id, "go", number)
    async with run_scripted_worker(apart):
        run = await apart.wait_for_end(run_id)
    handle: WorkflowHandle[Any, Any] = world.client.get_workflow_handle(run_id)
    tasks = [
        event.signal_external_workflow_execution_initiated_event_attributes.workflow_task_completed_event_id
        async for event in handle.fetch_history_events()
        if event.HasField("signal_external_workflow_execution_initiated_event_attributes")
    ]

    assert run.status == "completed"
    assert len(set(tasks)) == len(tasks) == 5
