"""Read, watch and follow runs.

Temporal is the only record of a run: its document is read from its history, and no worker is asked.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import History
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
)
from temporalio.converter import DefaultPayloadConverter
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import BadCursor, OperationRefused, RunNotFound
from orchestrator.model.run import ENDED, Run
from orchestrator.settings import Settings
from orchestrator.temporal.client.connection import translate_rpc_errors
from orchestrator.temporal.client.flow_reader import FlowReader
from orchestrator.temporal.client.migration_reader import MigrationReader
from orchestrator.temporal.client.rerun_reader import RerunReader
from orchestrator.temporal.client.run_tree import RunTree
from orchestrator.temporal.client.usage_reader import read_usage
from orchestrator.temporal.history.stream import Cursor, follow, follow_tail
from orchestrator.temporal.history.stream_events import StreamEvent
from orchestrator.temporal.payload_store.references import encode_history, load_payloads
from orchestrator.temporal.requests import read_request

REFRESH_SECONDS = 1.0
"""How often a watched run is read again: some changes, such as attempts, are not events of its history."""
DEBOUNCE_SECONDS = 0.1
"""Changes closer together are shown as one."""


@dataclass(frozen=True, slots=True)
class RecordedPlan:
    """The plan in the request of a run, as JSON: a newer release may have written it."""

    plan: Mapping[str, Any]
    customer_id: str
    trigger_type: str


class RunReader:
    """Reads the runs of a namespace."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self.flows = FlowReader(client)
        self.histories = self.flows.histories
        self.reruns = RerunReader(client, self.histories)
        self.migrations = MigrationReader(client, self.histories)

    async def read_document(self, run_id: str) -> Run:
        """Return the run document with the steps of all branches; raises RunNotFound."""
        return self._with_links((await self.read_tree(run_id)).run)

    async def read_ended(self, run_id: str) -> Run:
        """Return the document of a run that has ended, with what it has used; raises RunNotFound."""
        async with translate_rpc_errors(run_id):
            tree = await RunTree.read(self.flows, run_id)
            usage = await read_usage(self.client, tree) if tree.run.status in ENDED else None
            return self._with_links(tree.run.model_copy(update={"usage": usage}))

    async def read_tree(self, run_id: str, previous: RunTree | None = None) -> RunTree:
        """Return the run with its branches; `previous` saves reading branches that had ended by then."""
        async with translate_rpc_errors(run_id):
            return await RunTree.read(self.flows, run_id, previous)

    async def read_recorded_plan(self, run_id: str) -> RecordedPlan:
        """Return the plan that a run executes, from the first event of its history; raises RunNotFound."""
        async with translate_rpc_errors(run_id):
            async for event in self._handle(run_id).fetch_history_events(page_size=1):
                payloads = event.workflow_execution_started_event_attributes.input.payloads
                loaded = await load_payloads(payloads, self.client.data_converter)
                return await asyncio.to_thread(_read_recorded_plan, loaded)
        raise RunNotFound(f"there is no run {run_id!r}")

    async def wait_for_result(self, run_id: str) -> Run:
        """Wait for a run's end and return its document."""
        async with translate_rpc_errors(run_id):
            with contextlib.suppress(WorkflowFailureError):  # the document holds the failure
                await self._handle(run_id).result()
        return await self.read_document(run_id)

    async def wait_for_end(self, run_id: str, seconds: float) -> Run | None:
        """Wait at most `seconds` for a run's end and return its document; `None` while it is running."""
        try:
            return await asyncio.wait_for(self.wait_for_result(run_id), seconds)
        except TimeoutError:
            return None

    async def watch(self, run_id: str) -> AsyncIterator[Run]:
        """Yield the run document now and after each change, until the run has ended.

        New events in the histories of the run and its branches say when to read; nothing is written.
        """
        changed = asyncio.Event()
        tree: RunTree | None = None
        clock = asyncio.get_running_loop().time
        async with self.histories.open_tails(changed) as follow_workflows:
            while True:
                began = clock()
                tree = await self.read_tree(run_id, tree)
                took = clock() - began
                yield self._with_links(tree.run)
                if tree.run.status in ENDED:
                    return
                follow_workflows([run_id, *tree.running])
                # A long history takes a while to read: half of the time is left to others.
                await asyncio.sleep(max(DEBOUNCE_SECONDS, took))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(REFRESH_SECONDS):
                        await changed.wait()
                changed.clear()

    async def follow(self, run_id: str, cursor: Cursor) -> AsyncIterator[tuple[str, StreamEvent]]:
        """Return the stream of a run's events after the cursor, each with the cursor that follows it.

        Raises BadCursor, before anything is streamed, where the cursor is not one of this run.
        """
        if cursor.execution:
            await self._require_execution(run_id, cursor.execution)
        return follow(self.histories, run_id, cursor)

    def follow_tail(self, run_id: str, count: int) -> AsyncIterator[tuple[str, StreamEvent]]:
        """Return the stream of a run's last events, and of all that follow."""
        return follow_tail(self.histories, run_id, count)

    async def _require_execution(self, run_id: str, execution: str) -> None:
        """Raise BadCursor where an execution is not one of this run, or is no longer stored."""
        async with translate_rpc_errors(run_id):
            try:
                await self.client.get_workflow_handle(run_id, run_id=execution).describe()
            except RPCError as error:
                if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                    raise
                raise BadCursor("invalid cursor", hint="start over, without Last-Event-ID") from error

    async def export_history(self, run_id: str) -> str:
        """Return the run's history as JSON, for replay; stored payloads are in it."""
        async with translate_rpc_errors(run_id):
            history = await self._handle(run_id).fetch_history()
            encoded = await encode_history(history.events, self.client.data_converter)
            return WorkflowHistory(run_id, History.FromString(encoded).events).to_json()

    def build_links(self, run_id: str) -> dict[str, str]:
        """Return where a run is shown: `self` in the API, and `temporal_ui`."""
        run = quote(run_id, safe="")
        links = {"self": f"/api/v1/runs/{run}"}
        if self.settings.ui_url is not None:
            namespace = quote(self.settings.temporal_namespace, safe="")
            links["temporal_ui"] = f"{self.settings.ui_url.rstrip('/')}/namespaces/{namespace}/workflows/{run}"
        return links

    def _with_links(self, run: Run) -> Run:
        return run.model_copy(update={"links": self.build_links(run.id)})

    def _handle(self, run_id: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(run_id)


def _read_recorded_plan(payloads: Sequence[Payload]) -> RecordedPlan:
    values = DefaultPayloadConverter().from_payloads(payloads)
    request = read_request(values)
    plan, run = request.get("plan"), request.get("run")
    if not isinstance(plan, Mapping) or not isinstance(run, Mapping):
        raise OperationRefused("the request of this run cannot be read")
    return RecordedPlan(plan, str(run.get("customer_id", "")), str(run.get("trigger_type", "manual")))
