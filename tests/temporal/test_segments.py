"""Fused actions on a real server: they do what they do one by one, and leave one event."""

import asyncio
import json
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Worker

from orchestrator.model.run import Run
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.segments.activity import SegmentActivity
from orchestrator.temporal.worker import set_deadlock_timeout
from orchestrator.temporal.workflow.run_workflow import RunWorkflow
from orchestrator.temporal.workflow.segments import SEGMENT
from tests.temporal.answers import Script
from tests.temporal.world import NONE, World, make_plan, wait_until

pytestmark = pytest.mark.temporal

FUSED = {"execution": "local"}
APART = {"execution": "local", "fuse": False}
TOLD = {"id": "{{ uuid() }}", "at": "{{ now() }}"}


def call(action: str = "work", **more: Any) -> dict[str, Any]:
    return {"type": "action", "action": action, **more}


async def count_events(world: World, run_id: str, kind: "EventType.ValueType") -> int:
    history = await world.client.get_workflow_handle(run_id).fetch_history()
    return sum(1 for event in history.events if event.event_type == kind)


def list_sent(script: Script) -> list[str]:
    return sorted(json.dumps(call["parameters"]) for call in script.calls)


def list_shown(run: Run) -> list[str]:
    """Return the input of the steps of actions, which are named `call…`."""
    return sorted(json.dumps(step.input_data) for step in run.steps if step.node_id.startswith("call"))


@pytest.mark.usefixtures("long_segments")
async def test_a_chain_a_loop_and_branches_of_local_actions_leave_one_event(world: World) -> None:
    customer, script = world.script()
    nodes = {
        "a": "work",
        "each": {"type": "loop", "collection": 5, "body": ["inner"]},
        "inner": "work",
        "fork": {"type": "parallel", "branches": [["left"], ["right"]], "config": {"mode": "inline"}},
        "left": "work",
        "right": "work",
        "z": "work",
    }
    edges = ("trigger -> a", "a -> each", "each -> fork", "fork -> z")
    run = await world.run(make_plan(nodes, *edges, customer=customer, settings=FUSED))

    assert (run.status, run.complete, len(script.calls)) == ("completed", True, 9)
    assert await count_events(world, run.id, EventType.EVENT_TYPE_MARKER_RECORDED) == 1


@pytest.mark.usefixtures("long_segments")
async def test_branches_that_begin_with_fused_actions_run_in_one_segment(world: World) -> None:
    customer, script = world.script()
    names = [f"b{number}" for number in range(20)]
    fork = {"type": "parallel", "branches": [[name] for name in names], "config": {"mode": "inline"}}
    plan = make_plan(
        {"fork": fork, **dict.fromkeys(names, "work")}, "trigger -> fork", customer=customer, settings=FUSED
    )
    run = await world.run(plan)

    assert (run.status, sorted(script.list_nodes())) == ("completed", sorted(names))
    assert await count_events(world, run.id, EventType.EVENT_TYPE_MARKER_RECORDED) == 1


async def test_fuse_false_records_each_action(world: World) -> None:
    customer, _ = world.script()
    plan = make_plan({"a": "work", "b": "work"}, "trigger -> a", "a -> b", customer=customer, settings=APART)
    run = await world.run(plan)

    assert await count_events(world, run.id, EventType.EVENT_TYPE_MARKER_RECORDED) == 2


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_actions_are_sent_what_the_document_shows(world: World, concurrency: int) -> None:
    """Conditions, parameters and the bounds of a loop that use now() and uuid() are computed twice, with one result."""
    customer, script = world.script({"work": {"output": {"seen": "{{ params.id }}"}}})
    flip = {"type": "set", "config": {"flip": "{{ uuid() | slice(0, 1) }}", "since": "{{ now() }}"}}
    nodes = {
        "flip": flip,
        "call_first": call(config={**TOLD, "since": "{{ since }}"}),
        "again": {**flip},
        "odd": {"type": "condition", "condition": {"field": "flip", "operator": "in", "value": list("13579bdf")}},
        "call_odd": call(config={**TOLD, "flip": "{{ flip }}"}),
        "call_even": call(config={**TOLD, "flip": "{{ flip }}", "seen": "{{ steps.call_first.output.seen }}"}),
        "each": {
            "type": "loop",
            "collection": "{{ [uuid(), now(), uuid()] }}",
            "body": ["call_each"],
            "config": {"max_concurrency": concurrency, "while": {"field": "{{ now() }}", "operator": "is_not_empty"}},
        },
        "call_each": call(config={**TOLD, "item": "{{ item }}"}),
        "fork": {"type": "parallel", "branches": [["call_left"], ["call_right"]], "config": {"mode": "inline"}},
        "call_left": call(config=TOLD),
        "call_right": call(config=TOLD),
        "nap": {"type": "delay", "delay_seconds": 0.01},
        "call_last": call(config={**TOLD, "since": "{{ since }}"}),
    }
    edges = (
        "trigger -> flip", "flip -> call_first", "call_first -> again", "again -> odd", "odd -true-> call_odd",
        "odd -false-> call_even", "call_odd -> each", "call_even -> each", "each -> fork", "fork -> nap",
        "nap -> call_last",
    )  # fmt: skip
    run = await world.run(make_plan(nodes, *edges, customer=customer, settings=FUSED))

    assert (run.status, run.complete, len(script.calls)) == ("completed", True, 8)
    assert list_shown(run) == list_sent(script)


@pytest.mark.usefixtures("long_segments")
async def test_attempts_in_and_outside_of_a_segment_count_together(world: World) -> None:
    # Pauses of 0.2 and 0.4 s are within a segment, that of 0.8 s is a timer.
    customer, script = world.script({"flaky": {"error": {"message": "busy"}}})
    retry = {"maximum_attempts": 4, "initial_interval": 0.2, "backoff_coefficient": 2}
    nodes = {"a": "work", "b": call("flaky", retry=retry), "c": "work"}
    edges = ("trigger -> a", "a -> b", "b -error-> c")
    run = await world.run(make_plan(nodes, *edges, customer=customer, settings=FUSED))
    calls = script.list_calls("flaky")

    assert [each["attempt"] for each in calls] == [1, 2, 3, 4]
    assert len({each["context"]["idempotency_key"] for each in calls}) == 1
    assert (run.status, run.complete, run.steps[1].retry_count) == ("completed", True, 3)
    assert run.steps[1].error is not None
    assert run.steps[1].error["error_type"] == "retry_exhausted"
    assert [attempt.number for attempt in run.steps[1].attempts] == [3, 4]
    assert await count_events(world, run.id, EventType.EVENT_TYPE_TIMER_STARTED) == 1


@pytest.mark.slow
async def test_a_pause_and_a_cancellation_reach_a_long_loop(world: World) -> None:
    customer, script = world.script({"work": {"output": {}}})
    nodes = {"each": {"type": "loop", "collection": 100_000, "body": ["a"]}, "a": "work"}
    plan = make_plan(nodes, "trigger -> each", customer=customer, settings=FUSED)
    run_id = await world.start(plan)
    await wait_until(lambda: _has_calls(script, 100))
    await world.runs.pause(run_id)
    await world.wait_for_waiting(run_id, "paused")
    paused_at = len(script.calls)
    await world.runs.resume(run_id)
    await wait_until(lambda: _has_calls(script, paused_at + 100))
    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert (run.status, run.complete) == ("cancelled", True)
    assert len(script.calls) < 100_000


async def _has_calls(script: Script, count: int) -> bool:
    return len(script.calls) >= count


@pytest.mark.slow
async def test_what_a_segment_has_done_is_recorded_before_a_cancellation_and_undone(world: World) -> None:
    customer, script = world.script()
    script.gates["b"] = asyncio.Event()
    nodes = {"a": call(compensate={"action": "undo"}), "b": call("hold"), "c": "work"}
    settings = {**FUSED, "compensate": "both"}
    run_id = await world.start(
        make_plan(nodes, "trigger -> a", "a -> b", "b -> c", customer=customer, settings=settings)
    )
    await wait_until(lambda: _has_calls(script, 2))
    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert (run.status, run.complete) == ("cancelled", True)
    assert [(step.id, step.status) for step in run.steps] == [
        ("a", "completed"),
        ("b", "cancelled"),
        ("a/compensate", "completed"),
    ]


ASK = {"type": "wait", "config": {"event": "go"}}
TIMED = {"type": "loop", "collection": 1, "body": ["c"], "timeout_seconds": 600}


@pytest.mark.parametrize(
    "branch",
    [
        pytest.param({"a": "work", "b": ASK}, id="an event that has come before"),
        pytest.param({"a": TIMED, "c": "work"}, id="a timer that is no longer needed"),
    ],
)
async def test_a_path_is_held_where_its_copy_in_a_segment_is(world: World, branch: dict[str, Any]) -> None:
    """A path that goes on at once might end a race whose losers have already run in the segment."""
    customer, script = world.script()
    script.gates["apart"] = asyncio.Event()
    race = {"type": "parallel", "branches": [["a"], ["call_1"]], "config": {"mode": "inline", "join": "any"}}
    tail = {"call_1": call(config=TOLD), "call_2": call(config=TOLD), "call_3": call(config=TOLD), "call_4": "work"}
    nodes = {"apart": call("apart", execution="activity"), "race": race, **branch, **tail}
    chain = ("call_1 -> call_2", "call_2 -> call_3", "call_3 -> call_4")
    edges = ("trigger -> apart", "apart -> race", *chain, *(["a -> b"] if "b" in branch else []))
    run_id = await world.start(make_plan(nodes, *edges, customer=customer, settings=FUSED))
    await wait_until(lambda: _has_calls(script, 1))
    await world.runs.send_event(run_id, "go")
    script.gates["apart"].set()
    run = await world.wait_for_end(run_id)

    assert (run.status, run.complete) == ("completed", True)


async def test_uuids_are_those_of_the_document_beside_a_wait_for_an_event_that_has_come(world: World) -> None:
    customer, script = world.script()
    script.gates["apart"] = asyncio.Event()
    fork = {"type": "parallel", "branches": [["a"], ["b"]], "config": {"mode": "inline"}}
    told = {"call_1": call(config=TOLD), "call_2": call(config=TOLD), "again": {"type": "set", "config": TOLD}}
    nodes = {"apart": call("apart", execution="activity"), "fork": fork, "a": "work", "ask": ASK, "b": "work", **told}
    chain = ("a -> ask", "ask -> again", "b -> call_1", "call_1 -> call_2")
    plan = make_plan(nodes, "trigger -> apart", "apart -> fork", *chain, customer=customer, settings=FUSED)
    run_id = await world.start(plan)
    await wait_until(lambda: _has_calls(script, 1))
    await world.runs.send_event(run_id, "go")
    script.gates["apart"].set()
    run = await world.wait_for_end(run_id)

    assert list_shown(run) == sorted(
        json.dumps(sent["parameters"]) for sent in script.calls if sent["node_id"].startswith("call")
    )


class WrongSegments(SegmentActivity):
    """Names another step than it has run."""

    @activity.defn(name=SEGMENT)
    async def run(self, head: dict[str, Any], plan_json: bytes, state_json: bytes) -> Any:
        answer = json.loads((await super().run(head, plan_json, state_json)).payload.data)
        answer["steps"][-1]["id"] = "elsewhere"
        return answer


async def test_a_step_that_the_run_does_not_ask_for_fails_the_workflow_task(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    customer, _ = world.script()
    queue = "wrong segments"
    options = world.runs.settings.model_copy(update={"task_queue": queue})
    apart = World(world.client, Runs(world.client, options), world.scripts, queue, world.numbers)
    fork = {"type": "parallel", "branches": [["a"], ["nap"]], "config": {"mode": "inline"}}
    nodes = {"fork": fork, "a": "work", "b": "work", "nap": {"type": "delay", "delay_seconds": 600}}
    plan = make_plan(nodes, "trigger -> fork", "a -> b", customer=customer, settings=FUSED)
    activities = [world.scripts.act, WrongSegments(world.scripts.call_fused).run]
    worker = Worker(
        world.client, task_queue=queue, workflows=[RunWorkflow], activities=activities, workflow_runner=NONE
    )
    set_deadlock_timeout(worker)
    async with worker:
        run_id = await apart.start(plan)
        handle = world.client.get_workflow_handle(run_id)

        async def find_message() -> str:
            failed = [
                event.workflow_task_failed_event_attributes.failure.message
                for event in (await handle.fetch_history()).events
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
            ]
            return failed[0] if failed else ""

        message = await wait_until(find_message)
        await handle.terminate()

    assert message == "the next action of the segment is elsewhere, and the flow asks for fork[0]/b"
    assert "tasks remain" not in caplog.text, "the worker cannot evict the run"
