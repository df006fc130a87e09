"""Start, see and operate runs.

Temporal is the only keeper of what a run is: a run's document is asked of the run itself, by query.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from temporalio.api.common.v1 import Payloads
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest, SignalWorkflowExecutionRequest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import Priority, RawValue, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import BadCursor, OperationRefused, RunNotFound, ServerUnavailable
from orchestrator.interpreter.restart import EndedRun
from orchestrator.model.plan import Plan
from orchestrator.model.run import ENDED, Run, RunInfo, RunSummary
from orchestrator.settings import Settings
from orchestrator.telemetry.metrics import RUNS_STARTED
from orchestrator.temporal.client.connection import CONNECT_SECONDS, require_attributes, translate_rpc_errors
from orchestrator.temporal.client.run_tree import NO_WORKER_STATUSES, QUERY_SECONDS, RunTree
from orchestrator.temporal.client.visibility import (
    PAGE_SIZE,
    RERUN_OF,
    STATUSES,
    TEMPORAL_STATUSES,
    parse_summary,
    quote_literal,
)
from orchestrator.temporal.history.histories import Histories
from orchestrator.temporal.payloads import MAX_PAYLOAD_BYTES
from orchestrator.temporal.requests import build_run_request
from orchestrator.temporal.search_attributes import (
    CUSTOMER_ID,
    TRIGGER,
    WORKFLOW,
    WORKFLOW_ID,
    build_search_attributes,
)

FAIRNESS_KEY_LENGTH = 64
"""Temporal's limit."""
REFRESH_SECONDS = 1.0
"""What a run does between events of its history, such as attempts, is seen this often."""
QUIET_SECONDS = 0.1
"""Changes closer together are shown as one."""


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that has been started, or the one that was there already under its id."""

    id: str
    workflow_id: str
    customer_id: str
    duplicate: bool = False


class Runs:
    """The runs of a namespace."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self.histories = Histories(client)

    async def check(self) -> None:
        """Raise ServerUnavailable where Temporal does not answer, or its namespace is not ready."""
        async with translate_rpc_errors():
            await self.client.service_client.check_health(timeout=timedelta(seconds=CONNECT_SECONDS))
            await require_attributes(self.client)

    def ui_url(self, run_id: str) -> str | None:
        """Give the address of a run in the Temporal Web UI."""
        if self.settings.ui_url is None:
            return None
        space = quote(self.settings.temporal_namespace, safe="")
        return f"{self.settings.ui_url.rstrip('/')}/namespaces/{space}/workflows/{quote(run_id, safe='')}"

    async def start(
        self,
        plan: Plan,
        *,
        input_data: Any = None,
        trigger: Any = None,
        trigger_type: str = "manual",
        run_id: str | None = None,
        state: dict[str, Any] | None = None,
        retried_from: str | None = None,
        attempt: int = 1,
    ) -> StartedRun:
        """Start a run. Under an id that has been used nothing starts: the first run's id is the answer.

        Raises OperationRefused where what the run begins with is more than Temporal holds.
        """
        info = RunInfo(
            id=run_id or str(uuid4()),
            customer_id=plan.customer_id,
            trigger_type=trigger_type,
            retried_from=retried_from,
            attempt=attempt,
        )
        request = self._encode_request(
            build_run_request(plan, info, input_data=input_data, trigger=trigger, state=state)
        )
        async with translate_rpc_errors():
            try:
                await self.client.start_workflow(
                    WORKFLOW,
                    request,
                    id=info.id,
                    task_queue=self.settings.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    search_attributes=TypedSearchAttributes(build_search_attributes(plan, info)),
                    static_summary=plan.name[:200] or None,
                    memo={RERUN_OF: retried_from} if retried_from else None,
                    request_eager_start=True,
                    priority=build_priority(plan),
                )
            except WorkflowAlreadyStartedError:
                RUNS_STARTED.labels(trigger_type, "duplicate").inc()
                return StartedRun(info.id, plan.id, plan.customer_id, duplicate=True)
            except RPCError as error:
                if error.status == RPCStatusCode.INVALID_ARGUMENT:
                    await require_attributes(self.client)
                raise
        RUNS_STARTED.labels(trigger_type, "started").inc()
        return StartedRun(info.id, plan.id, plan.customer_id)

    def require_within_limit(self, plan: Plan, input_data: Any) -> None:
        """Raise OperationRefused where a start would: before anything is promised."""
        self._encode_request(
            build_run_request(plan, RunInfo(id=str(uuid4()), customer_id=plan.customer_id), input_data=input_data)
        )

    def _encode_request(self, request: dict[str, Any]) -> RawValue:
        """Write a request once, and measure it: what is too large is refused by name, not by the network."""
        payload = self.client.data_converter.payload_converter.to_payload(request)
        if len(payload.data) > MAX_PAYLOAD_BYTES:
            raise OperationRefused(
                f"the workflow with its input takes {len(payload.data):,} bytes, more than the {MAX_PAYLOAD_BYTES:,}"
                " that a run can begin with",
                hint="keep large data elsewhere and pass a reference",
            )
        return RawValue(payload)

    async def read_ended_run(self, run_id: str) -> EndedRun:
        """Ask a run that has ended for what it knows; raises RunNotFound and OperationRefused."""
        async with translate_rpc_errors(run_id):
            if (await self._handle(run_id).describe()).status == WorkflowExecutionStatus.RUNNING:
                raise OperationRefused(f"run {run_id} has not ended", hint="cancel it first")
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    state: dict[str, Any] = await self._handle(run_id).query("kept")
            except WorkflowQueryFailedError as error:
                raise OperationRefused(f"run {run_id} cannot say where it ended: {error}") from error
            except (TimeoutError, RPCError) as error:
                if isinstance(error, RPCError) and error.status not in NO_WORKER_STATUSES:
                    raise
                raise _no_worker_error() from error
        failure = (await self.read_document(run_id)).failure or {}
        info = RunInfo.model_validate(state["run"])
        return EndedRun(Plan.model_validate(state["plan"]), info, state["state"], failure.get("node_id"))

    async def read_document(self, run_id: str) -> Run:
        """Give the run document, with the steps of all branches; raises RunNotFound."""
        tree = await self._tree(run_id)
        return tree.run.model_copy(update={"links": self.build_links(run_id)})

    async def _tree(self, run_id: str, before: RunTree | None = None) -> RunTree:
        async with translate_rpc_errors(run_id):
            return await RunTree.read(self.client, run_id, before)

    def build_links(self, run_id: str) -> dict[str, str]:
        """Say where a run is shown."""
        links = {"self": f"/api/v1/runs/{quote(run_id, safe='')}"}
        ui = self.ui_url(run_id)
        return links if ui is None else {**links, "temporal_ui": ui}

    async def wait_for_result(self, run_id: str) -> Run:
        """Wait for a run's end and give its document."""
        async with translate_rpc_errors(run_id):
            try:
                await self._handle(run_id).result()
            except WorkflowFailureError:
                return await self.read_document(run_id)  # how it failed stands in the document
        return await self.read_document(run_id)

    async def wait_for_end(self, run_id: str, seconds: float) -> Run | None:
        """Wait so long for a run's end and give its document; `None` while it goes on."""
        try:
            return await asyncio.wait_for(self.wait_for_result(run_id), seconds)
        except TimeoutError:
            return None

    async def watch(self, run_id: str) -> AsyncIterator[Run]:
        """Give the run document now and after each change, until the run has ended.

        History events say when to look, of the run and of its branches: nothing is written for it.
        """
        changed = asyncio.Event()
        tree: RunTree | None = None
        async with self.histories.open_tails(changed) as follow:
            while True:
                tree = await self._tree(run_id, tree)
                yield tree.run.model_copy(update={"links": self.build_links(run_id)})
                if tree.run.status in ENDED:
                    return
                follow([run_id, *tree.running])
                await asyncio.sleep(QUIET_SECONDS)
                try:
                    await asyncio.wait_for(changed.wait(), REFRESH_SECONDS)
                except TimeoutError:
                    continue
                finally:
                    changed.clear()

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
        """List runs, newest first as far as Temporal's visibility knows; branches are not runs."""
        parts = [f"{WORKFLOW_ID.name} IS NOT NULL", "ExecutionStatus != 'ContinuedAsNew'"]
        equal = {WORKFLOW_ID.name: workflow_id, CUSTOMER_ID.name: customer_id, TRIGGER.name: trigger_type}
        parts += [f"{name} = {quote_literal(value)}" for name, value in equal.items() if value is not None]
        if status is not None:
            if status not in TEMPORAL_STATUSES:
                raise OperationRefused(f"{status!r} is no status", hint=f"one of {', '.join(TEMPORAL_STATUSES)}")
            parts.append(f"ExecutionStatus IN ({', '.join(map(quote_literal, TEMPORAL_STATUSES[status]))})")
        if since is not None:
            parts.append(f"StartTime >= '{since.astimezone(UTC).isoformat()}'")
        found: list[RunSummary] = []
        async for info in self._infos(" AND ".join(parts), min(limit, PAGE_SIZE)):
            found.append(await parse_summary(info, self.client.data_converter))
            if len(found) == limit:
                break
        return found

    async def list_changed(self, since: datetime | None, known: Mapping[str, bool]) -> AsyncIterator[RunSummary]:
        """Give the runs that have started or ended since a moment, as far as Temporal's visibility knows.

        Those that are `known` to go on (False) or to have ended (True), and do, are passed over.
        """
        query = f"{WORKFLOW_ID.name} IS NOT NULL AND ExecutionStatus != 'ContinuedAsNew'"
        if since is not None:
            moment = since.astimezone(UTC).isoformat()
            query += f" AND (StartTime >= '{moment}' OR CloseTime >= '{moment}')"
        async for info in self._infos(query):
            if known.get(info.execution.workflow_id) != info.HasField("close_time"):
                yield await parse_summary(info, self.client.data_converter)

    async def list_running(self) -> AsyncIterator[str]:
        """Give the ids of runs that go on, as far as Temporal's visibility knows."""
        async for info in self._infos(f"{WORKFLOW_ID.name} IS NOT NULL AND ExecutionStatus = 'Running'"):
            yield info.execution.workflow_id

    async def _infos(self, query: str, page_size: int = PAGE_SIZE) -> AsyncIterator[WorkflowExecutionInfo]:
        """List as Temporal sends it: the SDK's own list decodes each entry, also those that nobody looks at."""
        request = ListWorkflowExecutionsRequest(namespace=self.client.namespace, page_size=page_size, query=query)
        while True:
            async with translate_rpc_errors():
                page = await self.client.workflow_service.list_workflow_executions(request, retry=True)
            for info in page.executions:
                yield info
            if not page.next_page_token:
                return
            request.next_page_token = page.next_page_token

    async def read_summary(self, run_id: str) -> RunSummary:
        """Give what lists show of a run; raises RunNotFound, of branches and of others' workflows too."""
        async with translate_rpc_errors(run_id):
            described = await self._handle(run_id).describe()
            found = await parse_summary(described.raw_info, self.client.data_converter)
        if not found.workflow_id or described.workflow_type != WORKFLOW:
            raise RunNotFound(f"there is no run {run_id!r}")
        return found

    async def require_execution(self, run_id: str, execution: str) -> None:
        """Raise BadCursor where an execution is none of this run's, or is kept no more."""
        async with translate_rpc_errors(run_id):
            try:
                await self.client.get_workflow_handle(run_id, run_id=execution).describe()
            except RPCError as error:
                if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                    raise
                raise BadCursor("that is no place in this stream", hint="begin anew, without Last-Event-ID") from error

    async def cancel(self, run_id: str) -> None:
        """Ask a run to end: its actions and branches are cancelled, compensations made, then it is cancelled."""
        async with self._operating(run_id) as handle:
            # Temporal takes a cancellation of a run that has ended without a word.
            if (await handle.describe()).status != WorkflowExecutionStatus.RUNNING:
                raise RPCError("the run has ended", RPCStatusCode.NOT_FOUND, b"")
            await handle.cancel()

    async def terminate(self, run_id: str, reason: str = "") -> None:
        """End a run at once, without compensation."""
        async with self._operating(run_id) as handle:
            await handle.terminate(reason=reason or None)

    async def pause(self, run_id: str) -> None:
        """Hold a run at its next node."""
        async with self._operating(run_id) as handle:
            await handle.signal("pause", {})

    async def resume(self, run_id: str) -> None:
        """Let a paused run go on."""
        async with self._operating(run_id) as handle:
            await handle.signal("resume", {})

    async def send_event(self, run_id: str, name: str, payload: Any = None, key: str | None = None) -> None:
        """Send an event to a run's `wait` nodes, once for each key; one that comes early is kept."""
        request = SignalWorkflowExecutionRequest(
            namespace=self.client.namespace,
            signal_name="event",
            input=Payloads(payloads=await self.client.data_converter.encode([{"name": name, "payload": payload}])),
            identity=self.client.identity,
            request_id=key or str(uuid4()),
        )
        request.workflow_execution.workflow_id = run_id
        async with self._operating(run_id):
            await self.client.workflow_service.signal_workflow_execution(request, retry=True)

    async def resolve(
        self,
        run_id: str,
        node_id: str,
        action: str,
        *,
        parameters: dict[str, Any] | None = None,
        value: Any = None,
        target: str | None = None,
    ) -> str:
        """Give an operator's word on a step that waits for one (`node_id`, or a step's id); give the step's id.

        Raises OperationRefused when no such step waits, or the word cannot be followed.
        """
        resolution = {"node_id": node_id, "action": action, "parameters": parameters, "value": value, "target": target}
        tree = await self._tree(run_id)
        async with self._operating(tree.find_waiting_workflow(node_id)) as handle:
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    answer = await handle.execute_update("resolve", resolution)
            except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
                raise _no_worker_error() from error
            except WorkflowUpdateFailedError as error:
                cause = error.cause
                raise OperationRefused(cause.message if isinstance(cause, ApplicationError) else str(cause)) from error
        return str(answer["step_id"])

    async def export_history(self, run_id: str) -> str:
        """Give the run's history as JSON, for replay."""
        async with translate_rpc_errors(run_id):
            return (await self._handle(run_id).fetch_history()).to_json()

    def _handle(self, run_id: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(run_id)

    @asynccontextmanager
    async def _operating(self, run_id: str) -> AsyncIterator[WorkflowHandle[Any, Any]]:
        """Do something to a run that has not ended; raises RunNotFound and OperationRefused."""
        handle = self._handle(run_id)
        async with translate_rpc_errors(run_id):
            try:
                yield handle
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                # Temporal says `not found` of runs that have ended, too: asking again tells them apart.
                status = (await handle.describe()).status
                shown = STATUSES[status] if status is not None else "over"
                raise OperationRefused(f"run {run_id} has ended: it is {shown}") from error


def _no_worker_error() -> ServerUnavailable:
    return ServerUnavailable("no worker answers", hint="start one with `orchestrator worker`")


def build_priority(plan: Plan) -> Priority:
    """Share the workers fairly between customers."""
    return Priority(fairness_key=plan.customer_id[:FAIRNESS_KEY_LENGTH]) if plan.customer_id else Priority()
