"""A run whose workflow task fails says so, and can still be terminated."""

import asyncio
from collections.abc import Sequence

import pytest
from temporalio import workflow
from temporalio.api.command.v1 import Command, StartTimerCommandAttributes
from temporalio.api.enums.v1 import CommandType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    RespondWorkflowTaskCompletedRequest,
)
from temporalio.common import RawValue
from temporalio.service import RPCError
from temporalio.worker import Worker

from orchestrator.errors import ServerUnavailable
from orchestrator.model.run import Run
from orchestrator.temporal.client import updates
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.worker import set_deadlock_timeout
from tests.temporal.world import NONE, World, make_plan, run_scripted_worker, wait_until

pytestmark = pytest.mark.temporal


@workflow.defn(dynamic=True)
class BrokenWorkflow:
    """A release with a bug."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        """Fail as a bug would."""
        raise RuntimeError("the bug of this release")


@pytest.mark.slow
async def test_a_run_whose_workflow_task_fails_says_so(world: World) -> None:
    # The document said that no worker answers, although one did all the time.
    customer, _ = world.script()
    settings = world.runs.settings.model_copy(update={"task_queue": "broken"})
    runs = Runs(world.client, settings)
    plan = make_plan({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a", customer=customer)
    worker = Worker(world.client, task_queue="broken", workflows=[BrokenWorkflow], workflow_runner=NONE)
    set_deadlock_timeout(worker)
    async with worker:
        run_id = (await runs.start(runs.prepare(plan))).id

        async def has_failed() -> Run | None:
            run = await runs.reader.read_document(run_id)
            return run if any(wait["kind"] == "workflow_task" for wait in run.waiting_for) else None

        run = await wait_until(has_failed)
        await runs.terminate(run_id, "it is broken")

    (wait,) = run.waiting_for
    assert run.status == "running"
    assert wait["message"].startswith("its workflow task fails and is tried again (attempt ")
    assert wait["message"].endswith("the bug of this release")


@pytest.mark.slow
async def test_a_repair_that_came_with_a_failing_workflow_task_is_sent_again(world: World) -> None:
    """The server fails the task, for example, where an execution ends just as a signal arrives."""
    alone, run_id = await start_delay(world, "repaired")

    repair = asyncio.create_task(alone.runs.repair(run_id, {"kind": "skip_wait", "node_id": "a"}))
    await fail_task_with_update(alone)
    async with run_scripted_worker(alone):
        done = await repair
        run = await alone.wait_for_end(run_id)

    assert (done["kind"], run.status) == ("skip_wait", "completed")
    assert len(run.interventions) == 1


@pytest.mark.slow
async def test_a_repair_whose_workflow_task_keeps_failing_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "SENDS", 1)
    alone, run_id = await start_delay(world, "failing")

    repair = asyncio.create_task(alone.runs.repair(run_id, {"kind": "skip_wait", "node_id": "a"}))
    await fail_task_with_update(alone)
    with pytest.raises(ServerUnavailable, match="the workflow task of the run fails"):
        await repair
    await alone.runs.terminate(run_id)


async def start_delay(world: World, queue: str) -> tuple[World, str]:
    """Start a run on a queue of its own, and stop the worker when the run waits."""
    customer, _ = world.script()
    runs = Runs(world.client, world.runs.settings.model_copy(update={"task_queue": queue}))
    alone = World(world.client, runs, world.scripts, queue)
    plan = make_plan({"a": {"type": "delay", "delay_seconds": 900_000}}, "trigger -> a", customer=customer)
    run_id = await alone.start(plan)
    async with run_scripted_worker(alone, max_cached_workflows=0):
        await alone.wait_for_waiting(run_id, "delay")
    return alone, run_id


async def fail_task_with_update(world: World) -> None:
    """Answer the workflow task that brings an update with a command that the server does not accept."""
    client, service = world.client, world.client.workflow_service
    request = PollWorkflowTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=world.queue))
    while not (task := await service.poll_workflow_task_queue(request, retry=True)).messages:
        pass
    timer = Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER, start_timer_command_attributes=StartTimerCommandAttributes()
    )
    with pytest.raises(RPCError, match="TimerId is not set"):
        await service.respond_workflow_task_completed(
            RespondWorkflowTaskCompletedRequest(
                namespace=client.namespace, task_token=task.task_token, commands=[timer]
            )
        )
