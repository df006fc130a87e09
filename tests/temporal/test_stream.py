"""The stream of a run is read from its history: in order, live, and again from any cursor."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from orchestrator.errors import BadCursor
from orchestrator.temporal.devserver import run_dev_server
from orchestrator.temporal.history.stream import Cursor
from orchestrator.temporal.history.stream_events import RunEvent, SignalEvent, StepEvent, StreamEvent
from tests.temporal.world import SECONDS, World, make_plan, open_world

pytestmark = pytest.mark.temporal

Read = tuple[str, StreamEvent]


async def read(world: World, run_id: str, after: str | None = None) -> list[Read]:
    """Follow a run to its end."""
    cursor = Cursor() if after is None else Cursor.parse(after)
    async with asyncio.timeout(SECONDS):
        return [item async for item in await world.runs.reader.follow(run_id, cursor)]


async def reset(world: World, run_id: str) -> None:
    """Reset a run, as the Web UI does: a new execution begins after the first workflow task."""
    request = ResetWorkflowExecutionRequest(
        namespace="default", workflow_task_finish_event_id=4, reason="a test", request_id=str(uuid4())
    )
    request.workflow_execution.workflow_id = run_id
    await world.client.workflow_service.reset_workflow_execution(request, retry=True)


def collect(items: list[Read]) -> list[tuple[Any, ...]]:
    """Reduce each event to what the test compares."""
    summaries: list[tuple[Any, ...]] = []
    for _, event in items:
        match event:
            case RunEvent():
                summaries.append(("run", event.status))
            case StepEvent():
                summaries.append((event.kind, event.step_id or event.node_id, event.status))
            case SignalEvent():
                summaries.append((event.signal, event.name))
    return summaries


FORK = {
    "fork": {"type": "parallel", "branches": [["a"], ["b"]]},
    "a": "work",
    "b": {"type": "parallel", "branches": [["c"], ["d"]]},
    "c": "work",
    "d": {"type": "delay", "name": "Breathe", "delay_seconds": 0.05},
}


async def test_a_stream_has_actions_timers_and_events_in_order(world: World) -> None:
    customer, _ = world.script({"flaky": [{"error": {"message": "busy"}}, {"output": {}}]})
    nodes = {
        "pure": {"type": "set", "config": {"x": 1}},
        "flaky": {"type": "action", "action": "flaky", "retry": {"initial_interval": 0.01}},
        "nap": {"type": "delay", "name": "Short nap", "delay_seconds": 0.05},
        "ask": {"type": "wait", "config": {"event": "go", "timeout_seconds": 60}},
        "done": {"type": "end", "config": {"output": {"x": "{{ x }}"}}},
    }
    chain = "trigger -> pure", "pure -> flaky", "flaky -> nap", "nap -> ask", "ask -> done"
    run_id = await world.start(make_plan(nodes, *chain, customer=customer))
    reading = asyncio.create_task(read(world, run_id))
    await world.wait_for_waiting(run_id, "event")
    await world.runs.send_event(run_id, "go", {"by": "Ada"})

    events = await reading

    assert collect(events) == [
        ("run", "running"),
        ("action", "flaky", "running"),
        ("action", "flaky", "completed"),
        ("timer", "nap", "waiting"),
        ("timer", "nap", "completed"),
        ("timer", "ask", "waiting"),
        ("event", "go"),
        ("timer", "ask", "completed"),
        ("run", "completed"),
    ]
    last = events[-1][1]
    assert isinstance(last, RunEvent)
    assert (last.id, last.output, last.error) == (run_id, {"x": 1}, None)
    attempts = [event.attempt for _, event in events if isinstance(event, StepEvent) and event.status == "completed"]
    assert attempts == [2, None, None]


async def test_a_failure_says_what_happened(world: World) -> None:
    customer, _ = world.script({"a": {"error": {"message": "no stock", "error_type": "action_error"}}})
    run_id = await world.start(
        make_plan({"a": {"type": "action", "action": "a", "retry": {"maximum_attempts": 1}}}, "trigger -> a",
                customer=customer)
    )  # fmt: skip

    events = await read(world, run_id)

    assert collect(events) == [
        ("run", "running"),
        ("action", "a", "running"),
        ("action", "a", "failed"),
        ("run", "failed"),
    ]
    step, run = events[2][1], events[3][1]
    assert isinstance(step, StepEvent)
    assert isinstance(run, RunEvent)
    assert step.error == {"message": "no stock", "error_type": "action_error"}
    assert run.failure is not None
    assert (run.error, run.failure["error_type"], run.failure["node_id"]) == ("no stock", "action_error", "a")


async def test_a_stream_has_the_events_of_branches(world: World) -> None:
    customer, _ = world.script()
    run_id = await world.start(make_plan(FORK, "trigger -> fork", customer=customer))

    events = collect(await read(world, run_id))

    assert Counter(events) == Counter(
        [
            ("run", "running"),
            *(("branch", f"fork[{at}]", status) for at in (0, 1) for status in ("running", "completed")),
            *(("branch", f"fork[1]/b[{at}]", status) for at in (0, 1) for status in ("running", "completed")),
            *(("action", step, way) for step in ("fork[0]/a", "fork[1]/b[0]/c") for way in ("running", "completed")),
            *(("timer", "d", status) for status in ("waiting", "completed")),
            ("run", "completed"),
        ]
    )  # fmt: skip
    for path, inside in (("fork[0]", ("action", "fork[0]/a")), ("fork[1]/b[1]", ("timer", "d"))):
        begun, ended = (events.index(("branch", path, status)) for status in ("running", "completed"))
        places = [at for at, each in enumerate(events) if each[:2] == inside]
        assert all(begun < at < ended for at in places)


async def test_a_stream_resumes_from_any_cursor_without_repeats(world: World) -> None:
    customer, _ = world.script()
    run_id = await world.start(make_plan(FORK, "trigger -> fork", customer=customer))
    whole = await read(world, run_id)

    for at, (place, _) in enumerate(whole):
        again = await read(world, run_id, place)

        assert Counter(collect(again)) == Counter(collect(whole[at + 1 :])), place
        assert {str(event) for _, event in again} == {str(event) for _, event in whole[at + 1 :]}
    assert Cursor.parse(whole[-1][0]).over


@pytest.mark.slow
async def test_a_stream_continues_through_continue_as_new(tmp_path: Path) -> None:
    config = ("limit.historyCount.suggestContinueAsNew=40",)
    async with run_dev_server(tmp_path / "short", dynamic_config=config) as server, open_world(server) as world:
        customer, _ = world.script()
        loop = {"type": "loop", "collection": 20, "item_variable": "n", "body": ["a"]}
        run_id = await world.start(make_plan({"l": loop, "a": "work"}, "trigger -> l", customer=customer))
        whole = await read(world, run_id)
        middle = len(whole) // 2
        again = await read(world, run_id, whole[middle][0])
        later = await read(world, run_id)
        await reset(world, run_id)
        fresh = await read(world, run_id)

    assert {key.partition(".")[0] for key in (whole[0][0].split("=")[1], whole[-1][0].split("=")[1])} != {"0"}
    assert collect(whole) == [
        ("run", "running"),
        *(("action", f"l[{n}]/a", status) for n in range(20) for status in ("running", "completed")),
        ("run", "completed"),
    ]
    assert collect(again) == collect(whole[middle + 1 :])
    assert later == whole, "who comes later hears everything, too"
    assert collect(fresh)[-1] == ("run", "completed")
    assert Cursor.parse(fresh[0][0]).execution != Cursor.parse(whole[0][0]).execution, (
        "the execution that the reset began"
    )


async def test_a_stream_can_be_entered_near_its_end(world: World) -> None:
    customer, _ = world.script()
    nodes = {"each": {"type": "loop", "collection": 8, "body": ["w"]}, "w": "work", **FORK}
    run = await world.run(make_plan(nodes, "trigger -> each", "each -> fork", customer=customer))
    whole = await read(world, run.id)
    async with asyncio.timeout(60):
        tail = [item async for item in world.runs.reader.follow_tail(run.id, 5)]
        rest = [item async for item in await world.runs.reader.follow(run.id, Cursor.parse(tail[2][0]))]

    assert [event for _, event in tail][-1] == whole[-1][1]
    assert len(tail) == 5
    assert all(event in [event for _, event in whole] for _, event in tail)
    assert [event for _, event in rest][-1] == whole[-1][1]
    assert len(rest) <= len(whole)


async def test_a_tail_continues_with_what_happens(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "each": {"type": "loop", "collection": 8, "body": ["a"]},
        "a": "work",
        "ask": {"type": "wait", "config": {"event": "go"}},
        "b": "work",
    }
    run_id = await world.start(make_plan(nodes, "trigger -> each", "each -> ask", "ask -> b", customer=customer))
    await world.wait_for_waiting(run_id, "event")
    seen: list[StreamEvent] = []
    async with asyncio.timeout(60):
        async for _, event in world.runs.reader.follow_tail(run_id, 2):
            seen.append(event)
            if len(seen) == 2:
                await world.runs.send_event(run_id, "go", 1)

    assert collect([("", event) for event in seen]) == [
        ("action", "each[7]/a", "running"),
        ("action", "each[7]/a", "completed"),
        ("event", "go"),
        ("action", "b", "running"),
        ("action", "b", "completed"),
        ("run", "completed"),
    ]


@pytest.mark.slow
async def test_a_tail_begins_in_a_later_execution(tmp_path: Path) -> None:
    """The events of earlier executions are not read."""
    config = ("limit.historyCount.suggestContinueAsNew=40",)
    async with run_dev_server(tmp_path, dynamic_config=config) as server, open_world(server) as world:
        customer, _ = world.script()
        nodes = {"each": {"type": "loop", "collection": 30, "body": ["a"]}, "a": "work"}
        run = await world.run(make_plan(nodes, "trigger -> each", customer=customer))
        async with asyncio.timeout(60):
            tail = [item async for item in world.runs.reader.follow_tail(run.id, 1_000)]
        whole = await read(world, run.id)

    assert len(tail) < len(whole)
    assert [event for _, event in tail][-5:] == [event for _, event in whole][-5:]


async def test_a_stream_follows_a_reset_run(world: World) -> None:
    customer, _ = world.script()
    ask = {"type": "wait", "config": {"event": "go"}}
    run_id = await world.start(make_plan({"ask": ask}, "trigger -> ask", customer=customer))
    await world.wait_for_waiting(run_id, "event")
    await reset(world, run_id)
    await world.runs.send_event(run_id, "go", None)

    assert collect(await read(world, run_id))[-1] == ("run", "completed")


async def test_a_stream_needs_no_worker(world: World) -> None:
    customer, _ = world.script()
    plan = make_plan({"a": "work"}, "trigger -> a", customer=customer)
    before, world.runs.settings = world.runs.settings, world.runs.settings.model_copy(update={"task_queue": "nobody"})
    run_id = await world.start(plan)
    world.runs.settings = before
    events = await world.runs.reader.follow(run_id, Cursor())
    async with asyncio.timeout(SECONDS):
        _, begun = await anext(events)
        await world.runs.terminate(run_id, "enough")
        _, ended = await anext(events)
        assert [item async for item in events] == []

    assert isinstance(begun, RunEvent)
    assert isinstance(ended, RunEvent)
    assert (begun.status, ended.status, ended.error) == ("running", "cancelled", "the run was terminated: enough")


@pytest.mark.parametrize("text", ["x", "", "0" * 36, f"{'0' * 36};=1", f"{'0' * 36};=1.2;", f"{'0' * 36};a=1.2"])
def test_a_cursor_of_another_run_is_rejected(text: str) -> None:
    with pytest.raises(BadCursor):
        Cursor.parse(text)
