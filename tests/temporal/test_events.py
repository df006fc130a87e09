"""Events for waiting runs: buffered when early, in order, each received once, a copy for each branch."""

from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from tests.temporal.world import World, make_plan, run_scripted_worker

pytestmark = pytest.mark.temporal


def wait(event: str = "part", **config: Any) -> dict[str, Any]:
    return {"type": "wait", "config": {"event": event, **config}}


async def test_events_before_the_first_workflow_task_are_buffered(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "each": {
            "type": "loop",
            "collection": 5,
            "body": ["part"],
            "config": {"collect": "{{ steps.part.output.payload }}"},
        },
        "part": wait(),
    }
    plan = make_plan(nodes, "trigger -> each", customer=customer)
    queue, world.runs.settings = world.runs.settings, world.runs.settings.model_copy(update={"task_queue": "later"})
    run_id = await world.start(plan)
    world.runs.settings = queue
    for number in range(5):
        await world.runs.send_event(run_id, "part", {"n": number})

    later = World(world.client, world.runs, world.scripts, queue="later")
    async with run_scripted_worker(later):
        run = await world.wait_for_end(run_id)

    assert run.steps[0].output_data["items"] == [{"n": number} for number in range(5)]


async def test_an_invalid_payload_is_rejected_and_the_wait_continues(world: World) -> None:
    customer, _ = world.script()
    plan = make_plan({"ask": wait(schema={"type": "integer"})}, "trigger -> ask", customer=customer)
    run_id = await world.start(plan)
    await world.wait_for_waiting(run_id, "event")
    await world.runs.send_event(run_id, "part", "seven")
    await world.runs.send_event(run_id, "part", 7)
    run = await world.wait_for_end(run_id)

    assert run.steps[0].output_data == {"event": "part", "payload": 7}
    assert [warning[:30] for warning in run.steps[0].warnings] == ["an event 'part' was refused: /"]


async def test_an_event_that_a_branch_received_is_not_received_again(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["a"], ["b"]]},
        "a": wait(),
        "b": wait(),
        "after": wait(),
        "seen": {
            "type": "set",
            "config": {"seen": ["{{ steps.a.output.payload }}", "{{ steps.after.output.payload }}"]},
        },
    }
    plan = make_plan(nodes, "trigger -> fork", "fork -> after", "after -> seen", customer=customer)
    run_id = await world.start(plan)
    await world.runs.send_event(run_id, "part", 1)
    await world.runs.send_event(run_id, "part", 2)
    run = await world.wait_for_end(run_id)

    assert run.output == {"seen": [1, 2]}


async def test_an_event_for_a_branch_of_a_branch_reaches_it(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["inner"]]},
        "inner": {"type": "parallel", "branches": [["ask"]]},
        "ask": wait("{{ input.name }}"),
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer), {"name": "computed"})
    await world.wait_for_waiting(run_id, "event")
    await world.runs.send_event(run_id, "other", 1)
    await world.runs.send_event(run_id, "computed", 2)
    run = await world.wait_for_end(run_id)

    assert run.steps[-1].output_data == {"event": "computed", "payload": 2}


@pytest.mark.parametrize("sent", [None, [], "part", {}, {"name": 7}])
async def test_a_signal_without_a_name_is_ignored(world: World, sent: Any) -> None:
    customer, _ = world.script()
    run_id = await world.start(make_plan({"ask": wait()}, "trigger -> ask", customer=customer))
    handle: WorkflowHandle[Any, Any] = world.client.get_workflow_handle(run_id)
    await handle.signal("event", sent)
    await handle.signal("event")
    await world.runs.send_event(run_id, "part", 1)
    run = await world.wait_for_end(run_id)

    assert run.status == "completed"


async def test_many_events_at_once_keep_their_order(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["each"]]},
        "each": {
            "type": "loop",
            "collection": 30,
            "body": ["part"],
            "config": {"collect": "{{ steps.part.output.payload }}"},
        },
        "part": wait(),
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))
    for number in range(30):
        await world.runs.send_event(run_id, "part", number)
    run = await world.wait_for_end(run_id)
    loop = next(step for step in run.steps if step.node_id == "each")

    assert loop.output_data["items"] == list(range(30))
