"""A run whose workflow task fails says so, and can still be terminated."""

from collections.abc import Sequence

import pytest
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.worker import Worker

from orchestrator.model.run import Run
from orchestrator.temporal.client.runs import Runs
from tests.temporal.world import NONE, World, make_plan, wait_until

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
    async with Worker(world.client, task_queue="broken", workflows=[BrokenWorkflow], workflow_runner=NONE):
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
