"""A run with all its branches, each asked for its own part of the run document."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.payloads import read_plan
from orchestrator.run import ENDED, Run, Status, StepDocument, milliseconds
from orchestrator.tasks import shortened

QUERY_SECONDS = 10.0
"""How long a worker may take to answer."""
MAX_BRANCHES = 1_000
"""Branches of a run that are asked; the newest."""
ASKED_AT_ONCE = 20
NOBODY = (RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
"""What Temporal answers a query that no worker takes."""
CLOSED_BY: dict[WorkflowExecutionStatus, tuple[Status, str, str]] = {
    WorkflowExecutionStatus.TERMINATED: ("cancelled", "cancelled", "the run was terminated"),
    WorkflowExecutionStatus.TIMED_OUT: ("failed", "timeout_error", "Temporal ended the run: it took too long"),
    WorkflowExecutionStatus.FAILED: ("failed", "unknown", "the run failed"),
    WorkflowExecutionStatus.CANCELED: ("cancelled", "cancelled", "the run was cancelled"),
}


@dataclass(slots=True)
class RunTree:
    """A run document, and which workflows it was made of."""

    run: Run
    running: list[str] = field(default_factory=list)
    """Workflow ids of branches that have not ended."""
    keepers: dict[str, str] = field(default_factory=dict)
    """Steps and nodes that wait for an operator, to the workflow that keeps them."""

    @classmethod
    async def read(cls, client: Client, run_id: str) -> "RunTree":
        """Ask a run and its branches; raises RPCError where the run is not there."""
        described = await client.get_workflow_handle(run_id).describe()
        try:
            answer = await _ask(client, run_id)
        except _NobodyAnswersError:
            return cls(_ended(await _from_start(client, run_id), described))
        tree = cls(Run.model_validate(answer["run"]))
        tree._note_keepers(run_id, tree.run)
        parts = await tree._branches(client, answer["branches"])
        tree.run = _with_attempts(_merged(tree.run, parts), [described, *[part[1] for part in parts]])
        tree.run = _ended(tree.run, described)
        return tree

    def keeper_of(self, wanted: str) -> str:
        """Give the workflow that keeps a waiting step, by the step's or its node's id; the run itself if none."""
        return self.keepers.get(wanted, self.run.id)

    def _note_keepers(self, workflow_id: str, part: Run) -> None:
        for wait in part.waiting_for:
            if wait.get("kind") == "operator":
                self.keepers[wait["step_id"]] = workflow_id
                self.keepers[wait["node_id"]] = workflow_id

    async def _branches(
        self, client: Client, branches: list[dict[str, Any]]
    ) -> list[tuple[Run, WorkflowExecutionDescription]]:
        """Ask the branches, and theirs; one that was never started has nothing to tell."""
        found: list[tuple[Run, WorkflowExecutionDescription]] = []
        waiting = list(branches)[-MAX_BRANCHES:]
        while waiting and len(found) < MAX_BRANCHES:
            batch, waiting = waiting[:ASKED_AT_ONCE], waiting[ASKED_AT_ONCE:]
            answers = await asyncio.gather(*(_branch(client, branch["workflow_id"]) for branch in batch))
            for branch, answer in zip(batch, answers, strict=True):
                if answer is None:
                    continue
                part, inner, described = answer
                found.append((part, described))
                waiting += inner
                if described.status == WorkflowExecutionStatus.RUNNING:
                    self.running.append(branch["workflow_id"])
                    self._note_keepers(branch["workflow_id"], part)
        return found


class _NobodyAnswersError(Exception):
    """No worker has answered the query."""


async def _ask(client: Client, workflow_id: str) -> dict[str, Any]:
    handle = client.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(QUERY_SECONDS):
            answer: dict[str, Any] = await handle.query("document")
    except (TimeoutError, WorkflowQueryFailedError) as error:
        raise _NobodyAnswersError from error
    except RPCError as error:
        if error.status in (
            RPCStatusCode.FAILED_PRECONDITION,
            RPCStatusCode.DEADLINE_EXCEEDED,
            RPCStatusCode.CANCELLED,
        ):
            raise _NobodyAnswersError from error
        raise
    return answer


async def _branch(
    client: Client, workflow_id: str
) -> tuple[Run, list[dict[str, Any]], WorkflowExecutionDescription] | None:
    try:
        described = await client.get_workflow_handle(workflow_id).describe()
        answer = await _ask(client, workflow_id)
    except _NobodyAnswersError:
        return None
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise
    return Run.model_validate(answer["run"]), answer["branches"], described


async def _from_start(client: Client, run_id: str) -> Run:
    """Say what stands in the first event, where no worker answers."""
    async for event in client.get_workflow_handle(run_id).fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        (request,) = await client.data_converter.decode(payloads, [dict])
        plan, info = read_plan(request)
        context = request.get("state", {}).get("context", {})
        return Run(
            id=run_id,
            workflow_id=plan.id,
            workflow_name=plan.name,
            workflow_version=plan.version,
            customer_id=info.customer_id,
            status="running",
            trigger_type=info.trigger_type,
            trigger_data=request.get("trigger", context.get("trigger")),
            input_data=request.get("input", context.get("input")),
            started_at=event.event_time.ToDatetime(UTC),
            parent_run_id=info.parent_run_id,
            retried_from=info.retried_from,
        )
    raise RPCError(f"run {run_id} has no history", RPCStatusCode.NOT_FOUND, b"")


def _merged(run: Run, parts: list[tuple[Run, WorkflowExecutionDescription]]) -> Run:
    """Put the steps of branches among those of the run, in the order they started."""
    if not parts:
        return run
    steps = sorted([*run.steps, *(step for part, _ in parts for step in part.steps)], key=lambda step: step.started_at)
    live = [part for part, described in parts if described.status == WorkflowExecutionStatus.RUNNING]
    waits = [*run.waiting_for, *(wait for part in live for wait in part.waiting_for)]
    status = run.status if run.status in ENDED else _status(steps)
    return run.model_copy(update={"steps": steps, "waiting_for": waits, "status": status})


def _status(steps: list[StepDocument]) -> Status:
    """Say waiting where nothing but waiting is under way; what owns open steps does not count."""
    under_way = [step for step in steps if step.status not in ENDED]
    owners = {step.path.rpartition("[")[0] for step in under_way}
    leaves = [step.status for step in under_way if step.id not in owners]
    return "waiting" if leaves and all(status == "waiting" for status in leaves) else "running"


def _with_attempts(run: Run, described: list[WorkflowExecutionDescription]) -> Run:
    """Show activities between two attempts as `retrying`, with what went wrong last."""
    again: dict[str, Any] = {}
    for description in described:
        for pending in description.raw_description.pending_activities:
            if pending.attempt > 1:
                again[pending.activity_id] = pending
    if not again:
        return run
    return run.model_copy(update={"steps": [_attempted(step, again.get(shortened(step.id))) for step in run.steps]})


def _attempted(step: StepDocument, pending: Any) -> StepDocument:
    if pending is None or step.status in ENDED:
        return step
    between = pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    failure = pending.last_failure
    error = {
        "message": failure.message,
        "error_type": failure.application_failure_info.type or "unknown",
        "details": {},
        "node_id": step.node_id,
        "recoverable": True,
        "timestamp": None,
    }
    status = "retrying" if between else step.status
    return step.model_copy(update={"status": status, "retry_count": pending.attempt - 1, "error": error})


def _ended(run: Run, described: WorkflowExecutionDescription) -> Run:
    """Say how Temporal ended a run that could not say so itself."""
    status = described.status
    if status is None or status == WorkflowExecutionStatus.RUNNING or run.status in ENDED:
        return run
    ended = described.close_time
    changed: dict[str, Any] = {"completed_at": ended, "waiting_for": [], "status": "completed"}
    if ended is not None and run.started_at is not None:
        changed["duration_ms"] = milliseconds(described.start_time, ended)
    if status in CLOSED_BY:
        shown, error_type, message = CLOSED_BY[status]
        changed["status"] = shown
        if shown == "failed" or status == WorkflowExecutionStatus.TERMINATED:
            failure: dict[str, Any] = {"message": message, "error_type": error_type, "details": {}, "node_id": None}
            changed |= {"error": message, "failure": {**failure, "recoverable": True, "timestamp": None}}
    return run.model_copy(update=changed)
