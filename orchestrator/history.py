"""Follow histories: the long poll that says when something happened. No load on workers, nothing written."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError

RETRY_SECONDS = 1.0


class Histories:
    """The histories of a namespace."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @asynccontextmanager
    async def tails(self, changed: asyncio.Event) -> AsyncIterator[Callable[[Collection[str]], None]]:
        """Set `changed` at each new event of the workflows that the block says to follow."""
        tasks: dict[str, asyncio.Task[None]] = {}

        def follow(wanted: Collection[str]) -> None:
            for workflow_id in wanted:
                if workflow_id not in tasks:
                    tasks[workflow_id] = asyncio.create_task(self._tail(workflow_id, changed))
            for workflow_id in [known for known in tasks if known not in wanted]:
                tasks.pop(workflow_id).cancel()

        try:
            yield follow
        finally:
            # A long poll that is alive when the process ends can make it hang or abort: end them all first.
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _tail(self, workflow_id: str, changed: asyncio.Event) -> None:
        """Follow one workflow, through continue-as-new, to its end."""
        goes_on = True
        while goes_on:
            goes_on = False
            handle = self.client.get_workflow_handle(workflow_id)
            try:
                async for event in handle.fetch_history_events(wait_new_event=True, skip_archival=True):
                    goes_on = event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
                    changed.set()
            except RPCError:
                # The watcher looks anyway every second: the tail only makes it quicker.
                await asyncio.sleep(RETRY_SECONDS)
                goes_on = True
