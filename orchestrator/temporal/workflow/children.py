"""Run branches and called workflows as Temporal child workflows. Replay-sensitive."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ChildWorkflowHandle, ParentClosePolicy

from orchestrator.errors import StepFailed
from orchestrator.interpreter.child_results import BatchEnd
from orchestrator.interpreter.effects import BranchRequest, BranchResult, CallRequest
from orchestrator.interpreter.inbox import Inbox
from orchestrator.interpreter.pool import is_discarded
from orchestrator.model.plan import ANY_EVENT, Plan
from orchestrator.model.run import RunInfo
from orchestrator.model.run_ids import derive_run_id
from orchestrator.temporal.branch_results import read_branch_result, read_unfinished_branch
from orchestrator.temporal.failures import read_detail, translate_child_error
from orchestrator.temporal.markdown import escape_markdown
from orchestrator.temporal.payloads import encode_all_or_fail, shorten_id
from orchestrator.temporal.requests import build_run_request, omit_empty, split_request
from orchestrator.temporal.search_attributes import build_branch_attributes, build_search_attributes
from orchestrator.temporal.workflow.cancellation import (
    await_operation,
    await_uncancelled,
    count_cancellations,
    find_cancel_reason,
)
from orchestrator.temporal.workflow.task_budget import TaskBudget
from orchestrator.temporal.workflow_types import name_branch_type, name_run_type


@dataclass(slots=True)
class Child:
    """A running branch or called run."""

    workflow_id: str
    title: str
    path: str
    """Path prefix of the branch; empty for a called run."""
    waits: tuple[str, ...]
    handle: ChildWorkflowHandle[Any, Any] | None = None
    backlog: deque[tuple[str, Any]] = field(default_factory=deque)
    """Signals to send, in order."""
    sending: bool = False

    async def send_signal(self, signal: str, value: Any) -> None:
        """Send a signal after those before it, or queue it until the child has started."""
        self.backlog.append((signal, value))
        if self.handle is not None and not self.sending:
            await self._send_backlog(self.handle)

    async def catch_up(self, handle: ChildWorkflowHandle[Any, Any]) -> None:
        """Send the queued signals; from now on others follow at once."""
        self.handle = handle
        await self._send_backlog(handle)

    async def _send_backlog(self, handle: ChildWorkflowHandle[Any, Any]) -> None:
        # One at a time: the server delivers signals of one workflow task to a child in any order.
        self.sending = True
        while self.backlog:
            signal, value = self.backlog.popleft()
            await self._send_now(handle, signal, value)
        self.sending = False

    async def _send_now(self, handle: ChildWorkflowHandle[Any, Any], signal: str, value: Any) -> None:
        """Send a signal; a child that has ended ignores it."""
        try:
            await handle.signal(signal, value)
        except FailureError:
            workflow.logger.debug("%s has ended before signal %s", self.workflow_id, signal)


class Children:
    """The child workflows of one flow."""

    def __init__(self, plan: Plan, info: RunInfo, inbox: Inbox, budget: TaskBudget, show: Callable[[], None]) -> None:
        self.plan = plan
        self.info = info
        self.inbox = inbox
        self.budget = budget
        self.show = show
        self.running: dict[str, Child] = {}
        self.branches: deque[dict[str, Any]] = deque(maxlen=max(plan.step_log_limit, 1))
        """`{workflow_id, path, status}` of the newest branches; of a batch of a loop that has ended also how many
        `steps` it has begun, and how many iterations have `failed`."""
        self.calls: dict[str, str] = {}
        """Run ids of called workflows, by the ids of the steps that have called them in this execution."""

    async def signal_all(self, signal: str, value: Any) -> None:
        """Send a signal to every child."""
        await asyncio.gather(*(child.send_signal(signal, value) for child in list(self.running.values())))

    async def deliver(self, event: str, copy: dict[str, Any]) -> None:
        """Send a copy of an event to the branches that wait for its name."""
        readers = [child for child in self.running.values() if event in child.waits or ANY_EVENT in child.waits]
        await asyncio.gather(*(child.send_signal("event", copy) for child in readers))

    async def branch(self, request: BranchRequest, *, paused: bool) -> BranchResult:
        """Run a branch as a child workflow."""
        parallel = request.path.rpartition("[")[0]
        child = Child(shorten_id(f"{self.info.id}/{request.path}"), request.title, request.path, request.waits)
        entry: dict[str, Any] = {"workflow_id": child.workflow_id, "path": request.path, "status": "running"}
        args = encode_all_or_fail(
            split_request(self._branch_input(request, parallel, paused)),
            f"the input of branch {request.title!r}",
            self.info.max_payload_bytes,
        )
        await self._take_budget(child, args)
        self.branches.append(entry)
        self.show()
        try:
            entries = await self._run_child(
                child,
                args,
                name_branch_type(request.plan.id),
                build_branch_attributes(request.plan, self.info),
                ParentClosePolicy.TERMINATE,
            )
        except asyncio.CancelledError:
            result = BranchResult("cancelled")
        except (ChildWorkflowError, WorkflowAlreadyStartedError) as error:
            result, entries = self._failed_branch(error, request.title)
            self.inbox.mark_read(entries.get("read", ()), parallel)
        else:
            result = read_branch_result(entries)
            self.inbox.mark_read(entries.get("read", ()), parallel)
        entry["status"] = result.status
        if request.frame is not None:
            entry |= {"steps": result.steps_started, "failed": BatchEnd.from_result(result, request.node_id).failed}
        return result

    def _branch_input(self, request: BranchRequest, parallel: str, paused: bool) -> dict[str, Any]:
        branch: dict[str, Any] = {"path": request.path, "exports": list(request.exports)}
        if request.frame is not None and request.resume is None:
            branch["frame"] = request.frame
        if request.overrides:
            branch["overrides"] = [override.to_json() for override in request.overrides]
        if request.resume is not None:  # its state has the variables, and its events are those that it has not read
            return {
                **build_run_request(request.plan, self.info),
                **request.resume,
                "branch": branch,
                **omit_empty(paused=paused),
            }
        early = [event.to_json() for event in self.inbox.copy_for_branch(request.waits, parallel)]
        return {
            **build_run_request(request.plan, self.info, input_data=request.context),
            "branch": branch,
            **omit_empty(inbox=early, paused=paused),
        }

    def _failed_branch(
        self, error: ChildWorkflowError | WorkflowAlreadyStartedError, title: str
    ) -> tuple[BranchResult, Any]:
        cause = error.cause if isinstance(error, ChildWorkflowError) else None
        entries = read_detail(cause, 1) if isinstance(cause, ApplicationError) else {}
        # A branch may also be cancelled from outside, by its own workflow id: then it has failed.
        if isinstance(cause, CancelledError) and count_cancellations():
            return BranchResult("cancelled"), entries
        document = translate_child_error(error, f"branch {title!r}", workflow.now())
        if entries.get("cancelled") and count_cancellations():
            return read_unfinished_branch("cancelled", None, entries), entries
        return read_unfinished_branch("failed", document, entries), entries

    async def call(self, request: CallRequest) -> dict[str, Any]:
        """Run another workflow as a child with its own run id."""
        callee = request.plan
        info = RunInfo(
            id=derive_run_id(callee.id, self.info.id, str(workflow.uuid4())),
            customer_id=self.info.customer_id,
            trigger_type="workflow",
            parent_run_id=self.info.id,
            max_payload_bytes=self.info.max_payload_bytes,
        )
        self.calls[request.step_id] = info.id
        args = encode_all_or_fail(
            split_request(build_run_request(callee, info, input_data=request.input)),
            f"the input of {request.title!r}",
            info.max_payload_bytes,
        )
        child = Child(info.id, request.title, "", ())
        if request.wait:
            await self._take_budget(child, args)
        else:
            await self.budget.take(*args)
        self.show()
        try:
            result = await self._run_child(
                child,
                args,
                name_run_type(callee.id),
                build_search_attributes(callee, info),
                ParentClosePolicy.REQUEST_CANCEL if request.wait else ParentClosePolicy.ABANDON,
            )
        except (ChildWorkflowError, WorkflowAlreadyStartedError) as error:
            if isinstance(error.cause, CancelledError) and count_cancellations():
                raise asyncio.CancelledError from error
            raise self._failed_call(error, callee, info.id) from error
        if not request.wait:
            return {"run_id": info.id, "status": "running", "output": None}
        return {"run_id": info.id, "status": "completed", "output": result.get("output")}

    def _failed_call(
        self, error: ChildWorkflowError | WorkflowAlreadyStartedError, callee: Plan, run_id: str
    ) -> StepFailed:
        document = translate_child_error(error, f"workflow {callee.id}", workflow.now())
        return StepFailed(
            f"workflow {callee.id} failed: {document.message}",
            error_type=document.error_type,
            details={"run_id": run_id, "error": document.to_json()},
            recoverable=document.recoverable,
        )

    async def _take_budget(self, child: Child, args: list[RawValue]) -> None:
        """Wait for the budget of the workflow task; signals that arrive after the input was encoded are queued."""
        self.running[child.workflow_id] = child
        try:
            await self.budget.take(*args)
        except BaseException:
            self.running.pop(child.workflow_id, None)
            raise

    async def _run_child(
        self,
        child: Child,
        args: list[RawValue],
        workflow_type: str,
        attributes: list[SearchAttributePair[Any]],
        policy: ParentClosePolicy,
    ) -> dict[str, Any]:
        """Start a child and return its result; when cancelled, cancel the child and wait for its end.

        A called run outlives its caller's end by its own compensations, or altogether where the caller does not wait.
        A branch has nothing of its own to undo: it returns its compensations to the run.
        """
        start = asyncio.get_running_loop().create_task(
            workflow.start_child_workflow(
                workflow_type,
                args=args,
                id=child.workflow_id,
                static_summary=escape_markdown(child.title),
                parent_close_policy=policy,
                search_attributes=TypedSearchAttributes(attributes),
            )
        )
        before = count_cancellations()
        backlog_task: asyncio.Task[None] | None = None
        try:
            handle = await await_uncancelled(start)  # only a started child can be cancelled
            if policy == ParentClosePolicy.ABANDON:
                return {}
            backlog_task = asyncio.get_running_loop().create_task(child.catch_up(handle))
            if count_cancellations() > before:
                handle.cancel(find_cancel_reason())
            result: dict[str, Any] = await await_operation(handle, find_cancel_reason)
        finally:
            self.running.pop(child.workflow_id, None)
            if backlog_task is not None and not is_discarded():
                await backlog_task
        return result
