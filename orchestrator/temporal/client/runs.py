"""Start and operate runs.

`Runs.reader` reads, watches and follows them; `Runs.visibility` lists them.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.common import Priority, RawValue, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import OperationRefused
from orchestrator.interpreter.migration import MigrationRequest
from orchestrator.interpreter.state import RunState
from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo
from orchestrator.model.run_ids import draw_run_id
from orchestrator.reruns.restart import Rerun
from orchestrator.settings import Settings
from orchestrator.telemetry.metrics import RUNS_STARTED
from orchestrator.telemetry.workflow_labels import WORKFLOWS
from orchestrator.temporal.client.activity_resets import reset_activity
from orchestrator.temporal.client.connection import CONNECT_SECONDS, require_attributes, translate_rpc_errors
from orchestrator.temporal.client.event_senders import (
    ApprovalAnswer,
    EventSender,
    find_approval_answer,
    find_event_sender,
    has_event,
)
from orchestrator.temporal.client.run_reader import RunReader
from orchestrator.temporal.client.updates import execute_update
from orchestrator.temporal.client.visibility import RERUN_OF, STATUSES, Visibility, read_terminated_status
from orchestrator.temporal.markdown import escape_markdown
from orchestrator.temporal.payload_store.driver import encode_for_run, get_max_payload_bytes
from orchestrator.temporal.payloads import encode_state, measure_json
from orchestrator.temporal.requests import (
    build_run_request,
    encode_request,
    measure_arguments,
    omit_empty,
    split_request,
)
from orchestrator.temporal.search_attributes import CUSTOMER_ID, WORKFLOW_ID, build_search_attributes
from orchestrator.temporal.workflow_types import name_run_type

DELIVERY = "delivery"
"""Memo of a run that a delivery has started: its ID in the ledger."""
FAIRNESS_KEY_LENGTH = 64
"""Temporal's limit."""


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that is ready to start: its request is encoded, and small enough for Temporal."""

    plan: Plan
    info: RunInfo
    input_data: Any
    args: list[RawValue]
    delivery_id: str | None = None
    """The delivery that starts it, perhaps once more after a crash."""
    is_new: bool = False
    """The ID was drawn for this start: no earlier one can have used it."""


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that was started, or the earlier one with the same id."""

    id: str
    workflow_id: str
    customer_id: str
    duplicate: bool = False


class Runs:
    """The runs of a namespace."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self.reader = RunReader(client, settings)
        self.visibility = Visibility(client)

    async def check(self) -> None:
        """Raise ServerUnavailable where Temporal does not answer, or its namespace is not ready."""
        async with translate_rpc_errors():
            await self.client.service_client.check_health(timeout=timedelta(seconds=CONNECT_SECONDS))
            await require_attributes(self.client)

    def prepare(
        self,
        plan: Plan,
        *,
        input_data: Any = None,
        trigger: Any = None,
        trigger_type: str = "manual",
        run_id: str | None = None,
        delivery_id: str | None = None,
    ) -> PreparedRun:
        """Encode the request of a run. Raises OperationRefused where it is larger than Temporal stores."""
        info = RunInfo(
            id=run_id or draw_run_id(plan.id),
            customer_id=plan.customer_id,
            trigger_type=trigger_type,
            max_payload_bytes=get_max_payload_bytes(self.settings),
        )
        args = encode_request(build_run_request(plan, info, input_data=input_data, trigger=trigger))
        _require_small(measure_arguments(args), info.max_payload_bytes)
        return PreparedRun(plan, info, input_data, args, delivery_id, is_new=run_id is None)

    def prepare_rerun(self, rerun: Rerun, *, delivery_id: str | None = None) -> PreparedRun:
        """Encode the request of a rerun; its oldest steps lose their data where that is too much for Temporal."""
        info = rerun.info.model_copy(update={"max_payload_bytes": get_max_payload_bytes(self.settings)})
        request = build_run_request(rerun.plan, info)
        envelope = {**split_request(request)[1], **rerun.request}
        encoded = encode_state(
            RunState.from_json(rerun.plan, envelope.pop("state")), envelope, info.max_payload_bytes, with_log=True
        )
        if encoded is None:
            raise OperationRefused(
                "the data of this run is too large to start another run with",
                hint="begin at an earlier step, or store large data elsewhere and pass a reference",
            )
        args = encode_request(request, encoded)
        _require_small(measure_arguments(args), info.max_payload_bytes)
        return PreparedRun(rerun.plan, info, None, args, delivery_id)

    async def start(self, run: PreparedRun) -> StartedRun:
        """Start a run. Where it has been started before, start nothing and return the first one.

        Raises OperationRefused where the ID is that of another run.
        """
        plan, info = run.plan, run.info
        async with translate_rpc_errors():
            try:
                await self.client.start_workflow(
                    name_run_type(plan.id),
                    args=run.args,
                    id=info.id,
                    task_queue=self.settings.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    search_attributes=TypedSearchAttributes(build_search_attributes(plan, info)),
                    static_summary=escape_markdown(plan.name[:200]) or None,
                    memo=omit_empty(**{RERUN_OF: info.rerun_of, DELIVERY: run.delivery_id}),
                    request_eager_start=True,
                    priority=build_priority(plan),
                )
            except WorkflowAlreadyStartedError:
                await self._require_same_start(run)
                RUNS_STARTED.labels(WORKFLOWS.pick(plan.id), info.trigger_type, "duplicate").inc()
                return StartedRun(info.id, plan.id, plan.customer_id, duplicate=True)
            except RPCError as error:
                if error.status == RPCStatusCode.INVALID_ARGUMENT:
                    await require_attributes(self.client)
                raise
        RUNS_STARTED.labels(WORKFLOWS.pick(plan.id), info.trigger_type, "started").inc()
        return StartedRun(info.id, plan.id, plan.customer_id)

    async def _require_same_start(self, run: PreparedRun) -> None:
        """Raise OperationRefused where an ID that has been used is not that of this very start."""
        described = await self.client.get_workflow_handle(run.info.id).describe()
        found = described.typed_search_attributes
        owner = (found.get(WORKFLOW_ID), found.get(CUSTOMER_ID))
        started_by = await described.memo_value(DELIVERY, None)
        if run.is_new or owner != (run.plan.id, run.info.customer_id) or started_by != run.delivery_id:
            raise OperationRefused(f"another run has the ID {run.info.id}", hint="start again, to get another ID")

    async def cancel(self, run_id: str, reason: str = "", *, by: str = "") -> None:
        """Request cancellation: actions and branches are cancelled and compensated, then the run is cancelled.

        The run shows the reason and who asked for it; the SDK's own `cancel` sends neither.
        """
        request = RequestCancelWorkflowExecutionRequest(
            namespace=self.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run_id),
            identity=by or self.client.identity,
            request_id=str(uuid4()),
            reason=reason,
        )
        async with self._open_handle(run_id) as handle:
            # Temporal accepts the cancellation of a closed workflow without an error.
            if (await handle.describe()).status != WorkflowExecutionStatus.RUNNING:
                raise RPCError("the run has ended", RPCStatusCode.NOT_FOUND, b"")
            await self.client.workflow_service.request_cancel_workflow_execution(request, retry=True)

    async def terminate(self, run_id: str, reason: str = "", *, by: str = "") -> None:
        """End a run at once, without compensation; the run shows the reason and who asked for it."""
        request = TerminateWorkflowExecutionRequest(
            namespace=self.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run_id),
            identity=by or self.client.identity,
            reason=reason,
        )
        async with self._open_handle(run_id):
            await self.client.workflow_service.terminate_workflow_execution(request, retry=True)

    async def pause(self, run_id: str, reason: str = "", *, by: str = "") -> None:
        """Pause a run before its next node; the run records who did it and why."""
        async with self._open_handle(run_id) as handle:
            await handle.signal("pause", omit_empty(by=by, reason=reason))

    async def resume(self, run_id: str, reason: str = "", *, by: str = "") -> None:
        """Resume a paused run."""
        async with self._open_handle(run_id) as handle:
            await handle.signal("resume", omit_empty(by=by, reason=reason))

    async def send_event(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        key: str | None = None,
        *,
        event_key: str | None = None,
        by: str = "",
        step_id: str | None = None,
    ) -> None:
        """Send an event to a run's `wait` nodes, once for each key; the run stores events that arrive early.

        `event_key` is what a `wait` may ask for beside the name; `by` is who sends it, for the record; `step_id` is the
        only step that may read it.
        """
        message = {"name": name, "payload": payload, **omit_empty(key=event_key, by=by, step_id=step_id)}
        request = SignalWorkflowExecutionRequest(
            namespace=self.client.namespace,
            signal_name="event",
            input=Payloads(payloads=await encode_for_run(self.client, run_id, [message])),
            identity=by or self.client.identity,
            request_id=key or str(uuid4()),
        )
        request.workflow_execution.workflow_id = run_id
        async with self._open_handle(run_id):
            await self.client.workflow_service.signal_workflow_execution(request, retry=True)

    async def find_event_sender(self, run_id: str, name: str, payload: Any) -> EventSender:
        """Return who sent an event to a run, as far as its history says."""
        async with translate_rpc_errors(run_id):
            return await find_event_sender(self.client, run_id, name, payload)

    async def has_event(self, run_id: str, name: str, key: str) -> bool:
        """Return whether an event was sent to a run under a key, as far as its history says."""
        async with translate_rpc_errors(run_id):
            return await has_event(self.client, run_id, name, key)

    async def find_approval_answer(
        self, run_id: str, step_id: str, assignees: Sequence[str] | None
    ) -> ApprovalAnswer | None:
        """Return the first answer that was sent to an approval by a link; with assignees, by one of them."""
        async with translate_rpc_errors(run_id):
            return await find_approval_answer(self.client, run_id, step_id, assignees)

    async def resolve(
        self,
        run_id: str,
        step: str,
        action: str,
        *,
        parameters: dict[str, Any] | None = None,
        value: Any = None,
        target: str | None = None,
        reason: str = "",
        by: str = "",
    ) -> str:
        """Resolve a step that waits for an operator, by its id or that of its node; return its id.

        Raises OperationRefused where no such step waits, or the resolution cannot be applied.
        """
        resolution = {"node_id": step, "action": action, "parameters": parameters, "value": value, "target": target}
        tree = await self.reader.read_tree(run_id)
        async with self._open_handle(tree.find_workflow_of_step(step)) as handle:
            answer = await execute_update(handle, "resolve", {**resolution, **omit_empty(by=by, reason=reason)})
        return str(answer["step_id"])

    async def repair(self, run_id: str, request: Mapping[str, Any], *, by: str = "") -> dict[str, Any]:
        """Repair a run that is paused or waits, as `RepairRequest` says; return what it records of it.

        Raises OperationRefused where that cannot be done now.
        """
        tree = await self.reader.read_tree(run_id)
        step_id, node_id, path = (request.get(name) for name in ("step_id", "node_id", "path"))
        retrying = None if request["kind"] != "retry_now" else tree.find_retrying_step(step_id, node_id, path)
        if retrying is not None or step_id is not None:
            workflow_id = tree.find_workflow_of_path((retrying or step_id or "").rpartition("/")[0])
        elif path or node_id is None:
            workflow_id = tree.find_workflow_of_path(path or "")
        else:
            workflow_id = tree.find_workflow_of_step(node_id)
        async with self._open_handle(workflow_id) as handle:
            done = await execute_update(handle, "repair", {**request, **omit_empty(by=by)})
            if retrying is not None:
                await reset_activity(self.client, workflow_id, retrying, by=by)
        return done

    async def migrate(
        self, run_id: str, request: MigrationRequest, reason: str = "", *, by: str = ""
    ) -> dict[str, Any]:
        """Have a run move to another version at its next node boundary; return what it records of it.

        Raises OperationRefused with all reasons why its state does not fit.
        """
        message = {"plan": request.plan.to_json(), **omit_empty(renamed=dict(request.renamed), by=by, reason=reason)}
        _require_small(measure_json(message), get_max_payload_bytes(self.settings))
        async with self._open_handle(run_id) as handle:
            return await execute_update(handle, "migrate", message)

    @asynccontextmanager
    async def _open_handle(self, run_id: str) -> AsyncIterator[WorkflowHandle[Any, Any]]:
        """Open a handle to operate a run that has not ended; raises RunNotFound and OperationRefused."""
        handle = self.client.get_workflow_handle(run_id)
        async with translate_rpc_errors(run_id):
            try:
                yield handle
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                # Temporal answers `not found` for closed workflows as well; `describe` tells the two apart.
                described = await handle.describe()
                state = STATUSES[described.status] if described.status is not None else "closed"
                if described.status == WorkflowExecutionStatus.TERMINATED:
                    state = await read_terminated_status(self.client, run_id, str(described.run_id))
                raise OperationRefused(f"run {run_id} has already ended ({state})") from error


def _require_small(size: int, limit: int) -> None:
    if size > limit:
        raise OperationRefused(
            f"the workflow with its input is {size:,} bytes; the limit for starting a run is {limit:,}",
            hint="store large data elsewhere and pass a reference",
        )


def build_priority(plan: Plan) -> Priority:
    """Return the priority that shares workers fairly between customers."""
    return Priority(fairness_key=plan.customer_id[:FAIRNESS_KEY_LENGTH]) if plan.customer_id else Priority()
