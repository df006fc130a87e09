"""Runs survive the workers that execute them."""

import asyncio
import logging
import time
from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from activities.registry import Registry
from orchestrator.errors import ServerUnavailable
from orchestrator.model.run import Run
from orchestrator.planner.planner import check
from orchestrator.temporal.client import run_tree
from orchestrator.temporal.client.run_reader import RunReader
from orchestrator.temporal.worker import run_worker
from tests.temporal import slow_actions
from tests.temporal.world import SECONDS, STRICT, World, make_definition, make_plan, run_scripted_worker, wait_until

pytestmark = pytest.mark.temporal

LOOP = {"type": "loop", "collection": 12, "body": ["step"], "config": {"collect": "{{ item }}"}}


@pytest.fixture
def alone(world: World) -> World:
    """The same server, with a queue that no worker serves yet."""
    queue = f"alone-{next(world.numbers)}"
    settings = world.runs.settings.model_copy(update={"task_queue": queue})
    return replace(world, runs=type(world.runs)(world.client, settings), queue=queue)


async def test_a_run_continues_on_another_worker(alone: World) -> None:
    customer, script = alone.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["each"], ["ask"]]},
        "each": LOOP,
        "step": "work",
        "middle": {"type": "condition", "condition": {"field": "item", "operator": "equals", "value": 4}},
        "rest": {"type": "wait", "config": {"event": "continue"}},
        "ask": {"type": "wait", "config": {"event": "go"}},
    }
    plan = make_plan(nodes, "trigger -> fork", "step -> middle", "middle -true-> rest", customer=customer)
    async with run_scripted_worker(alone):
        run_id = await alone.start(plan)

        async def are_waiting() -> bool:
            run = await alone.runs.reader.read_document(run_id)
            return {"rest", "ask"} <= {wait["node_id"] for wait in run.waiting_for}

        await wait_until(are_waiting)
    before = len(script.calls)
    await alone.runs.send_event(run_id, "go", 1)
    await alone.runs.send_event(run_id, "continue")
    async with run_scripted_worker(alone):
        run = await alone.wait_for_end(run_id)

    assert run.status == "completed"
    assert (before, len(script.calls)) == (5, 12)
    assert next(step for step in run.steps if step.node_id == "each").output_data["items"] == list(range(12))


@pytest.mark.long
@pytest.mark.slow
async def test_a_run_evicted_after_every_task_behaves_the_same(alone: World) -> None:
    """Each workflow task replays everything before it, so nondeterministic code fails here."""
    customer, script = alone.script({"flaky": [{"error": {"message": "busy"}}, {"output": {}}]})
    nodes = {
        "fork": {"type": "parallel", "branches": [["each"], ["ask"], ["nap"]], "config": {"join": 2}},
        "each": LOOP,
        "step": "work",
        "ask": {"type": "wait", "config": {"event": "go", "timeout_seconds": 600}},
        "nap": {"type": "delay", "delay_seconds": 600},
        "map": {"type": "loop", "collection": 5, "body": ["part"], "config": {"max_concurrency": 3}},
        "part": {"type": "action", "action": "flaky", "retry": {"initial_interval": 0.05}},
    }
    plan = make_plan(nodes, "trigger -> fork", "fork -> map", customer=customer, settings={"timeout_seconds": 600})
    async with run_scripted_worker(alone, STRICT, max_cached_workflows=0, max_concurrent_workflow_task_polls=2):
        run_id = await alone.start(plan)
        await alone.runs.send_event(run_id, "go", 1)
        run = await alone.wait_for_end(run_id)

    assert run.status == "completed"
    assert len(script.list_calls("work")) == 12
    assert next(step for step in run.steps if step.id == "fork[2]/nap").status == "cancelled"


async def test_a_run_whose_worker_is_stopped_is_read_whole(alone: World) -> None:
    customer, _ = alone.script()
    nodes = {
        "a": "work",
        "fork": {"type": "parallel", "branches": [["b"], ["c"]], "config": {"mode": "child"}},
        "b": "work",
        "c": "work",
        "ask": {"type": "wait", "config": {"event": "go"}},
    }
    plan = make_plan(nodes, "trigger -> a", "a -> fork", "fork -> ask", customer=customer)
    run_id = await alone.start(plan, {"n": 1}, trigger={"t": 2})

    untaken = await alone.wait_for_waiting(run_id, "worker")
    async with run_scripted_worker(alone):
        asked = await alone.wait_for_waiting(run_id, "event")
    waiting = await RunReader(alone.client, alone.runs.settings).read_document(run_id)
    await alone.runs.terminate(run_id)

    assert (untaken.status, untaken.input_data, untaken.trigger_data) == ("pending", {"n": 1}, {"t": 2})
    assert untaken.waiting_for[0]["message"].startswith("no worker has taken it from task queue")
    assert waiting == asked
    assert sorted(step.id for step in waiting.steps) == ["a", "ask", "fork", "fork[0]/b", "fork[1]/c"]
    assert waiting.complete


@pytest.mark.slow
async def test_a_document_without_the_steps_of_a_branch_says_so(world: World) -> None:
    """Temporal has deleted one of its histories."""
    customer, _ = world.script()
    nodes = {"fork": {"type": "parallel", "branches": [["a"], ["b"]]}, "a": "work", "b": "work"}
    whole = await world.run(make_plan(nodes, "trigger -> fork", customer=customer))
    deleted = WorkflowExecution(workflow_id=f"{whole.id}/fork[1]")
    request = DeleteWorkflowExecutionRequest(namespace=world.client.namespace, workflow_execution=deleted)
    await world.client.workflow_service.delete_workflow_execution(request, retry=True)
    reader = RunReader(world.client, world.runs.settings)

    async def is_partial() -> bool:
        return not (await reader.read_document(whole.id)).complete

    await wait_until(is_partial)
    partial = await reader.read_document(whole.id)

    assert whole.complete
    assert [step.id for step in partial.steps] == ["fork", "fork[0]/a"]


async def test_a_step_in_a_branch_that_cannot_be_read_is_not_said_to_be_absent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, _ = world.script({"broken": {"error": {"message": "no", "recoverable": False}}})
    nodes = {
        "fork": {"type": "parallel", "branches": [["bad"]]},
        "bad": {"type": "action", "action": "broken", "on_error": "pause"},
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))
    await world.wait_for_waiting(run_id, "operator")

    async def refuse_branch(*_: Any) -> run_tree._Unread:
        return run_tree._Unread()

    with monkeypatch.context() as patched:
        patched.setattr(run_tree, "_read_branch", refuse_branch)
        with pytest.raises(ServerUnavailable, match="no worker answers"):
            await world.runs.resolve(run_id, "bad", "skip")
    await world.runs.resolve(run_id, "bad", "skip")

    assert (await world.wait_for_end(run_id)).status == "completed"


async def test_a_worker_shuts_down_after_its_actions(world: World) -> None:
    """With the real wiring: `run_worker` and a registry."""
    registry = Registry()
    registry.add_module(slow_actions)
    settings = world.runs.settings.model_copy(update={"task_queue": "real", "shutdown_seconds": 60.0})
    runs = type(world.runs)(world.client, settings)
    plan = make_plan(
        {"a": {"type": "action", "action": "tests.slow", "config": {"seconds": 0.5}}}, "trigger -> a", customer="real"
    )
    async with run_worker(world.client, settings, registry):
        run_id = (await runs.start(runs.prepare(plan))).id

        async def has_begun() -> bool:
            return slow_actions.begun == 1

        await wait_until(has_begun)
    ended = slow_actions.ended
    async with run_worker(world.client, settings, registry):
        run = await runs.reader.wait_for_result(run_id)

    assert ended == 1
    assert (run.status, run.steps[0].output_data) == ("completed", {"slept": 0.5})
    assert slow_actions.begun == 1


async def test_an_action_learns_of_its_cancellation_within_seconds(world: World) -> None:
    """The SDK holds heartbeats back for 80 % of their timeout unless the worker says otherwise: 48 s of these 60."""
    registry = Registry()
    registry.add_module(slow_actions)
    settings = world.runs.settings.model_copy(update={"task_queue": "beating"})
    runs = type(world.runs)(world.client, settings)
    plan = check(
        make_definition({"a": {"type": "action", "action": "tests.endless"}}, "trigger -> a"), registry=registry
    ).require()
    async with run_worker(world.client, settings, registry):
        run_id = (await runs.start(runs.prepare(plan))).id

        async def has_started() -> bool:
            return slow_actions.endless_begun

        await wait_until(has_started)
        asked_at = time.monotonic()
        await runs.cancel(run_id)
        run = await runs.reader.wait_for_result(run_id)

    assert run.status == "cancelled"
    assert slow_actions.cancelled_at[0] - asked_at < 30


async def test_a_step_whose_function_cannot_be_stopped_is_cancelled_all_the_same(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry()
    registry.add_module(slow_actions)
    settings = world.runs.settings.model_copy(update={"task_queue": "stubborn"})
    runs = type(world.runs)(world.client, settings)
    definition = make_definition({"a": {"type": "action", "action": "tests.stubborn"}}, "trigger -> a")
    async with run_worker(world.client, settings, registry):
        run_id = (await runs.start(runs.prepare(check(definition, registry=registry).require()))).id
        assert await asyncio.to_thread(slow_actions.stubborn_begun.wait, SECONDS)
        await runs.cancel(run_id)
        run = await runs.reader.wait_for_result(run_id)

        assert not slow_actions.stubborn_ended.is_set(), "the run ended while the function was running"
        assert (run.status, run.steps[0].status) == ("cancelled", "cancelled")
        with caplog.at_level(logging.WARNING):
            slow_actions.stubborn_gate.set()
            assert await asyncio.to_thread(slow_actions.stubborn_ended.wait, SECONDS)

            async def is_reported() -> bool:
                return "tests.stubborn returned after its attempt had ended" in caplog.text

            await wait_until(is_reported)
    assert slow_actions.was_cancelled == [True]


async def test_a_step_that_no_worker_has_taken_is_pending_and_so_is_its_run(world: World) -> None:
    """They were shown as running for ever, although no worker polls the queue."""
    customer, _ = world.script()
    plan = make_plan(
        {"a": {"type": "action", "action": "work", "task_queue": "gpu"}}, "trigger -> a", customer=customer
    )
    run_id = await world.start(plan)

    async def find_pending() -> Run | None:
        run = await world.runs.reader.read_document(run_id)
        is_begun = [wait["step_id"] for wait in run.waiting_for] == ["a"]  # before, the run itself may be pending
        return run if is_begun and run.status == "pending" else None

    run: Run = await wait_until(find_pending)
    await world.runs.terminate(run_id, "enough")

    (wait,) = run.waiting_for
    assert run.steps[0].status == "pending"
    assert {name: wait[name] for name in ("node_id", "step_id", "queue")} == {
        "node_id": "a",
        "step_id": "a",
        "queue": "gpu",
    }
    assert wait["since"].endswith("Z")
    assert wait["message"].startswith("no worker has taken it from task queue 'gpu' for ")
