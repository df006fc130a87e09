"""List runs through Temporal's visibility store, which lags a little behind the runs themselves."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistoryEventFilterType
from temporalio.converter import DataConverter, decode_typed_search_attributes
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import OperationRefused, RunNotFound
from orchestrator.model.run import ErrorDocument, RunSummary, Status, count_milliseconds
from orchestrator.temporal.business_keys import decode_keys
from orchestrator.temporal.client.cancel_requests import find_cancel_request
from orchestrator.temporal.client.connection import translate_rpc_errors
from orchestrator.temporal.closing_event import choose_terminated_status, read_closing_failure
from orchestrator.temporal.search_attributes import (
    BUSINESS_KEYS,
    CUSTOMER_ID,
    FIRST_STARTED_AT,
    MOVED_AT,
    TRIGGER,
    VERSION,
    WAITING,
    WORKFLOW_ID,
)
from orchestrator.temporal.waiting import (
    decode_waits,
    list_addresses,
    summarize_waits,
    waits_for_branches,
    works_beside,
)
from orchestrator.temporal.workflow_types import name_run_type

PAGE_SIZE = 1000
"""Entries that Temporal returns in one page."""
RERUN_OF = "rerun_of"
"""Memo of a rerun: the run that it continues, so that lists show it."""
SCHEDULER = "temporal-sys-"
"""Begins the types of Temporal's own workflows."""
ALL_RUNS = f"{TRIGGER.name} IS NOT NULL AND ExecutionStatus != 'ContinuedAsNew'"
"""Branches have no trigger, so they are not listed."""
STATUSES: dict[WorkflowExecutionStatus, Status] = {
    WorkflowExecutionStatus.RUNNING: "running",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "running",
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.TIMED_OUT: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "cancelled",
}
TEMPORAL_STATUSES = {
    "running": ("Running",),
    "waiting": ("Running",),
    "retrying": ("Running",),
    "completed": ("Completed",),
    "failed": ("Failed", "TimedOut", "Terminated"),
    "cancelled": ("Canceled", "Terminated"),
}
"""Temporal's names for each status. The last event of a terminated run says which of the two it is."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a run or of a branch of one."""

    workflow_id: str
    run_id: str
    """Temporal's."""
    workflow_type: str


@dataclass(frozen=True, slots=True)
class AwaitingFlow:
    """An open run or branch, and the events that it waits for."""

    id: str
    customer_id: str
    addresses: tuple[str, ...]
    """Of the events, see `waiting.encode_address`."""
    keys: tuple[str, ...]
    """The business keys of the run, as `name=value`; a branch has none."""
    moved_at: datetime
    """When that last changed."""

    @property
    def run_id(self) -> str:
        """Return the run that it is, or is a branch of."""
        return self.id.partition("/")[0]


class Visibility:
    """Lists the runs of a namespace."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def list_runs(
        self,
        *,
        workflow_id: str | None = None,
        customer_id: str | None = None,
        status: str | None = None,
        trigger_type: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
    ) -> list[RunSummary]:
        """List runs, newest first; raises OperationRefused for an unknown status."""
        parts = [ALL_RUNS]
        equal = {WORKFLOW_ID.name: workflow_id, CUSTOMER_ID.name: customer_id, TRIGGER.name: trigger_type}
        parts += [f"{name} = {quote_literal(value)}" for name, value in equal.items() if value is not None]
        if status is not None:
            if status not in TEMPORAL_STATUSES:
                raise OperationRefused(f"unknown status {status!r}", hint=f"use one of {', '.join(TEMPORAL_STATUSES)}")
            parts.append(f"ExecutionStatus IN ({', '.join(map(quote_literal, TEMPORAL_STATUSES[status]))})")
        if since is not None:
            parts.append(f"StartTime >= '{since.astimezone(UTC).isoformat()}'")
        summaries: list[RunSummary] = []
        async for info in self._list_infos(" AND ".join(parts), min(limit, PAGE_SIZE)):
            summary = await self._summarize(info)
            if _is_terminated(info) and status not in (None, summary.status):
                continue
            summaries.append(summary)
            if len(summaries) == limit:
                break
        return summaries

    async def list_changed(self, since: datetime | None, known: Mapping[str, bool]) -> AsyncIterator[RunSummary]:
        """Yield the runs that have started or ended since a time.

        `known` maps run ids to whether the run was seen to have ended; runs that are still so are skipped.
        """
        query = ALL_RUNS
        if since is not None:
            moment = since.astimezone(UTC).isoformat()
            query += f" AND (StartTime >= '{moment}' OR CloseTime >= '{moment}')"
        async for info in self._list_infos(query):
            if known.get(info.execution.workflow_id) != info.HasField("close_time"):
                yield await self._summarize(info)

    async def list_moved(self, since: datetime) -> AsyncIterator[tuple[str, datetime]]:
        """Yield the open runs and branches in which what they wait for has changed since a time, and when."""
        moment = since.astimezone(UTC).isoformat()
        async for info in self._list_infos(f"{MOVED_AT.name} >= '{moment}' AND ExecutionStatus = 'Running'"):
            attributes = decode_typed_search_attributes(info.search_attributes)
            yield info.execution.workflow_id, attributes.get(MOVED_AT, since)

    async def list_awaiting(self, since: datetime) -> AsyncIterator[AwaitingFlow]:
        """Yield the open runs and branches in which what they wait for has changed since a time, with its addresses."""
        moment = since.astimezone(UTC).isoformat()
        async for info in self._list_infos(f"{MOVED_AT.name} >= '{moment}' AND ExecutionStatus = 'Running'"):
            attributes = decode_typed_search_attributes(info.search_attributes)
            yield AwaitingFlow(
                info.execution.workflow_id,
                attributes.get(CUSTOMER_ID, ""),
                list_addresses(attributes.get(WAITING) or ()),
                tuple(attributes.get(BUSINESS_KEYS) or ()),
                attributes.get(MOVED_AT, since),
            )

    async def list_running(self) -> AsyncIterator[str]:
        """Yield the ids of running runs."""
        async for info in self._list_infos(f"{TRIGGER.name} IS NOT NULL AND ExecutionStatus = 'Running'"):
            yield info.execution.workflow_id

    async def list_executions(self, *, ended: bool, limit: int | None = None) -> list[Execution]:
        """List the executions of runs and their branches that are open, or those that have ended, the newest first."""
        sign = "!=" if ended else "="
        executions: list[Execution] = []
        # Temporal's own workflow behind a schedule has the attributes of the runs that it starts.
        query = f"{WORKFLOW_ID.name} IS NOT NULL AND ExecutionStatus {sign} 'Running'"
        async for info in self._list_infos(query, min(limit or PAGE_SIZE, PAGE_SIZE)):
            if info.type.name.startswith(SCHEDULER):
                continue
            executions.append(Execution(info.execution.workflow_id, info.execution.run_id, info.type.name))
            if len(executions) == limit:
                break
        return executions

    async def has_workflow(self, workflow_id: str) -> bool:
        """Return whether Temporal still stores a workflow, of whatever kind."""
        async with translate_rpc_errors():
            try:
                await self.client.get_workflow_handle(workflow_id).describe()
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                return False
        return True

    async def read_summary(self, run_id: str) -> RunSummary:
        """Return a run's summary; raises RunNotFound, also for branches and for workflows that are not runs."""
        async with translate_rpc_errors(run_id):
            description = await self.client.get_workflow_handle(run_id).describe()
            summary = await self._summarize(description.raw_info)
        # Temporal's own workflow behind a schedule has the attributes of the runs that it starts.
        is_run = description.workflow_type == name_run_type(summary.workflow_id)
        if not is_run or description.typed_search_attributes.get(TRIGGER) is None:
            raise RunNotFound(f"there is no run {run_id!r}")
        return summary

    async def _summarize(self, info: WorkflowExecutionInfo) -> RunSummary:
        """Return the summary of a run, with the status that its document has."""
        summary = await parse_summary(info, self.client.data_converter)
        summary = summary.model_copy(update={"as_of": datetime.now(UTC)})
        if summary.completed_at is None or summary.status == "completed":
            return summary
        workflow_id, execution = info.execution.workflow_id, info.execution.run_id
        async with translate_rpc_errors():
            failure = await read_failure(self.client, workflow_id, execution)
            if _is_terminated(info) and failure is not None:
                summary = summary.model_copy(update={"status": choose_terminated_status(failure)})
            if summary.status == "cancelled":
                request = await find_cancel_request(self.client, workflow_id, execution)
                return summary.model_copy(update=request.to_fields())
        if failure is None:
            return summary
        fields = {"error_type": failure.error_type, "error": failure.message, "node_id": failure.node_id}
        return summary.model_copy(update=fields)

    async def _list_infos(self, query: str, page_size: int = PAGE_SIZE) -> AsyncIterator[WorkflowExecutionInfo]:
        """Yield entries as Temporal sends them: the SDK's own list decodes all of them, even those that are skipped."""
        request = ListWorkflowExecutionsRequest(namespace=self.client.namespace, page_size=page_size, query=query)
        while True:
            async with translate_rpc_errors():
                page = await self.client.workflow_service.list_workflow_executions(request, retry=True)
            for info in page.executions:
                yield info
            if not page.next_page_token:
                return
            request.next_page_token = page.next_page_token


def _is_terminated(info: WorkflowExecutionInfo) -> bool:
    return bool(info.status) and WorkflowExecutionStatus(info.status) == WorkflowExecutionStatus.TERMINATED


async def read_terminated_status(client: Client, workflow_id: str, execution: str) -> Status:
    """Return the status of a run that was terminated, as its document has it."""
    failure = await read_failure(client, workflow_id, execution)
    return STATUSES[WorkflowExecutionStatus.TERMINATED] if failure is None else choose_terminated_status(failure)


async def read_failure(client: Client, workflow_id: str, execution: str) -> ErrorDocument | None:
    """Return why an execution that has not completed ended; `None` where it was cancelled, or has been deleted."""
    handle = client.get_workflow_handle(workflow_id, run_id=execution)
    closing = WorkflowHistoryEventFilterType.CLOSE_EVENT
    try:
        async for event in handle.fetch_history_events(event_filter_type=closing):
            return await read_closing_failure(event, client.data_converter)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:  # deleted meanwhile
            raise
    return None


def quote_literal(value: str) -> str:
    """Quote text for a visibility query."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


async def parse_summary(info: WorkflowExecutionInfo, converter: DataConverter) -> RunSummary:
    """Return the run summary in a visibility entry."""
    attributes = decode_typed_search_attributes(info.search_attributes)
    memo = {name: (await converter.decode([payload]))[0] for name, payload in info.memo.fields.items()}
    status = STATUSES[WorkflowExecutionStatus(info.status)] if info.status else "running"
    # A run that has continued as new: Temporal reports when its latest execution started.
    first_started_at = memo.get(FIRST_STARTED_AT)
    started_at = datetime.fromisoformat(first_started_at) if first_started_at else info.start_time.ToDatetime(UTC)
    completed_at = info.close_time.ToDatetime(UTC) if info.HasField("close_time") else None
    summary = RunSummary(
        id=info.execution.workflow_id,
        workflow_id=attributes.get(WORKFLOW_ID, ""),
        workflow_version=attributes.get(VERSION, 0),
        customer_id=attributes.get(CUSTOMER_ID, ""),
        status=status,
        trigger_type=attributes.get(TRIGGER, "manual"),
        started_at=started_at,
        completed_at=completed_at,
        duration_ms=count_milliseconds(started_at, completed_at),
        rerun_of=memo.get(RERUN_OF),
        keys=decode_keys(attributes.get(BUSINESS_KEYS, [])),
        # The caller's ID is part of those of its branches.
        parent_run_id=info.parent_execution.workflow_id.partition("/")[0] or None,
    )
    waits = attributes.get(WAITING, [])
    if status != "running" or waits_for_branches(waits):
        return summary
    decoded = decode_waits(waits, attributes.get(MOVED_AT))
    return summary.model_copy(update=summarize_waits(decoded, is_working=works_beside(waits)))
