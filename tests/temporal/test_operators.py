"""What an operator can do to a run: pause it, resume it, resolve a failed step."""

import asyncio
from typing import Any

import pytest

from orchestrator.errors import OperationRefused
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run
from tests.temporal.world import World, make_plan, wait_until

pytestmark = pytest.mark.temporal

ONCE = {"maximum_attempts": 1}
LOCKED = {"error": {"message": "locked", "error_type": "action_error"}}
FAILS_ONCE = {"door": [LOCKED, {"output": {"door": "{{ params.door }}"}}]}
GO = {"type": "wait", "config": {"event": "go"}}
ASK = {"type": "action", "action": "door", "on_error": "pause", "config": {"door": 1}, "retry": ONCE}


def door(customer: str, **more: Any) -> Plan:
    """Return a plan whose second step fails and waits for an operator."""
    nodes = {"before": {"type": "set", "config": {"x": 1}}, "door": ASK, "after": "work"}
    return make_plan(nodes, "trigger -> before", "before -> door", "door -> after", customer=customer, **more)


def collect_statuses(run: Run) -> dict[str, str]:
    return {step.id: step.status for step in run.steps}


async def signals(world: World, workflow_id: str) -> list[str]:
    """Return the names of the signals that a workflow has received."""
    history = await world.client.get_workflow_handle(workflow_id).fetch_history()
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]


async def test_a_paused_run_stops_at_the_next_node_and_resumes(world: World) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    run_id = await world.start(make_plan({"a": "work", "b": "work"}, "trigger -> a", "a -> b", customer=customer))

    async def has_called() -> bool:
        return "a" in script.list_nodes()

    await wait_until(has_called)
    await world.runs.pause(run_id)
    script.gates["a"].set()
    held = await world.wait_for_waiting(run_id, "paused")

    assert (held.status, collect_statuses(held)) == ("waiting", {"a": "completed"})

    await world.runs.resume(run_id)
    run = await world.wait_for_end(run_id)

    assert (run.status, script.list_nodes()) == ("completed", ["a", "b"])


async def test_a_pause_shows_the_iterations_that_are_held(world: World) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    nodes = {
        "rows": {"type": "loop", "collection": 2, "body": ["a"], "config": {"max_concurrency": 2}},
        "a": "work",
        "b": "work",
        "rest": {"type": "loop", "collection": 2, "body": ["c"]},
        "c": "work",
    }
    run_id = await world.start(make_plan(nodes, "trigger -> rows", "a -> b", "rows -> rest", customer=customer))

    async def have_both_begun() -> bool:
        return len(script.calls) == 2

    await wait_until(have_both_begun)
    await world.runs.pause(run_id)
    script.gates["a"].set()

    async def are_both_held() -> Run | None:
        run = await world.runs.reader.read_document(run_id)
        return run if run.status == "waiting" and len(run.waiting_for) == 2 else None

    held = await wait_until(are_both_held)
    await world.runs.resume(run_id)

    assert [(wait["path"], wait["node_id"]) for wait in held.waiting_for] == [("rows[0]", "b"), ("rows[1]", "b")]
    assert (await world.wait_for_end(run_id)).status == "completed"


@pytest.mark.parametrize("mode", ["child", "inline"])
async def test_a_pause_stops_branches_too(world: World, mode: str) -> None:
    customer, script = world.script()
    script.gates["a"] = script.gates["b"] = asyncio.Event()
    nodes = {
        "fork": {"type": "parallel", "branches": [["a"], ["b"]], "config": {"mode": mode}},
        "a": "work",
        "a2": "work",
        "b": "work",
        "b2": "work",
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", "a -> a2", "b -> b2", customer=customer))

    async def has_called() -> bool:
        return {"a", "b"} <= set(script.list_nodes())

    async def send_signal() -> bool:
        paths = ("fork[0]", "fork[1]") if mode == "child" else ()
        return all([await signals(world, f"{run_id}/{path}") == ["pause"] for path in paths])

    await wait_until(has_called)
    await world.runs.pause(run_id)
    await wait_until(send_signal)
    script.gates["a"].set()

    async def are_all_held() -> Run | None:
        run = await world.runs.reader.read_document(run_id)
        return run if run.status == "waiting" and run.steps_completed >= 2 else None

    held = await wait_until(are_all_held)

    pauses = [(wait["kind"], wait["path"], wait["node_id"]) for wait in held.waiting_for]
    assert sorted(pauses) == [("paused", "fork[0]", "a2"), ("paused", "fork[1]", "b2")]
    assert "a2" not in script.list_nodes()

    await world.runs.resume(run_id)

    assert (await world.wait_for_end(run_id)).status == "completed"
    assert sorted(script.list_nodes()) == ["a", "a2", "b", "b2"]


async def test_a_run_paused_before_a_branch_starts_starts_it_paused(world: World) -> None:
    customer, script = world.script()
    nodes = {"ask": GO, "fork": {"type": "parallel", "branches": [["a"]]}, "a": "work"}
    run_id = await world.start(make_plan(nodes, "trigger -> ask", "ask -> fork", customer=customer))
    await world.wait_for_waiting(run_id, "event")
    await world.runs.pause(run_id)
    await world.runs.send_event(run_id, "go")
    await world.wait_for_waiting(run_id, "paused")

    await world.runs.resume(run_id)

    assert (await world.wait_for_end(run_id)).status == "completed"
    assert script.list_nodes() == ["a"]


async def test_a_paused_run_can_be_cancelled(world: World) -> None:
    customer, _ = world.script()
    nodes = {"ask": GO, "a": "work"}
    run_id = await world.start(make_plan(nodes, "trigger -> ask", "ask -> a", customer=customer))
    await world.wait_for_waiting(run_id, "event")
    await world.runs.pause(run_id)
    await world.runs.send_event(run_id, "go")
    await world.wait_for_waiting(run_id, "paused")

    await world.runs.cancel(run_id)

    assert (await world.wait_for_end(run_id)).status == "cancelled"


async def test_a_failed_step_with_on_error_pause_makes_the_run_wait(world: World) -> None:
    customer, script = world.script(FAILS_ONCE)
    plan = door(customer, settings={"notify": {"action": "pager", "config": {"text": "{{ error.message }}"}}})
    run_id = await world.start(plan)
    waiting = await world.wait_for_waiting(run_id, "operator")
    await world.runs.resolve(run_id, "door", "skip")
    await world.wait_for_end(run_id)

    assert waiting.status == "waiting"
    (step,) = [each for each in waiting.steps if each.id == "door"]
    assert waiting.waiting_for == [
        {
            "node_id": "door", "step_id": "door", "kind": "operator", "message": "locked", "error_type": "action_error",
            "since": (step.error or {})["timestamp"],
        }
    ]  # fmt: skip
    assert [call["parameters"] for call in script.list_calls("pager")] == [{"text": "locked"}]


async def test_a_retry_with_other_parameters_has_a_new_idempotency_key(world: World) -> None:
    customer, script = world.script(FAILS_ONCE)
    run_id = await world.start(door(customer))
    await world.wait_for_waiting(run_id, "operator")

    step_id = await world.runs.resolve(run_id, "door", "retry", parameters={"door": 2})
    run = await world.wait_for_end(run_id)

    assert (step_id, run.status) == ("door", "completed")
    calls = script.list_calls("door")
    assert [call["parameters"] for call in calls] == [{"door": 1}, {"door": 2}]
    assert len({call["context"]["idempotency_key"] for call in calls}) == 2


@pytest.mark.parametrize(
    ("resolution", "message"),
    [
        ({"node_id": "door", "action": "burn"}, "unknown action 'burn'"),
        ({"node_id": "after", "action": "skip"}, r"step 'after' is not waiting .* \(waiting: door\)"),
        ({"node_id": "nowhere", "action": "retry"}, "step 'nowhere' is not waiting"),
        ({"node_id": "door", "action": "retry_from", "target": "nowhere"}, "unknown node 'nowhere'"),
        ({"node_id": "door", "action": "retry_from"}, "unknown node None"),
        (
            {"node_id": "door", "action": "retry_from", "target": "after"},
            "cannot go back to 'after': it did not run before 'door'",
        ),
        ({"node_id": "door", "action": "retry", "parameters": [1]}, "`parameters` must be an object"),
    ],
)
async def test_an_invalid_resolution_is_rejected(world: World, resolution: dict[str, Any], message: str) -> None:
    customer, _ = world.script(FAILS_ONCE)
    run_id = await world.start(door(customer))
    await world.wait_for_waiting(run_id, "operator")

    with pytest.raises(OperationRefused, match=message):
        await world.runs.resolve(run_id, resolution.pop("node_id"), resolution.pop("action"), **resolution)

    await world.runs.resolve(run_id, "door", "abort")
    assert (await world.wait_for_end(run_id)).status == "failed"


async def test_of_several_waiting_steps_of_a_node_one_must_be_named(world: World) -> None:
    customer, _ = world.script({"door": LOCKED})
    nodes = {"each": {"type": "loop", "collection": 2, "body": ["door"], "config": {"max_concurrency": 2}}, "door": ASK}
    run_id = await world.start(make_plan(nodes, "trigger -> each", customer=customer))

    async def find_both() -> bool:
        return len((await world.runs.reader.read_document(run_id)).waiting_for) == 2

    await wait_until(find_both)

    with pytest.raises(OperationRefused, match=r"pass one of each\[[01]\]/door, each\[[01]\]/door"):
        await world.runs.resolve(run_id, "door", "skip")

    await world.runs.resolve(run_id, "each[1]/door", "skip")
    await world.runs.resolve(run_id, "each[0]/door", "skip")
    assert (await world.wait_for_end(run_id)).status == "completed"


async def test_a_resolution_reaches_a_nested_branch(world: World) -> None:
    customer, script = world.script(FAILS_ONCE)
    nodes = {
        "fork": {"type": "parallel", "branches": [["inner"]]},
        "inner": {"type": "parallel", "branches": [["door"], ["nap"]]},
        "nap": {"type": "delay", "delay_seconds": 0.1},
        "door": ASK,
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))
    waiting = await world.wait_for_waiting(run_id, "operator")

    step_id = await world.runs.resolve(run_id, "door", "retry", parameters={"door": 7})
    run = await world.wait_for_end(run_id)

    assert step_id == "fork[0]/inner[0]/door"
    assert [wait["step_id"] for wait in waiting.waiting_for if wait["kind"] == "operator"] == [step_id]
    assert run.status == "completed"
    assert [call["parameters"] for call in script.list_calls("door")] == [{"door": 1}, {"door": 7}]


@pytest.mark.parametrize("around", ["branch", "iteration"])
async def test_an_operator_goes_back_inside_a_branch_or_a_concurrent_iteration(world: World, around: str) -> None:
    """It was rejected: only the nodes that the flow itself had started were looked at."""
    customer, script = world.script(FAILS_ONCE)
    owner = {
        "branch": {"type": "parallel", "branches": [["first", "door"]], "config": {"mode": "inline"}},
        "iteration": {
            "type": "loop",
            "collection": 1,
            "body": ["first", "door"],
            "config": {"max_concurrency": 2},
        },
    }[around]
    plan = make_plan(
        {"owner": owner, "first": "work", "door": ASK}, "trigger -> owner", "first -> door", customer=customer
    )
    run_id = await world.start(plan)
    await world.wait_for_waiting(run_id, "operator")
    await world.runs.resolve(run_id, "door", "retry_from", target="first")
    run = await world.wait_for_end(run_id)

    assert run.status == "completed"
    assert script.list_nodes() == ["first", "door", "first", "door"]


async def test_operations_on_an_ended_run_are_rejected(world: World) -> None:
    customer, _ = world.script()
    run = await world.run(make_plan({"a": "work"}, "trigger -> a", customer=customer))
    runs = world.runs

    for refused in (runs.pause(run.id), runs.resume(run.id), runs.send_event(run.id, "go"), runs.terminate(run.id)):
        with pytest.raises(OperationRefused, match=rf"run {run.id} has already ended \(completed\)"):
            await refused
    with pytest.raises(OperationRefused):
        await runs.resolve(run.id, "a", "skip")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["child", "inline"])
async def test_steps_of_a_parallel_that_is_retried_have_new_idempotency_keys(world: World, mode: str) -> None:
    """An outside system took the calls of the second attempt for those of the first, and did nothing."""
    customer, script = world.script(FAILS_ONCE)
    nodes = {
        "fork": {"type": "parallel", "branches": [["pay"]], "config": {"mode": mode}, "on_error": "pause"},
        "pay": {"type": "action", "action": "pay", "compensate": {"action": "refund", "config": {}}},
        "door": {"type": "action", "action": "door", "retry": {"maximum_attempts": 1}},
        "bad": "broken",
    }
    script.answers = {**FAILS_ONCE, "broken": LOCKED}
    plan = make_plan(nodes, "trigger -> fork", "pay -> door", "fork -> bad", customer=customer)
    run_id = await world.start(plan)
    await world.wait_for_waiting(run_id, "operator")
    await world.runs.resolve(run_id, "fork", "retry")
    run = await world.wait_for_end(run_id)

    keys = [call["context"]["idempotency_key"] for call in script.calls if call["action"] in ("pay", "refund")]
    undone = [step.id for step in run.steps if step.id.endswith("/compensate")]
    assert len(set(keys)) == len(keys) == 4
    assert undone == ["fork[0]/pay/compensate", "fork~1[0]/pay/compensate"]
