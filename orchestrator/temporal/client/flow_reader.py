"""Read runs and branches from their histories, each execution once for each length: many may watch the same run."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import ServerUnavailable
from orchestrator.temporal.history.histories import Histories
from orchestrator.temporal.history.joined_readings import JoinedReadings
from orchestrator.temporal.history.reader import FlowReading, read_flows
from orchestrator.temporal.search_attributes import CUSTOMER_ID

READ_SECONDS = 30.0
"""How long to wait for a reading; it continues, so that the next request may find it."""
MAX_CACHED_BYTES = 64 * 1_048_576
"""Of the histories whose readings are cached."""

ReadFlows = Callable[[str, Sequence[tuple[str, bytes]]], Awaitable[list[FlowReading]]]
"""Reads histories of a customer: where strangers send definitions, in a process of its own with a deadline."""
Key = tuple[str, str, int]
"""Workflow id, execution, and the length of its history: what was read of these never changes."""
WHOLE = 0
"""In place of the length of a history that has ended."""


async def read_in_thread(_: str, histories: Sequence[tuple[str, bytes]]) -> list[FlowReading]:
    """Read histories in a thread of this process."""
    return await asyncio.to_thread(read_flows, histories)


class FlowReader:
    """Reads executions; the newest readings are cached."""

    def __init__(self, client: Client, read: ReadFlows = read_in_thread) -> None:
        self.client = client
        self.histories = Histories(client)
        self.read_flows = read
        self._readings: dict[Key, tuple[int, FlowReading]] = {}
        """With the size of the history, the oldest first."""
        self._cached_bytes = 0
        self._in_progress: dict[Key, asyncio.Task[FlowReading]] = {}

    async def read(self, described: WorkflowExecutionDescription) -> FlowReading:
        """Return what the latest execution of a run says, with the steps of as many of those before as it keeps.

        Raises ServerUnavailable where that takes too long.
        """
        customer = described.typed_search_attributes.get(CUSTOMER_ID) or ""
        latest = await self._read_once((described.id, str(described.run_id), described.history_length), customer)
        readings = JoinedReadings(latest)
        if not readings.find_next():
            return latest
        while execution := readings.find_next():
            readings.add(await self._read_ended((described.id, execution, WHOLE), customer))
        return readings.join()

    async def _read_ended(self, key: Key, customer: str) -> FlowReading | None:
        """Return what an execution says that has continued as new; `None` where it is no longer stored."""
        try:
            return await self._read_once(key, customer)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return None

    async def _read_once(self, key: Key, customer: str) -> FlowReading:
        if (cached := self._readings.get(key)) is not None:
            return cached[1]
        task = self._in_progress.get(key)
        if task is None:
            task = self._in_progress[key] = asyncio.create_task(self._read(key, customer))
            task.add_done_callback(lambda task: self._forget(key, task))
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await asyncio.shield(task)
        except TimeoutError:
            message = f"the history of {key[0]} cannot be read in time"
            raise ServerUnavailable(message, hint="try again in a moment") from None

    async def _read(self, key: Key, customer: str) -> FlowReading:
        history = await self.histories.fetch(key[0], key[1])
        (reading,) = await self.read_flows(customer, [(key[0], history)])
        self._cache(key, len(history), reading)
        return reading

    def _cache(self, key: Key, size: int, reading: FlowReading) -> None:
        self._readings[key] = (size, reading)
        self._cached_bytes += size
        while self._cached_bytes > MAX_CACHED_BYTES:
            evicted, _ = self._readings.pop(next(iter(self._readings)))
            self._cached_bytes -= evicted

    def _forget(self, key: Key, task: "asyncio.Task[FlowReading]") -> None:
        del self._in_progress[key]
        if not task.cancelled():
            task.exception()  # those who wait for it get it; after their time nobody does
