"""Count what an ended run has used: of histories that were not read, Temporal tells the length and size."""

import asyncio
from dataclasses import dataclass

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.model.usage import Usage
from orchestrator.temporal.client.run_tree import RunTree

MAX_EXECUTIONS = 200
"""Executions of a flow, and branches that were not read, that are counted: more would keep other runs waiting."""
READS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class _Counted:
    """The executions of one flow."""

    executions: int = 0
    events: int = 0
    bytes: int = 0
    complete: bool = True

    def add(self, described: WorkflowExecutionDescription) -> "_Counted":
        size = described.raw_description.workflow_execution_info.history_size_bytes
        return _Counted(self.executions + 1, self.events + described.history_length, self.bytes + size)


_MISSING = _Counted(complete=False)


async def read_usage(client: Client, tree: RunTree) -> Usage:
    """Return what a run has used; raises RPCError."""
    room = asyncio.Semaphore(READS_AT_ONCE)

    async def count_unread(workflow_id: str) -> _Counted:
        async with room:
            return await _count_unread(client, workflow_id)

    async def count(described: WorkflowExecutionDescription) -> _Counted:
        async with room:
            return await _count_executions(client, described)

    flows = tree.list_own_flows()
    read = await asyncio.gather(*(count(flow.described) for flow in flows))
    unread = await asyncio.gather(*map(count_unread, tree.unread[-MAX_EXECUTIONS:]))
    # What a branch that was not read has started is not known.
    complete = not tree.unread and tree.run.complete
    complete &= all(
        found.complete and found.executions == flow.executions for found, flow in zip(read, flows, strict=True)
    )
    counted = [*read, *unread]
    return Usage(
        executions=sum(each.executions for each in counted),
        events=sum(each.events for each in counted),
        bytes=sum(each.bytes for each in counted),
        steps=tree.run.steps_total,
        worker_seconds=round(sum(flow.worker_seconds for flow in flows), 3),
        complete=complete,
    )


async def _count_unread(client: Client, workflow_id: str) -> _Counted:
    described = await _describe(client, workflow_id)
    return _MISSING if described is None else await _count_executions(client, described)


async def _count_executions(client: Client, described: WorkflowExecutionDescription) -> _Counted:
    """Count the latest execution of a flow, and those that it has continued as new."""
    counted = _Counted().add(described)
    while before := await _find_execution_before(client, described):
        earlier = await _describe(client, described.id, before) if counted.executions < MAX_EXECUTIONS else None
        if earlier is None:
            return _Counted(counted.executions, counted.events, counted.bytes, complete=False)
        described = earlier
        counted = counted.add(described)
    return counted


async def _find_execution_before(client: Client, described: WorkflowExecutionDescription) -> str:
    if described.raw_description.workflow_execution_info.first_run_id in ("", described.run_id):
        return ""
    handle = client.get_workflow_handle(described.id, run_id=described.run_id)
    async for event in handle.fetch_history_events(page_size=1, skip_archival=True):
        return event.workflow_execution_started_event_attributes.continued_execution_run_id
    return ""


async def _describe(
    client: Client, workflow_id: str, execution: str | None = None
) -> WorkflowExecutionDescription | None:
    """Return what Temporal knows of an execution; `None` where it is no longer stored."""
    try:
        return await client.get_workflow_handle(workflow_id, run_id=execution).describe()
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return None
