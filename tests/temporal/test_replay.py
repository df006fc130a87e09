"""Every recorded history replays on the current code."""

import json
from collections.abc import AsyncIterator, Iterable

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from orchestrator.temporal.replay import replay
from orchestrator.temporal.workflow.run_workflow import RunWorkflow
from tests.histories import HISTORIES, read_histories

pytestmark = pytest.mark.temporal

QUICK = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules("orchestrator"))
NAMES = sorted(path.stem for path in HISTORIES.glob("*.json"))
STRICT_CASES = (
    "recursion-a-parallel-in-a-loop-in-a-branch-keeps-its-paths",
    "rollback-an-operator-goes-back-to-an-earlier-node",
    "persistent-trigger-early-events-are-buffered-in-order",
    "example-saga-booking-cancels-what-was-booked",
)


async def find_mismatches(executions: Iterable[WorkflowHistory]) -> dict[str, Exception]:
    """Replay histories; return the failures by run id."""

    async def compare_each() -> AsyncIterator[WorkflowHistory]:
        for execution in executions:
            yield execution

    replayer = Replayer(workflows=[RunWorkflow], workflow_runner=QUICK)
    return dict((await replayer.replay_workflows(compare_each(), raise_on_replay_failure=False)).replay_failures)


@pytest.fixture(scope="session")
async def failures() -> dict[str, list[str]]:
    """Replay all histories; return the failures by name."""
    cases = dict(read_histories())
    mismatches = await find_mismatches(execution for executions in cases.values() for execution in executions)
    return {
        name: [str(mismatches[execution.run_id]) for execution in executions if execution.run_id in mismatches]
        for name, executions in cases.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_history_still_replays(name: str, failures: dict[str, list[str]]) -> None:
    assert failures[name] == []


@pytest.mark.parametrize("name", STRICT_CASES)
async def test_a_workflow_does_nothing_that_the_sandbox_forbids(name: str) -> None:
    executions = dict(read_histories())[name]

    mismatches = [await replay(execution.workflow_id, execution.to_json()) for execution in executions]

    assert mismatches == [None] * len(executions)


async def test_a_history_that_does_not_replay_is_detected() -> None:
    (execution,) = dict(read_histories())["sequence-nodes-run-in-order"]
    other = json.loads(execution.to_json().replace('"activityId": "b"', '"activityId": "x"'))

    mismatches = await find_mismatches([WorkflowHistory.from_json(execution.workflow_id, other)])

    assert [type(error).__name__ for error in mismatches.values()] == ["NondeterminismError"]
