"""Follow histories by long poll: no worker is queried, and nothing is written."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistoryEventFilterType
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.temporal.payload_store.references import encode_history

RETRY_SECONDS = 1.0
"""Wait after an error of the server."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest two executions of a run."""

    start: str
    """The first of them."""
    number: int
    """Number of the latest one, counted from that: 0 or 1."""
    length: int
    """Number of events of the latest one."""


class Histories:
    """The histories of a namespace."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def fetch(self, workflow_id: str, execution: str | None) -> bytes:
        """Return the history of an execution, or of the latest one, encoded; raises RPCError and PayloadUnavailable."""
        handle = self.client.get_workflow_handle(workflow_id, run_id=execution)
        events = [event async for event in handle.fetch_history_events(skip_archival=True)]
        return await encode_history(events, self.client.data_converter)

    async def find_first_execution(self, workflow_id: str) -> str | None:
        """Return the id of a run's first execution; `None` where Temporal does not know it, or no longer stores it."""
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

    async def find_newest(self, workflow_id: str) -> Newest | None:
        """Return the newest executions of a run; `None` where Temporal does not know it."""
        try:
            described = await self.client.get_workflow_handle(workflow_id).describe()
            latest, length = str(described.run_id), described.history_length
            async for event in self.client.get_workflow_handle(workflow_id, run_id=latest).fetch_history_events(
                page_size=1
            ):
                before = event.workflow_execution_started_event_attributes.continued_execution_run_id
                if before and await self._is_stored(workflow_id, before):
                    return Newest(before, 1, length)
                break
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return None
        return Newest(latest, 0, length)

    async def _is_stored(self, workflow_id: str, execution: str) -> bool:
        try:
            await self.client.get_workflow_handle(workflow_id, run_id=execution).describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    async def _find_next_execution(self, workflow_id: str, execution: str) -> str:
        """Return the execution that one has continued as; empty where it has not, as after a reset."""
        closing = self.client.get_workflow_handle(workflow_id, run_id=execution).fetch_history_events(
            event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT, skip_archival=True
        )
        async for event in closing:
            return event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        return ""

    async def follow_events(
        self, workflow_id: str, execution: str | None = None
    ) -> AsyncIterator[tuple[int, HistoryEvent]]:
        """Yield `(number of the execution, event)` as events happen, through continue-as-new, to the workflow's end.

        Starts with `execution` (Temporal's run id), or with the latest one; numbers count from 0. Ends as well where
        Temporal has no history of the workflow.
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
        """Open long polls that set `changed` at each new event; yield a function that takes the workflow ids."""
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
    """Cancel tasks and wait for their end: a long poll that is open at exit can make the process hang or abort."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
