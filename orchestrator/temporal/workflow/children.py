"""Branches and called workflows: Temporal child workflows, the signals they are sent and what they give back.

Replay-sensitive.
"""

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
from orchestrator.interpreter.effects import BranchRequest, BranchResult, CallRequest
from orchestrator.interpreter.pool import discarded
from orchestrator.model.plan import ANY_EVENT, Plan
from orchestrator.model.run import RunInfo
from orchestrator.temporal.branch_results import ended_branch, read_branch_result
from orchestrator.temporal.failures import child_error, first_object
from orchestrator.temporal.payloads import packed, shortened
from orchestrator.temporal.requests import run_request, written
from orchestrator.temporal.search_attributes import WORKFLOW, search_attributes
from orchestrator.temporal.workflow.cancellation import cancels, pass_on
from orchestrator.temporal.workflow.inbox import Inbox
from orchestrator.temporal.workflow.task_budget import Room


@dataclass(slots=True)
class Child:
    """A branch or a called run under way."""

    workflow_id: str
    path: str
    """Empty for a called run."""
    waits: tuple[str, ...]
    handle: ChildWorkflowHandle[Any, Any] | None = None
    backlog: deque[tuple[str, Any]] = field(default_factory=deque)
    """Signals that came before it had started."""

    async def tell(self, signal: str, value: Any) -> None:
        """Send a signal, later where the child has not started."""
        if self.handle is None:
            self.backlog.append((signal, value))
        else:
            await self._send(self.handle, signal, value)

    async def catch_up(self, handle: ChildWorkflowHandle[Any, Any]) -> None:
        """Send what came before the child had started; what comes meanwhile stands behind it."""
        while self.backlog:
            signal, value = self.backlog.popleft()
            await self._send(handle, signal, value)
        self.handle = handle

    async def _send(self, handle: ChildWorkflowHandle[Any, Any], signal: str, value: Any) -> None:
        """Send a signal; a child that has ended needs none."""
        try:
            await handle.signal(signal, value)
        except FailureError:
            workflow.logger.debug("%s has ended before signal %s", self.workflow_id, signal)


class Children:
    """The child workflows of one flow."""

    def __init__(self, plan: Plan, info: RunInfo, inbox: Inbox, room: Room, show: Callable[[], None]) -> None:
        self.plan = plan
        self.info = info
        self.inbox = inbox
        self.room = room
        self.show = show
        self.running: dict[str, Child] = {}
        self.branches: deque[dict[str, str]] = deque(maxlen=max(plan.step_log_limit, 1))
        """`{workflow_id, path, status}` of the newest branches."""

    async def tell_all(self, signal: str, value: Any) -> None:
        """Send a signal to every child."""
        await asyncio.gather(*(child.tell(signal, value) for child in list(self.running.values())))

    async def deliver(self, event: str, copy: dict[str, Any]) -> None:
        """Give a copy of an event to the branches that wait for that name."""
        readers = [child for child in self.running.values() if event in child.waits or ANY_EVENT in child.waits]
        await asyncio.gather(*(child.tell("event", copy) for child in readers))

    async def branch(self, request: BranchRequest, *, paused: bool) -> BranchResult:
        """Run a branch as a child workflow."""
        parallel = request.path.rpartition("[")[0]
        child = Child(shortened(f"{self.info.id}/{request.path}"), request.path, request.waits)
        shown = {"workflow_id": child.workflow_id, "path": request.path, "status": "running"}
        arg = packed(self._branch_input(request, parallel, paused), f"what branch {request.title!r} is given")
        await self.room.take(arg)
        self.branches.append(shown)
        self.show()
        try:
            entries = await self._run_child(child, arg, request.title)
        except asyncio.CancelledError:
            result = BranchResult("cancelled")
        except (ChildWorkflowError, WorkflowAlreadyStartedError) as error:
            result, entries = self._failed_branch(error, request.title)
            self.inbox.note(entries.get("read", ()), parallel)
        else:
            result = read_branch_result(entries)
            self.inbox.note(entries.get("read", ()), parallel)
        shown["status"] = result.status
        return result

    def _branch_input(self, request: BranchRequest, parallel: str, paused: bool) -> dict[str, Any]:
        place = {"path": request.path, "context": request.context, "exports": list(request.exports)}
        early = [event.to_json() for event in self.inbox.copies(request.waits, parallel)]
        return {**run_request(request.plan, self.info), "branch": place, **written(inbox=early, paused=paused)}

    def _failed_branch(
        self, error: ChildWorkflowError | WorkflowAlreadyStartedError, title: str
    ) -> tuple[BranchResult, Any]:
        cause = error.cause if isinstance(error, ChildWorkflowError) else None
        entries = first_object(cause, 1) if isinstance(cause, ApplicationError) else {}
        if isinstance(cause, CancelledError) and cancels():
            return BranchResult("cancelled"), entries
        document = child_error(error, f"branch {title!r}", workflow.now())
        if isinstance(cause, ApplicationError) and entries.get("cancelled"):
            return ended_branch("cancelled", None, entries), entries
        return ended_branch("failed", document, entries), entries

    async def call(self, request: CallRequest) -> dict[str, Any]:
        """Run another workflow as a child with a run id of its own."""
        callee = request.plan
        info = RunInfo(
            id=str(workflow.uuid4()),
            customer_id=self.info.customer_id,
            trigger_type="workflow",
            parent_run_id=self.info.id,
        )
        arg = packed(run_request(callee, info, given=request.input), f"what {request.title!r} is given")
        await self.room.take(arg)
        self.show()
        child = Child(info.id, "", ())
        try:
            result = await self._run_child(child, arg, request.title, search_attributes(callee, info), request.wait)
        except (ChildWorkflowError, WorkflowAlreadyStartedError) as error:
            if isinstance(error.cause, CancelledError) and cancels():
                raise asyncio.CancelledError from error
            raise self._failed_call(error, callee, info.id) from error
        if not request.wait:
            return {"run_id": info.id, "status": "running", "output": None}
        return {"run_id": info.id, "status": "completed", "output": result.get("output")}

    def _failed_call(
        self, error: ChildWorkflowError | WorkflowAlreadyStartedError, callee: Plan, run_id: str
    ) -> StepFailed:
        document = child_error(error, f"workflow {callee.id}", workflow.now())
        return StepFailed(
            f"workflow {callee.id} failed: {document['message']}",
            error_type=document["error_type"],
            details={"run_id": run_id, "error": document},
            recoverable=document.get("recoverable", True),
        )

    async def _run_child(
        self,
        child: Child,
        arg: RawValue,
        title: str,
        attributes: list[SearchAttributePair[Any]] | None = None,
        wait: bool = True,
    ) -> dict[str, Any]:
        """Start a child and wait for its result; when cancelled, cancel it and wait for its end."""
        policy = ParentClosePolicy.REQUEST_CANCEL if attributes else ParentClosePolicy.TERMINATE
        start = asyncio.get_running_loop().create_task(
            workflow.start_child_workflow(
                WORKFLOW,
                arg,
                id=child.workflow_id,
                static_summary=title,
                parent_close_policy=policy if wait else ParentClosePolicy.ABANDON,
                search_attributes=TypedSearchAttributes(attributes) if attributes else None,
            )
        )
        if wait:
            self.running[child.workflow_id] = child
        before = cancels()
        talk: asyncio.Task[None] | None = None
        try:
            handle = await _settled(start)
            if not wait:
                return {}
            if cancels() > before:
                handle.cancel()
            talk = asyncio.get_running_loop().create_task(child.catch_up(handle))
            result: dict[str, Any] = await handle
        finally:
            self.running.pop(child.workflow_id, None)
            if talk is not None and not discarded():
                await talk
        pass_on(before)
        return result


async def _settled(task: "asyncio.Task[ChildWorkflowHandle[Any, Any]]") -> ChildWorkflowHandle[Any, Any]:
    """Wait for a start that a cancellation must not leave half done."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        return await task
