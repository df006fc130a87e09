"""Read a run with all its branches: each is queried for its part of the run document."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHistoryEventFilterType,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import ServerUnavailable, parse_error_type
from orchestrator.model.run import (
    ENDED,
    ErrorDocument,
    Run,
    RunSummary,
    Status,
    StepDocument,
    find_owner,
    format_timestamp,
)
from orchestrator.temporal.client.cancel_requests import find_cancel_request, is_cancel_requested
from orchestrator.temporal.client.failing_tasks import describe_failing_task
from orchestrator.temporal.closing_event import run_from_close_event
from orchestrator.temporal.payloads import shorten_id
from orchestrator.temporal.requests import read_request
from orchestrator.temporal.search_attributes import add_scheduled_time

QUERY_SECONDS = 10.0
"""How long to wait for a worker's answer."""
QUERY_RETRY_SECONDS = 0.2
MAX_BRANCHES = 1_000
"""Branches of a run that are queried, the newest first."""
QUERIES_AT_ONCE = 20
NO_WORKER_STATUSES = (RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
"""Temporal's answers to a query that no worker takes."""
EXPIRED_STATUSES = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
"""Its answers to one that a worker took too long for, as while it replays long histories."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The part of the run document that one branch returned."""

    workflow_id: str
    path: str
    run: Run
    inner: list[dict[str, Any]]
    """Its own branches, as listed in its answer: `{workflow_id, path, status}`."""
    pending: list[Any]
    """Its pending activities, as Temporal describes them."""
    running: bool


@dataclass(slots=True)
class RunTree:
    """The document of a run, and the branches that it was read from."""

    run: Run
    branches: list[Branch] = field(default_factory=list)

    @classmethod
    async def read(cls, client: Client, run_id: str, previous: "RunTree | None" = None) -> "RunTree":
        """Query a run and its branches; raises RPCError where there is no such run.

        Branches that had ended in `previous` are not queried again.
        """
        described = await client.get_workflow_handle(run_id).describe()
        try:
            answer = await _query_document(client, run_id)
        except _NoWorkerAnswersError:
            tree = cls(await _run_from_first_event(client, described))
        else:
            tree = cls(Run.model_validate(answer["run"]))
            known = previous.branches if previous else []
            tree.branches, problems = await _read_branches(client, answer["branches"], known)
            tree.run = _mark_unread(_merge_branches(tree.run, tree.branches), problems)
            pending = [*described.raw_description.pending_activities]
            pending += [activity for branch in tree.branches for activity in branch.pending]
            tree.run = _mark_pending(_mark_retrying(tree.run, pending), pending)
        if described.status != WorkflowExecutionStatus.RUNNING and tree.run.status not in ENDED:
            tree.run = await _apply_close_event(client, described, tree.run)
        if is_cancel_requested(described, tree.run.status):
            request = await find_cancel_request(client, run_id, str(described.run_id))
            tree.run = tree.run.model_copy(update=request.to_fields())
        failing = await describe_failing_task(client, described)
        if failing is not None:
            waits = [wait for wait in tree.run.waiting_for if wait["kind"] != "worker"]
            tree.run = tree.run.model_copy(update={"waiting_for": [*waits, failing]})
        return tree

    @property
    def running(self) -> list[str]:
        """Return the workflow ids of the branches that are running."""
        return [branch.workflow_id for branch in self.branches if branch.running]

    def find_waiting_workflow(self, wanted: str) -> str:
        """Return the workflow that a step waits in, by the step's or its node's id; the run itself if none does.

        Raises ServerUnavailable where the step may be in a branch that could not be read.
        """
        for branch in self.branches:
            for wait in branch.run.waiting_for if branch.running else ():
                if wait["kind"] == "operator" and wanted in (wait["step_id"], wait["node_id"]):
                    return branch.workflow_id
        if not self.run.complete and not any(
            wanted in (wait["step_id"], wait["node_id"]) for wait in self.run.waiting_for
        ):
            raise no_worker_error()
        return self.run.id


class _NoWorkerAnswersError(Exception):
    """No worker answered the query."""

    def __init__(self, wait: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.wait = wait
        """Why, as an entry of `waiting_for`, where that is known."""


async def _query_document(client: Client, workflow_id: str) -> dict[str, Any]:
    handle = client.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(QUERY_SECONDS):
            while True:
                try:
                    answer: dict[str, Any] = await handle.query("document")
                except RPCError as error:
                    if error.status not in EXPIRED_STATUSES:
                        raise
                    await asyncio.sleep(QUERY_RETRY_SECONDS)
                else:
                    return answer
    except (TimeoutError, WorkflowQueryFailedError) as error:
        raise _NoWorkerAnswersError from error
    except RPCError as error:
        if error.status in NO_WORKER_STATUSES:
            raise _NoWorkerAnswersError from error
        raise


async def _read_branches(
    client: Client, listed: list[dict[str, Any]], previous: list[Branch]
) -> tuple[list[Branch], list[_NoWorkerAnswersError]]:
    """Query the branches and their branches; return them, and what kept others from being read.

    A branch that has never started has nothing to read.
    """
    known = {branch.workflow_id: branch for branch in previous if not branch.running}
    waiting = {branch["workflow_id"]: branch for branch in listed[-MAX_BRANCHES:]}
    problems = [] if len(waiting) == len(listed) else [_NoWorkerAnswersError()]
    branches: dict[str, Branch] = {}
    while waiting and len(branches) < MAX_BRANCHES:
        batch = [waiting.pop(name) for name in list(waiting)[:QUERIES_AT_ONCE]]
        results = await asyncio.gather(*(_read_branch(client, entry, known) for entry in batch), return_exceptions=True)
        for branch in results:
            if isinstance(branch, _NoWorkerAnswersError):
                problems.append(branch)
            elif isinstance(branch, BaseException):
                raise branch
            elif branch is not None:
                branches[branch.workflow_id] = branch
                waiting |= {entry["workflow_id"]: entry for entry in branch.inner}
    return list(branches.values()), problems + [_NoWorkerAnswersError() for _ in waiting]


async def _read_branch(client: Client, branch: dict[str, Any], known: dict[str, Branch]) -> Branch | None:
    """Query one branch; one that has ended is queried once and needs no description.

    Returns `None` where it has never started; raises _NoWorkerAnswersError where it cannot be read.
    """
    workflow_id, over = branch["workflow_id"], branch["status"] != "running"
    if over and workflow_id in known:
        return known[workflow_id]
    pending: list[Any] = []
    try:
        if not over:
            described = await client.get_workflow_handle(workflow_id).describe()
            over = described.status != WorkflowExecutionStatus.RUNNING
            pending = [*described.raw_description.pending_activities]
            failing = await describe_failing_task(client, described)
            if failing is not None:
                raise _NoWorkerAnswersError({**failing, "path": branch["path"]})
        answer = await _query_document(client, workflow_id)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        if over:  # it has run, and Temporal has deleted it since
            raise _NoWorkerAnswersError from error
        return None
    return Branch(workflow_id, branch["path"], Run.model_validate(answer["run"]), answer["branches"], pending, not over)


async def _apply_close_event(client: Client, described: WorkflowExecutionDescription, run: Run) -> Run:
    """Return the run as its closing event says it ended."""
    handle = client.get_workflow_handle(described.id, run_id=described.run_id)
    closing = WorkflowHistoryEventFilterType.CLOSE_EVENT
    async for event in handle.fetch_history_events(event_filter_type=closing):
        return await run_from_close_event(run, event, client.data_converter)
    return run


async def _run_from_first_event(client: Client, described: WorkflowExecutionDescription) -> Run:
    """Return what the first history event says of a run, where no worker answers."""
    run_id = described.id
    async for event in client.get_workflow_handle(run_id).fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        values = await client.data_converter.decode(payloads) or [None]
        request = await asyncio.to_thread(read_request, values[0])
        plan, info = _as_object(request.get("plan")), _as_object(request.get("run"))
        context = _as_object(_as_object(request.get("state")).get("context"))
        summary = RunSummary(
            id=run_id,
            workflow_id=str(plan.get("id", "")),
            workflow_version=int(plan.get("version", 1)),
            customer_id=str(info.get("customer_id", "")),
            status="running",
            trigger_type=str(info.get("trigger_type", "manual")),
            started_at=event.event_time.ToDatetime(UTC),
            rerun_of=info.get("rerun_of"),
        )
        trigger = request.get("trigger", context.get("trigger"))
        return Run.from_summary(
            summary,
            workflow_name=str(plan.get("name", "")),
            trigger_data=add_scheduled_time(trigger, described.typed_search_attributes),
            input_data=request.get("input", context.get("input")),
            waiting_for=[{"node_id": None, "step_id": None, "kind": "worker", "message": "no worker answers"}],
            complete=False,
            parent_run_id=info.get("parent_run_id"),
        )
    raise RPCError(f"run {run_id} has no history", RPCStatusCode.NOT_FOUND, b"")


def _as_object(value: Any) -> dict[str, Any]:
    """Return an object, or an empty one: the request may be one that no worker could read."""
    return value if isinstance(value, dict) else {}


def _merge_branches(run: Run, branches: list[Branch]) -> Run:
    """Merge the steps of branches into those of the run, in the order they started."""
    if not branches:
        return run
    steps = sorted(
        [*run.steps, *(step for branch in branches for step in branch.run.steps)], key=lambda step: step.started_at
    )
    live = [branch for branch in branches if branch.running]
    changed: dict[str, Any] = {"steps": steps}
    if run.status not in ENDED:
        # The run itself counts the steps of a branch once that has ended.
        changed["steps_total"] = run.steps_total + sum(branch.run.steps_total for branch in live)
        changed["steps_completed"] = run.steps_completed + sum(branch.run.steps_completed for branch in live)
        changed["waiting_for"] = [*run.waiting_for, *(wait for branch in live for wait in branch.run.waiting_for)]
        changed["status"] = _combine_status(run, live)
    return run.model_copy(update=changed)


def _mark_unread(run: Run, problems: list[_NoWorkerAnswersError]) -> Run:
    """Mark a run incomplete where branches could not be read, and say why where that is known."""
    if not problems:
        return run
    waits = [problem.wait for problem in problems if problem.wait is not None]
    return run.model_copy(update={"complete": False, "waiting_for": [*run.waiting_for, *waits]})


def _combine_status(run: Run, live: list[Branch]) -> Status:
    """Return `waiting` where every flow only waits; loops and parallels with open steps inside do not count."""
    flows = [run, *(branch.run for branch in live)]
    inside = [step.path for flow in flows for step in _list_open_steps(flow)] + [branch.path for branch in live]
    owners = {find_owner(path) for path in inside}
    statuses: list[str] = []
    for flow in flows:
        if flow.status == "waiting":
            statuses.append("waiting")
        elif steps := _list_open_steps(flow):
            statuses += [step.status for step in steps if step.id not in owners]
        else:
            statuses.append("running")
    return "waiting" if statuses and all(status == "waiting" for status in statuses) else "running"


def no_worker_error() -> ServerUnavailable:
    """Build the error for a query or an update that no worker has answered."""
    return ServerUnavailable("no worker answers", hint="start one with `orchestrator worker`")


def _list_open_steps(run: Run) -> list[StepDocument]:
    return [step for step in run.steps if step.status not in ENDED]


def _mark_retrying(run: Run, pending: list[Any]) -> Run:
    """Show activities between two attempts as `retrying`, with their last error."""
    retried = {activity.activity_id: activity for activity in pending if activity.attempt > 1}
    if not retried:
        return run
    return run.model_copy(
        update={"steps": [_mark_step_retrying(step, retried.get(shorten_id(step.id))) for step in run.steps]}
    )


def _mark_pending(run: Run, pending: list[Any]) -> Run:
    """Show activities that no worker has taken yet as `pending`, with their task queue and since when they wait."""
    untaken = {activity.activity_id: activity for activity in pending if _is_untaken(activity)}
    steps, waits = [], list(run.waiting_for)
    for step in run.steps:
        activity = None if step.status in ENDED else untaken.get(shorten_id(step.id))
        if activity is None:
            steps.append(step)
            continue
        steps.append(step.model_copy(update={"status": "pending"}))
        waits.append(_describe_queue(step, activity))
    return run.model_copy(update={"steps": steps, "waiting_for": waits})


def _is_untaken(activity: Any) -> bool:
    scheduled = activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    return scheduled and activity.attempt <= 1 and not activity.HasField("last_started_time")


def _describe_queue(step: StepDocument, activity: Any) -> dict[str, Any]:
    since = activity.scheduled_time.ToDatetime(tzinfo=UTC)
    queue = activity.activity_options.task_queue.name
    seconds = max((datetime.now(UTC) - since).total_seconds(), 0.0)
    return {
        "node_id": step.node_id,
        "step_id": step.id,
        "kind": "worker",
        "queue": queue,
        "since": format_timestamp(since),
        "message": f"no worker has taken it from task queue {queue!r} for {seconds:.0f} s",
    }


def _mark_step_retrying(step: StepDocument, pending: Any) -> StepDocument:
    if pending is None or step.status in ENDED:
        return step
    between = pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    failure = pending.last_failure
    error_type = parse_error_type(failure.application_failure_info.type)
    error = ErrorDocument(message=failure.message, error_type=error_type, node_id=step.node_id).to_json()
    status = "retrying" if between else step.status
    return step.model_copy(update={"status": status, "retry_count": pending.attempt - 1, "error": error})
