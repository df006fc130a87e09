"""The workflow of a run, or of one branch of a run. Replay-sensitive.

The only module that may use `workflow.patched`. An OrchestratorError that escapes fails the run. Any other exception
is a bug: it fails the workflow task, which Temporal retries until a fixed worker is deployed.
"""

import asyncio
import contextlib
import inspect
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.workflow import DynamicWorkflowConfig

# The sandbox imports modules again for every run. These are slow to import or do I/O on import; they hold tables and
# frozen types only, and errors must be the same classes on both sides.
with workflow.unsafe.imports_passed_through():
    import orchestrator.jsontools.schema
    import orchestrator.timing.fire_times  # noqa: F401 - see above; the interpreter imports both
    from orchestrator.errors import OrchestratorError, StepFailed
    from orchestrator.model.plan import FORMAT  # noqa: F401 - see above; the plan's types are pydantic models
    from orchestrator.telemetry.context import log_context

from orchestrator.interpreter.execute import execute, execute_branch
from orchestrator.interpreter.failures import build_error_document
from orchestrator.interpreter.pool import CancelForwarder, is_discarded
from orchestrator.model.run import ErrorDocument, format_timestamp
from orchestrator.temporal.branch_results import encode_branch_result, result_within_limit
from orchestrator.temporal.failures import build_run_failure
from orchestrator.temporal.payloads import encode_or_fail
from orchestrator.temporal.requests import decode_arguments, read_request, require_own_workflow
from orchestrator.temporal.search_attributes import FIRST_STARTED_AT
from orchestrator.temporal.workflow.cancellation import GIVEN_UP, await_uncancelled
from orchestrator.temporal.workflow.continuation import watch_for_continuation
from orchestrator.temporal.workflow.flow import Flow
from orchestrator.temporal.workflow.operators import (
    migrate,
    pause,
    repair,
    require_valid_migration,
    require_valid_repair,
    require_valid_resolution,
    resolve,
)
from orchestrator.temporal.workflow.shown_keys import show_keys
from orchestrator.temporal.workflow.shown_waits import watch_waits


@workflow.defn(dynamic=True)
class RunWorkflow:
    """Runs the plan in its arguments, under any workflow type."""

    @workflow.init
    def __init__(self, args: Sequence[RawValue]) -> None:
        # A request that cannot be read must fail the run, not the workflow task; only `run` can do that.
        self._flow: Flow | None = None
        self._fault: ApplicationError | None = None
        try:
            require_own_workflow(workflow.info())
            self._flow = Flow(read_request(decode_arguments(args, workflow.payload_converter())))
        except ApplicationError as error:
            self._fault = error

    @workflow.dynamic_config
    def configure(self) -> DynamicWorkflowConfig:
        """Say which exceptions fail the run instead of the workflow task."""
        return DynamicWorkflowConfig(failure_exception_types=[OrchestratorError])

    @property
    def flow(self) -> Flow:
        """Return the flow; raises the error that its request had."""
        if self._flow is None:
            raise self._fault or AssertionError("neither flow nor fault")
        return self._flow

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """Run to the end; return `{"output": …}`, or the result of a branch."""
        flow = self.flow
        log_context.set({"run_id": flow.info.id, "workflow_id": flow.plan.id, "customer_id": flow.info.customer_id})
        work = self._run_whole(flow) if flow.branch is None else self._run_branch(flow, flow.branch.get("exports", []))
        try:
            return await _run_shielded(flow, work)
        finally:
            # Temporal warns of a workflow that ends with handlers running, and their updates would fail.
            if not is_discarded():
                flow.show()
                await _wait_for_handlers()

    async def _run_whole(self, flow: Flow) -> Any:
        show_keys(flow)
        outcome = await execute(flow.plan, flow.info, flow.state, flow.effects, flow.known.compiled)
        if outcome.error is not None:
            raise flow.build_failure(outcome.error)
        try:
            return encode_or_fail({"output": outcome.output}, "the output of the run", flow.info.max_payload_bytes)
        except StepFailed as failure:
            flow.state.status, flow.state.output = "failed", None
            flow.state.failure = build_error_document(failure, workflow.now())
            raise flow.build_failure(flow.state.failure) from failure

    async def _run_branch(self, flow: Flow, exports: list[str]) -> Any:
        result = await execute_branch(flow.plan, flow.info, flow.state, flow.effects, exports, flow.known.compiled)
        entries = encode_branch_result(result, flow.inbox.read)
        limit = flow.info.max_payload_bytes
        if result.status == "completed":
            try:
                return encode_or_fail(entries, "the result of the branch", limit)
            except StepFailed as failure:
                flow.state.status, flow.state.output = "failed", None
                flow.state.failure = build_error_document(failure, workflow.now())
                # What the branch did is still to be undone: only the run can do that.
                raise flow.build_failure(flow.state.failure, result_within_limit(entries, limit)) from failure
        if result.status == "failed" and result.error is not None:
            raise flow.build_failure(result.error, result_within_limit(entries, limit))
        raise _build_cancellation(entries, limit)

    @workflow.signal
    async def event(self, message: Any = None) -> None:
        """Receive an event: `{name, payload, key, by, step_id}`."""
        if self._flow is None or not isinstance(message, Mapping) or not isinstance(message.get("name"), str):
            workflow.logger.warning("ignored an event without a name")
            return
        self.flow.record_signal()
        number = message.get("number")  # in the copy that a branch gets
        if not isinstance(number, int):
            number = None
        key, by, step_id = (
            value if isinstance(value, str) else None for value in map(message.get, ("key", "by", "step_id"))
        )
        await self.flow.effects.deliver(message["name"], message.get("payload"), number, key, by or "", step_id)

    @workflow.signal
    async def pause(self, message: Any = None) -> None:
        """Pause before the next node: `{by, reason}`."""
        if self._flow is not None:
            await pause(self._flow, message, paused=True)

    @workflow.signal
    async def resume(self, message: Any = None) -> None:
        """Resume after a pause: `{by, reason}`."""
        if self._flow is not None:
            await pause(self._flow, message, paused=False)

    @workflow.update
    async def resolve(self, resolution: Any = None) -> dict[str, Any]:
        """Resolve a step that waits for an operator: `{step_id | node_id, action, …}`; return its ids."""
        return resolve(self.flow, resolution)

    @resolve.validator
    def _validate_resolution(self, resolution: Any = None) -> None:
        require_valid_resolution(self.flow, resolution)

    @workflow.update
    async def repair(self, message: Any = None) -> dict[str, Any]:
        """Change what is to come in a run that waits: see `RepairRequest`; return what is recorded of it."""
        await self.flow.effects.segments.wait()  # it does not know what is changed
        return repair(self.flow, message)

    @repair.validator
    def _validate_repair(self, message: Any = None) -> None:
        require_valid_repair(self.flow, message)

    @workflow.update
    async def migrate(self, message: Any = None) -> dict[str, Any]:
        """Move to another version at the next node boundary: see `MigrationRequest`; return what is recorded of it."""
        await self.flow.effects.segments.wait()
        return migrate(self.flow, message)

    @migrate.validator
    def _validate_migration(self, message: Any = None) -> None:
        require_valid_migration(self.flow, message)


async def _wait_for_handlers() -> None:
    """Wait until all signals and updates have been handled; it is too late to cancel a run that has ended."""
    if not workflow.all_handlers_finished():
        waiting = workflow.wait_condition(workflow.all_handlers_finished)
        await await_uncancelled(asyncio.get_running_loop().create_task(waiting))


async def _run_shielded(flow: Flow, work: Coroutine[Any, Any, Any]) -> Any:
    """Run the flow in its own task, so that a cancellation does not interrupt the compensation of a failure.

    Of a timer and a cancellation in the same workflow task, the flow learns of the cancellation first: it starts no
    further node, and does not end as completed. When it has ended it is too late to cancel it.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)

    segments = flow.effects.segments

    def cancel() -> None:
        if segments.is_busy and workflow.in_workflow():
            segments.call_when_idle(cancel)
            return
        flow.drop_move(["the run was cancelled"])
        # With a failure the compensations are running: they finish, and the run fails instead of being cancelled.
        if flow.state.failure is None:
            # A worker that evicts a workflow cancels it outside of its loop.
            flow.state.given_up = workflow.in_workflow() and workflow.cancellation_reason() == GIVEN_UP
            # A task that is cancelled before its first turn never runs, which would leave the run without an end.
            task.cancel() if inspect.getcoroutinestate(work) != inspect.CORO_CREATED else loop.call_soon(task.cancel)

    end = CancelForwarder(cancel)
    faults: list[BaseException] = []

    def fail_task(error: BaseException) -> None:
        faults.append(error)
        if not end.done():
            end.set_exception(error)
        task.cancel()

    segments.fail_task = fail_task
    request = await _wait_for_end(flow, end, task)
    if request is not None:
        memo = {**workflow.memo(), FIRST_STARTED_AT: format_timestamp(flow.state.started_at)}
        workflow.continue_as_new(args=request, memo=memo)
    try:
        return await await_uncancelled(task)
    finally:
        if not is_discarded():
            if faults:
                raise faults[0]
            flow.drop_move(["the run has ended"])
            segments.require_end()


async def _wait_for_end(flow: Flow, end: CancelForwarder, task: "asyncio.Task[Any]") -> list[RawValue] | None:
    """Wait until the flow has ended, or is to continue as new: then return with what."""
    loop = asyncio.get_running_loop()
    watcher = loop.create_task(watch_for_continuation(flow, end))
    shower = loop.create_task(watch_waits(flow, end))

    def stop_waiting(ended: "asyncio.Task[Any]") -> None:
        if not end.done():
            end.set_result(None)

    task.add_done_callback(stop_waiting)
    watcher.add_done_callback(stop_waiting)
    request: list[RawValue] | None = None
    try:
        with contextlib.suppress(asyncio.CancelledError):
            request = await end
    finally:
        watcher.cancel()
        shower.cancel()
    if watcher.done() and not watcher.cancelled():
        watcher.result()
    return request


def _build_cancellation(entries: dict[str, Any], limit: int) -> BaseException:
    """Return how a cancelled branch ends: what it has done, read and still owes can only be returned in a failure."""
    if not entries:
        return asyncio.CancelledError()
    error = ErrorDocument(message="the branch was cancelled", error_type="cancelled", timestamp=workflow.now())
    return build_run_failure(error, result_within_limit({**entries, "cancelled": True}, limit))


__all__ = ["RunWorkflow"]
