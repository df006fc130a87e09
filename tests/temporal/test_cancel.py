"""A cancellation reaches work in progress and undoes what was done; then the run is cancelled."""

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus

from orchestrator.errors import OperationRefused, RunNotFound
from orchestrator.model.run import Run
from tests.golden import read_definition
from tests.temporal.answers import Script
from tests.temporal.world import HEARTBEAT_SECONDS, World, make_plan, wait_until

pytestmark = pytest.mark.temporal

SLOW = {"type": "action", "action": "slow"}
UNDO = {"action": "undo", "config": {"what": "{{ steps.book.output.seat }}"}}


async def wait_for_calls(script: Script, *nodes: str) -> None:
    """Wait until these nodes have called their actions."""

    async def have_called() -> bool:
        return set(nodes) <= set(script.list_nodes())

    await wait_until(have_called)


async def wait_for_waits(world: World, run_id: str, *nodes: str) -> None:
    """Wait until the run waits at these nodes."""

    async def are_waiting() -> bool:
        run = await world.runs.reader.read_document(run_id)
        return set(nodes) <= {wait["node_id"] for wait in run.waiting_for}

    await wait_until(are_waiting)


def collect_statuses(run: Run) -> dict[str, str]:
    return {step.id: step.status for step in run.steps}


async def read_temporal_status(world: World, workflow_id: str) -> WorkflowExecutionStatus | None:
    return (await world.client.get_workflow_handle(workflow_id).describe()).status


async def test_cancellation_reaches_a_heartbeating_action(world: World) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    plan = make_plan({"a": SLOW, "b": "work"}, "trigger -> a", "a -> b", customer=customer)
    node = plan.scope.nodes[0].model_copy(update={"heartbeat_seconds": HEARTBEAT_SECONDS})
    plan = plan.model_copy(update={"scope": plan.scope.model_copy(update={"nodes": (node, *plan.scope.nodes[1:])})})
    run_id = await world.start(plan)
    await wait_for_calls(script, "a")

    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert (run.status, collect_statuses(run)) == ("cancelled", {"a": "cancelled"})
    assert script.cancelled == ["a"]
    assert await read_temporal_status(world, run_id) == WorkflowExecutionStatus.CANCELED


async def test_cancellation_abandons_an_action_without_heartbeat(world: World) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    run_id = await world.start(make_plan({"a": SLOW}, "trigger -> a", customer=customer))
    await wait_for_calls(script, "a")

    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)
    script.gates["a"].set()

    assert (run.status, collect_statuses(run)) == ("cancelled", {"a": "cancelled"})


async def test_cancellation_reaches_nested_branches(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["inner"], ["nap"]]},
        "inner": {"type": "parallel", "branches": [["ask"], ["nap2"]]},
        "ask": {"type": "wait", "config": {"event": "never"}},
        "nap": {"type": "delay", "delay_seconds": 600},
        "nap2": {"type": "delay", "delay_seconds": 600},
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))
    await wait_for_waits(world, run_id, "ask", "nap", "nap2")

    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert run.status == "cancelled"
    assert set(collect_statuses(run).values()) == {"cancelled"}
    assert run.steps_total == len(run.steps) == 5
    for branch in ("fork[0]", "fork[1]", "fork[0]/inner[0]", "fork[0]/inner[1]"):  # with what they have done
        assert await read_temporal_status(world, f"{run_id}/{branch}") == WorkflowExecutionStatus.FAILED


async def test_steps_of_a_loser_count(world: World) -> None:
    """A cancelled branch that owed no compensation did not say how many steps it had started."""
    customer, _ = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["first"], ["a"]], "config": {"join": "any"}},
        "first": {"type": "wait", "config": {"event": "go"}},
        "a": {"type": "set", "config": {"x": 1}},
        "b": {"type": "set", "config": {"x": 2}},
        "ask": {"type": "wait", "config": {"event": "never"}},
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", "a -> b", "b -> ask", customer=customer))
    await wait_for_waits(world, run_id, "first", "ask")
    await world.runs.send_event(run_id, "go")
    run = await world.wait_for_end(run_id)

    assert (run.status, run.steps_total, len(run.steps)) == ("completed", 5, 5)


async def test_cancellation_reaches_a_called_run(world: World) -> None:
    customer, _ = world.script()
    nap = {"nodes": {"nap": {"type": "delay", "delay_seconds": 600}}, "edges": ["trigger -> nap"]}
    nodes = {"call": {"type": "workflow", "config": {"workflow_id": "sleeper"}}}
    sleeper = read_definition(nap, "sleeper", "sleeper")
    run_id = await world.start(make_plan(nodes, "trigger -> call", customer=customer, workflows={"sleeper": sleeper}))

    async def find_child() -> str | None:
        summaries = await world.runs.visibility.list_runs(customer_id=customer, workflow_id="sleeper")
        return summaries[0].id if summaries else None

    child_id = await wait_until(find_child)
    await world.runs.cancel(run_id)

    assert (await world.wait_for_end(run_id)).status == "cancelled"
    assert (await world.wait_for_end(child_id)).status == "cancelled"


async def test_compensations_run_before_a_cancelled_run_ends_if_set(world: World) -> None:
    customer, script = world.script({"book": {"output": {"seat": "12A"}}, "pay": {"output": {"paid": True}}})
    nodes = {
        "book": {"type": "action", "action": "book", "compensate": UNDO},
        "pay": {"type": "action", "action": "pay", "compensate": {"action": "refund", "config": {}}},
        "nap": {"type": "delay", "delay_seconds": 600},
    }
    plan = make_plan(
        nodes, "trigger -> book", "book -> pay", "pay -> nap", customer=customer, settings={"compensate": "on_cancel"}
    )
    run_id = await world.start(plan)
    await world.wait_for_waiting(run_id, "delay")

    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert run.status == "cancelled"
    assert [call["action"] for call in script.calls] == ["book", "pay", "refund", "undo"]
    assert script.calls[-1]["parameters"] == {"what": "12A"}
    assert collect_statuses(run) == {
        "book": "completed",
        "pay": "completed",
        "nap": "cancelled",
        "pay/compensate": "completed",
        "book/compensate": "completed",
    }


@pytest.mark.parametrize("mode", ["child", "inline"])
async def test_steps_of_a_cancelled_branch_are_undone_too(world: World, mode: str) -> None:
    customer, script = world.script({"book": {"output": {"seat": "12A"}}})
    nodes = {
        "fork": {"type": "parallel", "branches": [["book"]], "config": {"mode": mode}},
        "book": {"type": "action", "action": "book", "compensate": UNDO},
        "nap": {"type": "delay", "delay_seconds": 600},
    }
    plan = make_plan(nodes, "trigger -> fork", "book -> nap", customer=customer, settings={"compensate": "both"})
    run_id = await world.start(plan)
    await world.wait_for_waiting(run_id, "delay")

    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert run.status == "cancelled"
    assert [call["action"] for call in script.calls] == ["book", "undo"]
    assert collect_statuses(run)["fork[0]/book/compensate"] == "completed"


async def test_a_cancellation_does_not_interrupt_compensation(world: World) -> None:
    customer, script = world.script({"broken": {"error": {"message": "no", "recoverable": False}}})
    script.gates["undo"] = asyncio.Event()
    undo = {"action": "undo", "config": {}}
    nodes = {
        "first": {"type": "action", "action": "book", "compensate": undo},
        "second": {"type": "action", "action": "book", "compensate": undo},
        "broken": "broken",
    }
    plan = make_plan(nodes, "trigger -> first", "first -> second", "second -> broken", customer=customer)
    run_id = await world.start(plan)

    async def is_undoing() -> bool:
        return bool(script.list_calls("undo"))

    await wait_until(is_undoing)
    await world.runs.cancel(run_id)
    script.gates["undo"].set()
    run = await world.wait_for_end(run_id)

    assert run.status == "failed"
    assert [call["node_id"] for call in script.list_calls("undo")] == ["second", "first"]


async def test_a_run_that_has_ended_cannot_be_cancelled(world: World) -> None:
    customer, _ = world.script()
    run = await world.run(make_plan({"a": "work"}, "trigger -> a", customer=customer))

    with pytest.raises(OperationRefused, match=r"has already ended \(completed\)"):
        await world.runs.cancel(run.id)


async def test_an_id_that_is_not_a_run_is_not_found(world: World) -> None:
    with pytest.raises(RunNotFound, match="no run 'nobody'"):
        await world.runs.cancel("nobody")


async def test_a_terminated_run_ends_at_once_with_its_reason(world: World) -> None:
    customer, script = world.script({"book": {"output": {"seat": "1"}}})
    nodes = {
        "book": {"type": "action", "action": "book", "compensate": UNDO},
        "nap": {"type": "delay", "delay_seconds": 600},
    }
    plan = make_plan(nodes, "trigger -> book", "book -> nap", customer=customer, settings={"compensate": "both"})
    run_id = await world.start(plan)
    await world.wait_for_waiting(run_id, "delay")

    await world.runs.terminate(run_id, "enough")
    run = await world.wait_for_end(run_id)

    assert run.status == "cancelled"
    assert run.failure is not None
    assert "enough" in run.failure["message"]
    assert collect_statuses(run) == {"book": "completed", "nap": "cancelled"}
    assert script.list_nodes() == ["book"]


async def test_a_branch_that_is_cancelled_from_outside_has_failed(world: World) -> None:
    """It says what it has done, as one that its run cancels: it counted as cancelled, and the run hung at the join."""
    customer, _ = world.script()
    nodes = {"fork": {"type": "parallel", "branches": [["ask"]]}, "ask": {"type": "wait", "config": {"event": "never"}}}
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))
    await world.wait_for_waiting(run_id, "event")

    await world.client.get_workflow_handle(f"{run_id}/fork[0]").cancel()
    run = await world.wait_for_end(run_id)

    assert run.failure is not None
    assert (run.status, run.failure["error_type"]) == ("failed", "cancelled")
    assert run.failure["message"] == "branch 0 of fork failed: the branch was cancelled"
