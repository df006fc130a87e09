"""Follow histories by long poll, which says when something happens. No load on workers, nothing written."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistoryEventFilterType
from temporalio.service import RPCError, RPCStatusCode

RETRY_SECONDS = 1.0


class Histories:
    """The histories of a namespace."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def find_first_execution(self, workflow_id: str) -> str | None:
        """Name the execution that a run began with; `None` where Temporal tells none, or keeps it no more."""
        while True:
            try:
                described = await self.client.get_workflow_handle(workflow_id).describe()
                first = execution = described.raw_description.workflow_execution_info.first_run_id
                while execution and execution != described.run_id:
                    execution = await self._find_next_execution(workflow_id, execution)
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    return None
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return first if execution else None

    async def _find_next_execution(self, workflow_id: str, execution: str) -> str:
        """Name the execution that one has continued as; empty where it has not, as after a reset in the middle."""
        closing = self.client.get_workflow_handle(workflow_id, run_id=execution).fetch_history_events(
            event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT, skip_archival=True
        )
        async for event in closing:
            return event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        return ""

    async def follow_events(
        self, workflow_id: str, execution: str | None = None
    ) -> AsyncIterator[tuple[int, HistoryEvent]]:
        """Give the events of a workflow as they happen, through continue-as-new, to its end.

        Begins with an execution, the newest unless given (Temporal's run id); the numbers count executions from 0.
        Ends, too, where Temporal keeps no history of it.
        """
        number, seen = 0, 0
        while True:
            handle = self.client.get_workflow_handle(workflow_id, run_id=execution)
            next_execution = ""
            try:
                async for event in handle.fetch_history_events(wait_new_event=True, skip_archival=True):
                    if event.event_id <= seen:
                        continue
                    seen = event.event_id
                    if seen == 1:
                        execution = event.workflow_execution_started_event_attributes.original_execution_run_id
                    next_execution = event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
                    yield number, event
            except RPCError as error:
                if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                    return
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if not next_execution:
                return
            execution, number, seen = next_execution, number + 1, 0

    @asynccontextmanager
    async def open_tails(self, changed: asyncio.Event) -> AsyncIterator[Callable[[Collection[str]], None]]:
        """Set `changed` at each new event of the workflows that the block says to follow."""
        tasks: dict[str, asyncio.Task[None]] = {}

        async def tail(workflow_id: str) -> None:
            async for _ in self.follow_events(workflow_id):
                changed.set()

        def follow(wanted: Collection[str]) -> None:
            for workflow_id in wanted:
                if workflow_id not in tasks:
                    tasks[workflow_id] = asyncio.create_task(tail(workflow_id))
            for workflow_id in [known for known in tasks if known not in wanted]:
                tasks.pop(workflow_id).cancel()

        try:
            yield follow
        finally:
            await cancel_and_wait(tasks.values())


async def cancel_and_wait(tasks: Collection["asyncio.Task[None]"]) -> None:
    """End long polls: one that is alive when the process ends can make it hang or abort."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
