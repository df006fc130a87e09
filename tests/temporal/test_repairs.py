"""What an operator can change in a run that is paused or waits."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import OperationRefused, ServerUnavailable
from orchestrator.model.run import Run
from orchestrator.temporal.client import updates
from orchestrator.temporal.client.activity_resets import reset_activity
from orchestrator.temporal.replay import replay
from tests.temporal.world import SECONDS, World, make_plan, run_scripted_worker, wait_until

pytestmark = pytest.mark.temporal

NAP = {"type": "delay", "delay_seconds": 600}
ASK = {"type": "wait", "config": {"event": "go"}}
LOCKED = {"error": {"message": "locked", "error_type": "action_error"}}
DOOR = {"type": "action", "action": "door", "on_error": "pause", "retry": {"maximum_attempts": 1}}


async def repair(world: World, run_id: str, kind: str, by: str = "", **request: Any) -> dict[str, Any]:
    return await world.runs.repair(run_id, {"kind": kind, **request}, by=by)


async def require_same_replay(world: World, *workflow_ids: str) -> None:
    """Fail where the history of a workflow does not replay."""
    for workflow_id in workflow_ids:
        history = await world.client.get_workflow_handle(workflow_id).fetch_history()
        assert await replay(workflow_id, history.to_json()) is None


async def test_a_step_of_a_branch_is_repaired_in_that_branch_by_its_id(world: World) -> None:
    customer, _script = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["inner"], ["other"]]},
        "inner": {"type": "parallel", "branches": [["each"]]},
        "each": {"type": "loop", "collection": 2, "body": ["ask"], "config": {"max_concurrency": 2}},
        "ask": ASK,
        "other": ASK,
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))
    wanted = [f"fork[0]/inner[0]/each[{index}]/ask" for index in (0, 1)]

    async def are_waiting() -> bool:
        run = await world.runs.reader.read_document(run_id)
        return {*wanted, "fork[1]/other"} <= {wait["step_id"] for wait in run.waiting_for}

    await wait_until(are_waiting)
    with pytest.raises(OperationRefused, match="'ask' wait or come next: pass one of"):
        await repair(world, run_id, "skip_node", node_id="ask")
    for step_id in wanted:
        await repair(world, run_id, "set_result", step_id=step_id, result={"n": 1}, by="Ada", reason="by phone")
    await repair(world, run_id, "skip_node", node_id="other", by="Grace")
    run = await world.wait_for_end(run_id)

    assert run.status == "completed"
    assert {step.id: step.status for step in run.steps if step.node_id in ("ask", "other")} == {
        **dict.fromkeys(wanted, "completed"),
        "fork[1]/other": "skipped",
    }
    assert [(each.kind, each.step_id, each.by, each.reason) for each in run.interventions] == [
        *(("set_result", step_id, "Ada", "by phone") for step_id in wanted),
        ("skip_node", "fork[1]/other", "Grace", ""),
    ]
    await require_same_replay(world, f"{run_id}/fork[0]/inner[0]")


async def test_a_paused_run_shows_who_paused_it_and_takes_repairs_of_the_next_node(world: World) -> None:
    customer, script = world.script({"broken": LOCKED})
    script.gates["a"] = asyncio.Event()
    nodes = {"a": "work", "b": "broken", "c": "work"}
    run_id = await world.start(make_plan(nodes, "trigger -> a", "a -> b", "b -> c", customer=customer))

    async def has_called() -> bool:
        return script.list_nodes() == ["a"]

    await wait_until(has_called)
    with pytest.raises(OperationRefused, match="the run is at work: pause it first"):
        await repair(world, run_id, "skip_node", node_id="b")
    await world.runs.pause(run_id, "b is broken", by="Ada")
    script.gates["a"].set()
    await world.wait_for_waiting(run_id, "paused")
    done = await repair(world, run_id, "skip_node", node_id="b", by="Ada")
    await world.runs.resume(run_id, by="Grace")
    run = await world.wait_for_end(run_id)

    assert (done["step_id"], run.status) == ("b", "completed")
    assert [step.status for step in run.steps] == ["completed", "skipped", "completed"]
    assert [(each.kind, each.by, each.reason) for each in run.interventions] == [
        ("pause", "Ada", "b is broken"),
        ("skip_node", "Ada", ""),
        ("resume", "Grace", ""),
    ]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"kind": "burn"}, "a repair is an object whose `kind` is one of set_variables"),
    ({"kind": "set_variables", "variables": {}}, "`variables` is empty"),
    ({"kind": "set_variables", "variables": {"steps": 1}}, "not the name of a variable: steps"),
    ({"kind": "set_variables", "variables": {"x": 1}, "path": "each[9]"}, r"in progress: each\[0\]"),
    ({"kind": "set_parameters", "node_id": "late", "parameters": {"a": "{{ x"}}, "`parameters`: "),
    ({"kind": "set_parameters", "node_id": "check", "parameters": {"a": 1}}, "'check' is not an action"),
    ({"kind": "skip_node", "node_id": "check"}, "'check' is a condition node: set the variables that it uses"),
    ({"kind": "set_result", "node_id": "note", "result": 1}, "'note' is a set node: set the variables that it uses"),
    ({"kind": "skip_node", "step_id": "each"}, "step 'each' has begun: repair the steps inside it"),
    ({"kind": "skip_wait", "step_id": "each[0]/ask"}, "'ask' has no edge for its timeout"),
    ({"kind": "skip_wait", "node_id": "late"}, "no step of 'late' waits"),
    ({"kind": "skip_wait", "step_id": "each"}, "step 'each' is not in a delay or a wait"),
    ({"kind": "retry_now", "step_id": "each[0]/ask"}, "is not between two attempts and does not wait for an operator"),
    ({"kind": "skip_node", "node_id": "lat"}, "there is no node 'lat': did you mean `late`"),
    ({"kind": "skip_node", "step_id": "first"}, r"step 'first' has ended \(completed\)"),
    ({"kind": "skip_node", "step_id": "first#2"}, "step 'first#2' never begins: 'first' has been run or passed by"),
    ({"kind": "set_parameters", "node_id": "first", "parameters": {"a": 1}}, "no step of it begins later"),
    ({"kind": "skip_node", "step_id": "each[4]/ask"}, r"there is no step .*\(waiting: each\[0\]/ask\)"),
]


async def test_what_cannot_be_done_is_refused_and_changes_nothing(world: World) -> None:
    customer, script = world.script()
    nodes = {
        "first": "work",
        "each": {"type": "loop", "collection": 1, "body": ["ask"]},
        "ask": ASK,
        "check": {"type": "condition", "condition": {"field": "x", "operator": "equals", "value": 1}},
        "note": {"type": "set", "config": {"y": 1}},
        "late": {"type": "action", "action": "work"},
    }
    edges = ("trigger -> first", "first -> each", "each -> check", "check -true-> note", "note -> late")
    run_id = await world.start(make_plan(nodes, *edges, variables={"x": 1}, customer=customer))
    await world.wait_for_waiting(run_id, "event")
    before = (await world.client.get_workflow_handle(run_id).fetch_history()).events

    for request, message in REFUSED:
        with pytest.raises(OperationRefused, match=message):
            await world.runs.repair(run_id, request)

    after = (await world.client.get_workflow_handle(run_id).fetch_history()).events
    assert len(after) == len(before)
    await world.runs.send_event(run_id, "go")
    run = await world.wait_for_end(run_id)
    assert (run.status, run.interventions, script.list_nodes()) == ("completed", [], ["first", "late"])


@pytest.mark.slow
async def test_without_a_worker_a_repair_is_refused_in_time_and_not_done_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, _ = world.script({"door": LOCKED})
    queue = f"repaired-{next(world.numbers)}"
    settings = world.runs.settings.model_copy(update={"task_queue": queue})
    alone = replace(world, runs=type(world.runs)(world.client, settings), queue=queue)
    nodes = {"fork": {"type": "parallel", "branches": [["nap"], ["door"]]}, "nap": NAP, "door": DOOR}
    async with run_scripted_worker(alone):
        run_id = await alone.start(make_plan(nodes, "trigger -> fork", customer=customer))

        async def are_both_waiting() -> bool:
            run = await alone.runs.reader.read_document(run_id)
            return {"delay", "operator"} <= {wait["kind"] for wait in run.waiting_for}

        await wait_until(are_both_waiting)
    with monkeypatch.context() as patched:
        patched.setattr(updates, "UPDATE_SECONDS", 4.5)
        patched.setattr(updates, "TAKEN_SECONDS", 3.5)
        async with asyncio.timeout(SECONDS):  # 5 s where nothing else runs
            answers = await asyncio.gather(
                repair(alone, run_id, "skip_wait", node_id="nap"),
                repair(alone, run_id, "set_variables", variables={"x": 1}),
                alone.runs.resolve(run_id, "door", "skip"),
                return_exceptions=True,
            )
    async with run_scripted_worker(alone):
        # What the worker answers comes after all that the server has kept for it.
        await repair(alone, run_id, "set_variables", variables={"y": 1}, path="fork[0]")
        await repair(alone, run_id, "set_variables", variables={"y": 1}, path="fork[1]")
        await repair(alone, run_id, "set_variables", variables={"y": 1})
        run = await alone.runs.reader.read_document(run_id)
        await alone.runs.terminate(run_id)

    assert [type(answer) for answer in answers] == [ServerUnavailable] * 3
    assert {wait["kind"] for wait in run.waiting_for} == {"delay", "operator"}
    assert "x" not in run.context
    assert [each.names for each in run.interventions] == [["y"]] * 3


async def test_the_next_attempt_of_an_action_is_made_now(world: World) -> None:
    customer, script = world.script({"door": [LOCKED, {"output": {"open": True}}]})
    retry = {"initial_interval": 600, "maximum_interval": 600, "maximum_attempts": 3}
    nodes = {
        "fork": {"type": "parallel", "branches": [["door"], ["ask"]]},
        "door": {"type": "action", "action": "door", "retry": retry},
        "ask": ASK,
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))

    async def is_between_attempts() -> Run | None:
        run = await world.runs.reader.read_document(run_id)
        return run if any(step.status == "retrying" for step in run.steps) else None

    await wait_until(is_between_attempts)
    with pytest.raises(OperationRefused, match="is not between two attempts"):
        await repair(world, run_id, "retry_now", node_id="ask")
    with pytest.raises(OperationRefused, match="is running: its parameters have been sent"):
        await repair(world, run_id, "set_parameters", step_id="fork[0]/door", parameters={"a": 1})
    done = await repair(world, run_id, "retry_now", node_id="door", by="Ada")
    await world.runs.send_event(run_id, "go")
    run = await world.wait_for_end(run_id)

    assert (done["step_id"], run.status, len(script.calls)) == ("fork[0]/door", "completed", 2)
    assert [(each.kind, each.by) for each in run.interventions] == [("retry_now", "Ada")]


async def test_no_next_attempt_is_refused_that_has_been_made_meanwhile(world: World) -> None:
    """The run has recorded by then that it was asked for; a refusal would contradict it."""
    customer, _ = world.script()
    run_id = await world.start(make_plan({"a": "work", "ask": ASK}, "trigger -> a", "a -> ask", customer=customer))
    await world.wait_for_waiting(run_id, "event")

    await reset_activity(world.client, run_id, "a")


async def test_the_next_attempt_is_made_now_in_the_iteration_that_is_named(world: World) -> None:
    customer, script = world.script({"door": [LOCKED, LOCKED, {"output": {"open": True}}, {"output": {"open": True}}]})
    retry = {"initial_interval": 600, "maximum_interval": 600, "maximum_attempts": 3}
    nodes = {
        "each": {"type": "loop", "collection": 2, "body": ["door"], "config": {"max_concurrency": 2}},
        "door": {"type": "action", "action": "door", "retry": retry},
    }
    run_id = await world.start(make_plan(nodes, "trigger -> each", customer=customer))

    async def are_between_attempts() -> Run | None:
        run = await world.runs.reader.read_document(run_id)
        return run if [step.status for step in run.steps].count("retrying") == 2 else None

    await wait_until(are_between_attempts)
    with pytest.raises(OperationRefused, match="several steps"):
        await repair(world, run_id, "retry_now", node_id="door")
    done = await repair(world, run_id, "retry_now", node_id="door", path="each[1]")
    await repair(world, run_id, "retry_now", step_id="each[0]/door")
    run = await world.wait_for_end(run_id)

    assert (done["step_id"], run.status, len(script.calls)) == ("each[1]/door", "completed", 4)


@pytest.mark.slow
async def test_a_repair_and_the_end_of_the_wait_in_one_workflow_task_leave_one_result(world: World) -> None:
    """The wait ends once, and the history replays, whichever the flow sees first."""
    customer, _ = world.script()
    queue = f"repaired-{next(world.numbers)}"
    settings = world.runs.settings.model_copy(update={"task_queue": queue})
    alone = replace(world, runs=type(world.runs)(world.client, settings), queue=queue)
    nodes = {"nap": {"type": "delay", "delay_seconds": 2}, "ask": {"type": "wait", "config": {"event": "go"}}}
    run_id = ""

    async def has_recorded(attributes: Any) -> bool:
        history = await alone.client.get_workflow_handle(run_id).fetch_history()
        return any(event.HasField(attributes) for event in history.events)

    async with run_scripted_worker(alone):
        run_id = await alone.start(make_plan(nodes, "trigger -> nap", "nap -> ask", customer=customer))
        # A slow worker stops only when the delay has passed: then the repair comes too late, and is refused.
        await wait_until(lambda: has_recorded("timer_started_event_attributes"))

    async def send_late(kind: str, **request: Any) -> object:
        return await asyncio.gather(repair(alone, run_id, kind, **request), return_exceptions=True)

    await wait_until(lambda: has_recorded("timer_fired_event_attributes"))
    sending = asyncio.create_task(send_late("set_result", node_id="nap", result={"by": "hand"}))
    async with run_scripted_worker(alone):
        await sending
        await alone.wait_for_waiting(run_id, "event")
        await asyncio.gather(
            alone.runs.send_event(run_id, "go"), send_late("skip_node", node_id="ask"), return_exceptions=True
        )
        run = await alone.wait_for_end(run_id)

    assert run.status == "completed"
    assert [step.status in ("completed", "skipped") for step in run.steps] == [True, True]
    await require_same_replay(alone, run_id)
