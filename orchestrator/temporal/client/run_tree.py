"""Read a run with all its branches: each history holds its part of the run document."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHistoryEventFilterType,
)
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import OperationRefused, ServerUnavailable
from orchestrator.model.plan import DEFAULT_STEP_LOG_LIMIT
from orchestrator.model.run import ENDED, Run, Status, StepDocument, find_owner
from orchestrator.model.run_paths import is_batch_path, is_inside
from orchestrator.temporal.business_keys import decode_keys
from orchestrator.temporal.client.cancel_requests import find_cancel_request, is_cancel_requested
from orchestrator.temporal.client.failing_tasks import describe_failing_task
from orchestrator.temporal.client.flow_reader import FlowReader
from orchestrator.temporal.client.pending_work import describe_untaken_task, mark_pending_work
from orchestrator.temporal.closing_event import run_from_close_event
from orchestrator.temporal.history.reader import FlowReading
from orchestrator.temporal.search_attributes import BUSINESS_KEYS

MAX_LISTED = 10
"""Branches and steps that a refusal names."""
MAX_BRANCHES = 1_000
"""Branches of a run that are read, the newest first."""
READS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class ReadFlow:
    """What was read of the executions of a run, or of a branch."""

    described: WorkflowExecutionDescription
    """The latest of them."""
    executions: int
    """Number of those that were read."""
    worker_seconds: float
    """How long workers were busy with the activities of these."""
    reused: bool = False
    """An earlier run has completed it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The part of the run document that one branch has."""

    workflow_id: str
    path: str
    run: Run
    inner: list[dict[str, Any]]
    """Its own branches: `{workflow_id, path, status}`."""
    pending: list[Any]
    """Its pending activities, as Temporal describes them."""
    running: bool
    flow: ReadFlow


@dataclass(slots=True)
class RunTree:
    """The document of a run, and the branches that it was read from."""

    run: Run
    branches: list[Branch] = field(default_factory=list)
    flow: ReadFlow | None = None
    """Of the run itself."""
    unread: list[str] = field(default_factory=list)
    """Workflow ids of branches of its own that are known and were not read."""
    paused: bool = False
    """An operator has paused it, as far as a worker has taken that."""

    @classmethod
    async def read(cls, reader: FlowReader, run_id: str, previous: "RunTree | None" = None) -> "RunTree":
        """Read a run and its branches; raises RPCError where there is no such run.

        Branches that had ended in `previous` are not read again.
        """
        client = reader.client
        described = await client.get_workflow_handle(run_id).describe()
        reading = await reader.read(described)
        tree = cls(reading.run, paused=reading.paused, flow=_describe_flow(described, reading))
        tree.branches, problems = await _read_branches(reader, reading.branches, previous.branches if previous else [])
        tree.unread = _list_unread(reading.branches, tree.branches)
        tree.run = _mark_unread(_merge_branches(tree.run, tree.branches), problems)
        pending = [*described.raw_description.pending_activities]
        pending += [activity for branch in tree.branches for activity in branch.pending]
        tree.run = mark_pending_work(tree.run, pending)
        if described.status == WorkflowExecutionStatus.RUNNING:
            tree.run = await _mark_untaken(client, described, reading, tree.run)
        elif tree.run.status not in ENDED or not reading.run.complete:
            tree.run = await _apply_close_event(client, described, tree.run)
        keys = decode_keys(described.typed_search_attributes.get(BUSINESS_KEYS) or [])
        tree.run = tree.run.model_copy(update={"keys": keys})
        if is_cancel_requested(described, tree.run.status):
            request = await find_cancel_request(client, run_id, str(described.run_id))
            tree.run = tree.run.model_copy(update=request.to_fields())
        return tree

    @property
    def running(self) -> list[str]:
        """Return the workflow ids of the branches that are running."""
        return [branch.workflow_id for branch in self.branches if branch.running]

    def list_own_flows(self) -> list[ReadFlow]:
        """Return what was read of the run and its branches, without those that an earlier run has completed."""
        flows = [self.flow, *(branch.flow for branch in self.branches)]
        return [flow for flow in flows if flow is not None and not flow.reused]

    def find_workflow_of_path(self, path: str) -> str:
        """Return the workflow that runs an iteration or a branch: that of the innermost branch around it."""
        around = [branch for branch in self.branches if is_inside(path, branch.path)]
        if not around:
            return self.run.id
        innermost = max(around, key=lambda branch: len(branch.path))
        if not innermost.running:
            raise OperationRefused(f"branch {innermost.path!r} has ended")
        return innermost.workflow_id

    def find_workflow_of_step(self, wanted: str) -> str:
        """Return the workflow in which a step, or one of a node, is open or comes next; the run itself if none does.

        Raises ServerUnavailable where it may be in a branch that could not be read.
        """
        found = [branch for branch in self.branches if branch.running and _concerns(branch.run, wanted)]
        if len(found) > 1:
            paths = ", ".join(branch.path for branch in found[:MAX_LISTED])
            raise OperationRefused(f"{wanted!r} is in several branches: pass step_id, or one of {paths} as path")
        if found:
            return found[0].workflow_id
        if not self.run.complete and not _concerns(self.run, wanted):
            raise no_worker_error()
        return self.run.id

    def find_retrying_step(self, step_id: str | None, node_id: str | None, path: str | None = None) -> str | None:
        """Return the step, of this pass if named, whose action is between attempts; `None` where an operator decides.

        Raises OperationRefused where there is none, or several.
        """
        open_steps = [step for step in _list_open_steps(self.run) if path in (None, step.path)]
        steps = [step for step in open_steps if step.id == step_id or step.node_id == node_id]
        retrying = [step.id for step in steps if step.status == "retrying"]
        if len(retrying) > 1:
            names = ", ".join(retrying[:MAX_LISTED])
            raise OperationRefused(f"several steps of {node_id!r} are between attempts: pass one of {names} as step_id")
        if not retrying and not any(step.status == "waiting" for step in steps):
            raise OperationRefused(f"no step {step_id or node_id!r} is between two attempts")
        return retrying[0] if retrying else None


def _concerns(run: Run, wanted: str) -> bool:
    """Return whether a step is open, or held by a pause, by its id or that of its node."""
    is_open = any(wanted in (step.id, step.node_id) for step in _list_open_steps(run))
    return is_open or any(wanted in (wait["step_id"], wait["node_id"]) for wait in run.waiting_for)


@dataclass(frozen=True, slots=True)
class _Unread:
    """A branch that cannot be read."""

    wait: dict[str, Any] | None = None
    """Why, as an entry of `waiting_for`, where that is known."""


async def _read_branches(
    reader: FlowReader, listed: list[dict[str, Any]], previous: list[Branch]
) -> tuple[list[Branch], list[_Unread]]:
    """Read the branches and their branches; return them, and what kept others from being read.

    A branch that has never started has nothing to read.
    """
    listed = _leave_out_batches(listed)
    known = {branch.workflow_id: branch for branch in previous if not branch.running}
    waiting = {branch["workflow_id"]: branch for branch in listed[-MAX_BRANCHES:]}
    problems = [] if len(waiting) == len(listed) else [_Unread()]
    branches: dict[str, Branch] = {}
    while waiting and len(branches) < MAX_BRANCHES:
        batch = [waiting.pop(name) for name in list(waiting)[:READS_AT_ONCE]]
        for branch in await asyncio.gather(*(_read_branch(reader, entry, known) for entry in batch)):
            if isinstance(branch, _Unread):
                problems.append(branch)
            elif branch is not None:
                branches[branch.workflow_id] = branch
                waiting |= {entry["workflow_id"]: entry for entry in branch.inner}
    return list(branches.values()), problems + [_Unread() for _ in waiting]


def _list_unread(listed: list[dict[str, Any]], branches: list[Branch]) -> list[str]:
    """Return the branches that have ended and were not read, without those that an earlier run has completed."""
    known = {branch.workflow_id for branch in branches}
    entries = [*listed, *(entry for branch in branches for entry in branch.inner)]
    return [
        entry["workflow_id"]
        for entry in entries
        if entry["status"] != "running" and not entry.get("reused") and entry["workflow_id"] not in known
    ]


def _leave_out_batches(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out batches of loops that have ended, but for those with the newest steps: a document has no more."""
    steps, kept = 0, []
    for entry in reversed(listed):
        is_over = entry["status"] != "running" and is_batch_path(entry["path"])
        if not is_over or steps < DEFAULT_STEP_LOG_LIMIT:
            kept.append(entry)
        steps += entry.get("steps", 0)
    return kept[::-1]


async def _read_branch(reader: FlowReader, branch: dict[str, Any], known: dict[str, Branch]) -> Branch | _Unread | None:
    """Read one branch, once where it has ended; return `None` where it has never started."""
    workflow_id, over = branch["workflow_id"], branch["status"] != "running"
    if over and workflow_id in known:
        return known[workflow_id]
    try:
        described = await reader.client.get_workflow_handle(workflow_id).describe()
        failing = await describe_failing_task(reader.client, described)
        if failing is not None:
            return _Unread({**failing, "path": branch["path"]})
        reading = await reader.read(described)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return _Unread() if over else None  # it has run, and Temporal has deleted it since; or it has never started
    running = described.status == WorkflowExecutionStatus.RUNNING
    pending = [*described.raw_description.pending_activities]
    run = _mark_reused(reading.run) if branch.get("reused") else reading.run
    inner = [{**entry, **({"reused": True} if branch.get("reused") else {})} for entry in reading.branches]
    flow = _describe_flow(described, reading, reused=bool(branch.get("reused")))
    return Branch(workflow_id, branch["path"], run, inner, pending, running, flow)


def _describe_flow(described: WorkflowExecutionDescription, reading: FlowReading, *, reused: bool = False) -> ReadFlow:
    return ReadFlow(described, reading.executions, reading.worker_seconds, reused)


def _mark_reused(run: Run) -> Run:
    """Mark the steps of a branch that an earlier run has completed."""
    return run.model_copy(update={"steps": [step.model_copy(update={"reused": True}) for step in run.steps]})


async def _mark_untaken(client: Client, described: WorkflowExecutionDescription, reading: FlowReading, run: Run) -> Run:
    """Show a run that no worker has taken, or whose workflow task fails."""
    failing = await describe_failing_task(client, described)
    if not reading.has_started:
        run = run.model_copy(update={"status": "running" if failing else "pending"})
    wait = failing or describe_untaken_task(described)
    if wait is None:
        return run
    others = [wait for wait in run.waiting_for if wait["kind"] != "worker"]
    return run.model_copy(update={"waiting_for": [*others, wait]})


async def _apply_close_event(client: Client, described: WorkflowExecutionDescription, run: Run) -> Run:
    """Return the run as its closing event says it ended."""
    handle = client.get_workflow_handle(described.id, run_id=described.run_id)
    closing = WorkflowHistoryEventFilterType.CLOSE_EVENT
    async for event in handle.fetch_history_events(event_filter_type=closing):
        return await run_from_close_event(run, event, client.data_converter)
    return run


def _merge_branches(run: Run, branches: list[Branch]) -> Run:
    """Merge the steps of branches into those of the run, in the order they started."""
    if not branches:
        return run
    steps = sorted(
        [*run.steps, *(step for branch in branches for step in _list_steps(branch))], key=lambda step: step.started_at
    )
    live = [branch for branch in branches if branch.running]
    complete = run.complete and all(branch.run.complete for branch in branches)
    interventions = sorted(
        [*run.interventions, *(each for branch in branches for each in branch.run.interventions)],
        key=lambda each: each.at,
    )
    changed: dict[str, Any] = {"steps": steps, "complete": complete, "interventions": interventions}
    if run.status not in ENDED:
        # The run itself counts the steps of a branch once that has ended.
        changed["steps_total"] = run.steps_total + sum(branch.run.steps_total for branch in live)
        changed["steps_completed"] = run.steps_completed + sum(branch.run.steps_completed for branch in live)
        changed["waiting_for"] = [*run.waiting_for, *(wait for branch in live for wait in branch.run.waiting_for)]
        changed["status"] = _combine_status(run, live)
    return run.model_copy(update=changed)


def _list_steps(branch: Branch) -> list[StepDocument]:
    """Return the steps of a branch; the loop of a batch is a step of the flow that has started the batch."""
    if not is_batch_path(branch.path):
        return branch.run.steps
    loop = find_owner(branch.path)
    return [step for step in branch.run.steps if step.id != loop]


def _mark_unread(run: Run, problems: list[_Unread]) -> Run:
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
    """Build the error for an update that no worker has answered."""
    return ServerUnavailable("no worker answers", hint="start one with `orchestrator worker`")


def _list_open_steps(run: Run) -> list[StepDocument]:
    return [step for step in run.steps if step.status not in ENDED]
