"""A run whose workflow task keeps failing can still be cancelled, and still has its time limit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.worker import Worker

from orchestrator.model.run import Run
from orchestrator.service.services import Services
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.workflow.run_workflow import RunWorkflow
from orchestrator.temporal.workflow_types import BRANCH_SUFFIX
from tests.api.support import WAIT, serve_api
from tests.temporal.test_failing_tasks import BrokenWorkflow
from tests.temporal.world import NONE, World, make_plan, wait_until

pytestmark = [pytest.mark.temporal, pytest.mark.slow]  # Temporal counts a failure in a row as one after ten seconds


@workflow.defn(dynamic=True)
class BrokenBranches(RunWorkflow):
    """A release with a bug that only branches meet."""

    @workflow.init
    def __init__(self, args: Sequence[RawValue]) -> None:
        super().__init__(args)

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """Fail in branches."""
        if workflow.info().workflow_type.endswith(BRANCH_SUFFIX):
            raise RuntimeError("the bug of branches")
        return await super().run(args)


@asynccontextmanager
async def serve_broken(world: World, home: Path, broken: type, seconds: float) -> AsyncIterator[tuple[Services, Runs]]:
    """Serve the API and a worker that fails workflow tasks."""
    queue = f"broken-{next(world.numbers)}"
    runs = Runs(world.client, world.runs.settings.model_copy(update={"task_queue": queue}))
    async with (
        Worker(world.client, task_queue=queue, workflows=[broken], workflow_runner=NONE),
        serve_api(world, home, failing_run_seconds=seconds) as (services, _),
    ):
        yield services, runs


def make_waiting_plan(customer: str, **more: Any) -> Any:
    return make_plan({"a": WAIT}, "trigger -> a", customer=customer, **more)


async def wait_for_end(runs: Runs, run_id: str) -> Run:
    async def read_ended() -> Run | None:
        run = await runs.reader.read_document(run_id)
        return run if run.completed_at else None

    ended: Run = await wait_until(read_ended)
    return ended


async def test_failing_runs_end_when_they_are_cancelled_or_their_time_is_over(world: World, tmp_path: Path) -> None:
    """Only their workflow code could do either, and it never ran: both were running for ever."""
    customer, _ = world.script()
    async with serve_broken(world, tmp_path, BrokenWorkflow, 0) as (services, runs):
        cancelled = (await runs.start(runs.prepare(make_waiting_plan(customer)))).id
        late = (await runs.start(runs.prepare(make_waiting_plan(customer, settings={"timeout_seconds": 1})))).id
        other = (await runs.start(runs.prepare(make_waiting_plan(customer)))).id
        await runs.cancel(cancelled)
        ended = await asyncio.gather(wait_for_end(runs, cancelled), wait_for_end(runs, late))
        untouched = await runs.reader.read_document(other)
        expected = {cancelled: "cancelled", late: "failed", other: "running"}

        async def are_listed() -> bool:
            """Lists follow the histories."""
            listed = await runs.visibility.list_runs(customer_id=customer)
            return {run.id: run.status for run in listed} == expected

        await wait_until(are_listed)
        failed = [run.id for run in await runs.visibility.list_runs(customer_id=customer, status="failed")]

        async def read_indexed() -> dict[str, str] | None:
            found = {run.id: run.status for run in await services.operations.list_runs(customer)}
            return found if found.get(cancelled) == "cancelled" and found.get(late) == "failed" else None

        assert await wait_until(read_indexed)
        await runs.terminate(other)

    failures = [run.failure or {} for run in ended]
    assert [run.status for run in ended] == ["cancelled", "failed"]
    assert [failure["error_type"] for failure in failures] == ["cancelled", "timeout_error"]
    assert failures[0]["message"].startswith("the run was cancelled while its workflow task kept failing (")
    assert "the bug of this release" in failures[1]["message"]
    assert untouched.status == "running"
    assert failed == [late]
    assert REGISTRY.get_sample_value("orchestrator_failing_runs_ended_total", {"error_type": "timeout_error"})


@pytest.mark.long
async def test_a_failing_branch_does_not_keep_its_run_from_being_cancelled(world: World, tmp_path: Path) -> None:
    customer, _ = world.script()
    nodes = {"fork": {"type": "parallel", "branches": [["a"]]}, "a": WAIT}
    async with serve_broken(world, tmp_path, BrokenBranches, 0) as (_, runs):
        run_id = (await runs.start(runs.prepare(make_plan(nodes, "trigger -> fork", customer=customer)))).id

        async def read_wait() -> Run | None:
            run = await runs.reader.read_document(run_id)
            return run if any(wait["kind"] == "workflow_task" for wait in run.waiting_for) else None

        failing: Run = await wait_until(read_wait)
        await runs.cancel(run_id)
        ended = await wait_for_end(runs, run_id)

    (wait,) = (wait for wait in failing.waiting_for if wait["kind"] == "workflow_task")
    assert (failing.complete, wait["path"]) == (False, "fork[0]")
    assert "the bug of branches" in wait["message"]
    assert ended.status == "cancelled"


async def test_a_repaired_worker_has_time_to_cancel_a_run_properly(world: World, tmp_path: Path) -> None:
    customer, _ = world.script()
    async with serve_broken(world, tmp_path, BrokenWorkflow, 600) as (services, runs):
        run_id = (await runs.start(runs.prepare(make_waiting_plan(customer)))).id
        await runs.cancel(run_id)

        async def is_due() -> bool:
            return any(execution.workflow_id == run_id for execution in services.failing_runs._due)

        await wait_until(is_due)
        still = await runs.reader.read_document(run_id)
    queue = runs.settings.task_queue
    async with Worker(world.client, task_queue=queue, workflows=[RunWorkflow], workflow_runner=NONE):
        run = await wait_for_end(runs, run_id)

    assert still.status == "running"
    assert (run.status, run.failure) == ("cancelled", None)
