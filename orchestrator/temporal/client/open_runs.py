"""Describe open runs: what their workers, activities and called workflows are doing. Temporal cannot list this."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import ErrorType
from orchestrator.model.run import Reason, Status, find_owner
from orchestrator.temporal.business_keys import decode_keys
from orchestrator.temporal.client.pending_work import (
    NOT_REGISTERED,
    UNTAKEN_SECONDS,
    describe_queue,
    describe_untaken_task,
    read_last_failure,
)
from orchestrator.temporal.search_attributes import BUSINESS_KEYS, MOVED_AT, WAITING
from orchestrator.temporal.waiting import SHOWN_BESIDE_WORK, decode_waits, summarize_waits, works_beside

MAX_BRANCHES = 50
"""Branches of a run that are described."""
AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class PendingActivity:
    """An activity that has not ended."""

    step_id: str
    action: str
    queue: str
    scheduled_at: datetime
    started_at: datetime | None
    """When its attempt started; `None` where no worker has it now."""
    attempt: int
    next_attempt_at: datetime | None
    error_type: ErrorType | None
    """Of the last attempt."""
    error: str | None
    is_unknown: bool
    """The worker that took it does not know the action."""

    @property
    def node_id(self) -> str:
        """Return the node of its step."""
        return find_node(self.step_id)

    def describe_worker(self) -> dict[str, Any]:
        """Return the entry of `waiting_for` of a step that no worker has taken, or none that knows its action."""
        wait = describe_queue(self.queue, self.scheduled_at)
        message = self.error or wait["message"]
        return {"node_id": self.node_id, "step_id": self.step_id, "kind": "worker", **wait, "message": message}


@dataclass(frozen=True, slots=True)
class OpenRun:
    """What an open run is doing."""

    status: Status = "running"
    reason: Reason | None = None
    node_id: str | None = None
    waiting_for: list[dict[str, Any]] = field(default_factory=list)
    error_type: ErrorType | None = None
    error: str | None = None
    activities: tuple[PendingActivity, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)
    """Its business keys."""

    def to_fields(self) -> dict[str, Any]:
        """Return the fields of a run in a list."""
        names = ("status", "reason", "node_id", "waiting_for", "error_type", "error")
        return {name: getattr(self, name) for name in names} | ({"keys": self.keys} if self.keys else {})


@dataclass(frozen=True, slots=True)
class FlowWaits:
    """What a flow, a run or a branch of it, waits for."""

    waits: tuple[dict[str, Any], ...] = ()
    is_working: bool = True
    """Another path of it works."""


def find_node(step_id: str) -> str:
    """Return the node of a step: the last part of its path, without the number of its pass."""
    return find_owner(f"{step_id.rpartition('/')[2]}[0]").partition("#")[0]


async def describe_open_run(client: Client, run_id: str) -> OpenRun | None:
    """Return what a run is doing; `None` where it has ended or is gone."""
    described = await _describe(client, run_id)
    if described is None:
        return None
    untaken = describe_untaken_task(described)
    if untaken is not None:
        return OpenRun("pending", "no_worker", waiting_for=[untaken])
    flows = [described, *await _describe_branches(client, described)]
    activities = [parse_activity(each) for flow in flows for each in flow.raw_description.pending_activities]
    waits = [_read_waits(run_id, flow) for flow in flows]
    keys = decode_keys(described.typed_search_attributes.get(BUSINESS_KEYS) or [])
    return replace(derive_open_run(activities, waits, datetime.now(UTC)), keys=keys)


def _read_waits(run_id: str, flow: WorkflowExecutionDescription) -> FlowWaits:
    """Return what a flow waits for besides its branches."""
    values = flow.typed_search_attributes.get(WAITING) or []
    children = [child.workflow_id for child in flow.raw_description.pending_children]
    called = [name for name in children if not name.startswith(f"{run_id}/")]
    waits = decode_waits(values, flow.typed_search_attributes.get(MOVED_AT))
    calls = [{"node_id": None, "kind": "child", "run_id": name} for name in called]
    return FlowWaits((*waits, *calls), is_working=works_beside(values) or not (values or called))


async def _describe(client: Client, workflow_id: str) -> WorkflowExecutionDescription | None:
    try:
        described = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return None
    return described if described.status == WorkflowExecutionStatus.RUNNING else None


async def _describe_branches(client: Client, run: WorkflowExecutionDescription) -> list[WorkflowExecutionDescription]:
    """Describe the branches of a run, and theirs."""
    found: list[WorkflowExecutionDescription] = []
    flows = [run]
    while flows and len(found) < MAX_BRANCHES:
        names = [
            child.workflow_id
            for flow in flows
            for child in flow.raw_description.pending_children
            if child.workflow_id.startswith(f"{run.id}/")
        ]
        flows = []
        for at in range(0, min(len(names), MAX_BRANCHES), AT_ONCE):
            batch = await asyncio.gather(*(_describe(client, name) for name in names[at : at + AT_ONCE]))
            flows += [each for each in batch if each is not None]
        found += flows
    return found


def parse_activity(pending: Any) -> PendingActivity:
    """Return an activity as Temporal describes it."""
    queue = pending.activity_options.task_queue.name
    is_started = pending.state != PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    is_retrying = not is_started and pending.attempt > 1
    error_type: ErrorType | None = None
    error: str | None = None
    if pending.HasField("last_failure"):
        error_type, error = read_last_failure(pending)
    return PendingActivity(
        step_id=pending.activity_id,
        action=pending.activity_type.name,
        queue=queue,
        scheduled_at=pending.scheduled_time.ToDatetime(tzinfo=UTC),
        started_at=pending.last_started_time.ToDatetime(tzinfo=UTC) if is_started else None,
        attempt=pending.attempt,
        next_attempt_at=pending.next_attempt_schedule_time.ToDatetime(tzinfo=UTC) if is_retrying else None,
        error_type=error_type,
        error=error,
        is_unknown=pending.last_failure.application_failure_info.type == NOT_REGISTERED,
    )


def derive_open_run(activities: Sequence[PendingActivity], flows: Sequence[FlowWaits], now: datetime) -> OpenRun:
    """Return the status of a run, from the activities and the waits of its flows: the run itself and its branches.

    It is `running` where any activity runs, `retrying` where one is between two attempts, `pending` where no worker has
    taken one, and `waiting` where each flow waits. What a person has to do is its reason also while other paths work.
    """
    waits = [wait for flow in flows for wait in flow.waits]
    people = [wait for wait in waits if wait["kind"] in SHOWN_BESIDE_WORK]
    working = OpenRun(**summarize_waits(people, is_working=True), activities=tuple(activities))
    between = [each for each in activities if each.started_at is None]
    if len(between) < len(activities):
        return working
    retrying = next((each for each in between if each.attempt > 1), None)
    if retrying is not None:
        found = _lack_worker(working, "retrying", retrying) if retrying.is_unknown else working
        return replace(
            found,
            status="retrying",
            node_id=found.node_id or retrying.node_id,
            error_type=retrying.error_type,
            error=retrying.error,
        )
    for each in between:
        if (now - each.scheduled_at).total_seconds() >= UNTAKEN_SECONDS:
            return _lack_worker(working, "pending", each)
    if between or any(flow.is_working for flow in flows):
        return working
    return OpenRun(**summarize_waits(waits), activities=tuple(activities))


def _lack_worker(working: OpenRun, status: Status, activity: PendingActivity) -> OpenRun:
    """Return a run that first of all needs a worker for an activity."""
    waits = [activity.describe_worker(), *working.waiting_for]
    return replace(working, status=status, reason="no_worker", node_id=activity.node_id, waiting_for=waits)
