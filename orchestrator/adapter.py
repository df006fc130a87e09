"""Effects on Temporal: what the interpreter asks for becomes activities, timers, children and waits.

Replay-sensitive. Nothing here waits on several things at once but by futures of its own, in order.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ActivityCancellationType, ActivityHandle, ChildWorkflowHandle, ParentClosePolicy

from orchestrator.attributes import search_attributes
from orchestrator.effects import ActRequest, BranchRequest, BranchResult, CallRequest, Resolution
from orchestrator.errors import StepFailed
from orchestrator.inbox import Event, Inbox
from orchestrator.payloads import MAX_TASK_BYTES, ended_branch, packed, read_branch_result, run_request, written
from orchestrator.plan import Plan
from orchestrator.run import RunInfo
from orchestrator.translate import activity_failure, child_error, first_object, not_retried

WORKFLOW = "Run"
NODES_BETWEEN_BREATHS = 5_000
"""Pure nodes take no time of Temporal's; so many together stay far below the deadlock detector's 2 s."""
BREATH_SECONDS = 0.001
LOCAL_RETRY_SECONDS = 5.0
"""A longer pause before a local retry is a timer, so that the workflow task does not wait for it."""
MAX_ID = 400
"""Temporal takes ids of 1,000; longer ones than this end in a digest."""
RETRY_FROM_NOW = 1_000
"""Nodes to wait before a state that was too large is written down again."""


@dataclass(slots=True)
class Child:
    """A branch or a called run under way."""

    workflow_id: str
    path: str
    """Empty for a called run."""
    waits: tuple[str, ...]
    handle: ChildWorkflowHandle[Any, Any] | None = None
    backlog: list[tuple[str, Any]] = field(default_factory=list)
    """Signals that came before it had started."""

    async def tell(self, signal: str, value: Any) -> None:
        """Send a signal; a child that has ended needs none."""
        if self.handle is None:
            self.backlog.append((signal, value))
            return
        try:
            await self.handle.signal(signal, value)
        except FailureError:
            workflow.logger.debug("%s has ended before signal %s", self.workflow_id, signal)


@dataclass(slots=True)
class _Waiter:
    event: str
    future: "asyncio.Future[Event]"


@dataclass(frozen=True, slots=True)
class Decision:
    """A step that waits for an operator's word."""

    node_id: str
    word: "asyncio.Future[Resolution]"


class TemporalEffects:
    """Effects for one run, or for one branch of it."""

    def __init__(
        self, plan: Plan, info: RunInfo, inbox: Inbox, *, paused: bool, move_on: Callable[[], dict[str, Any] | None]
    ) -> None:
        self.plan = plan
        self.info = info
        self.inbox = inbox
        self.paused = paused
        self.held = 0
        """Flows that stand still at a node boundary."""
        self.children: dict[str, Child] = {}
        self.branches: deque[dict[str, str]] = deque(maxlen=max(plan.step_log_limit, 1))
        """`{workflow_id, path, status}` of the newest branches."""
        self.decisions: dict[str, Decision] = {}
        self.show: Callable[[], None] = lambda: None
        """Called before the flow waits."""
        self._move_on = move_on
        """Write the whole state down; `None` when it is too large."""
        self._waiters: list[_Waiter] = []
        self._resumed = asyncio.Event()
        self._nodes = 0
        self._breath: asyncio.Event | None = None
        self._try_at = 0
        self._seen = 0
        self._task = (-1, 0)

    def now(self) -> datetime:
        """Give the time of the workflow task."""
        return workflow.now()

    def uuid(self) -> str:
        """Give a UUID that a replay repeats."""
        return str(workflow.uuid4())

    async def act(self, request: ActRequest) -> Any:
        """Run an activity named after the action."""
        arg = packed(self._activity_input(request), f"what {request.title!r} sends to {request.action}")
        await self._room_for(arg)
        self.show()
        cancels = _cancels()
        try:
            result = await _started(request, arg)
        except ActivityError as error:
            if isinstance(error.cause, CancelledError) and _cancels() > cancels:
                raise asyncio.CancelledError from error
            _pass_on(cancels)
            raise activity_failure(error, request) from error
        _pass_on(cancels)
        return result

    def _activity_input(self, request: ActRequest) -> dict[str, Any]:
        sent: dict[str, Any] = {
            "parameters": request.parameters,
            "context": {
                "run_id": self.info.id,
                "workflow_id": self.plan.id,
                "customer_id": self.info.customer_id,
                "node_id": request.node_id,
                "idempotency_key": request.idempotency_key,
            },
        }
        if request.secrets:
            sent["secrets"] = dict(request.secrets)
        return sent

    async def sleep(self, seconds: float, title: str) -> None:
        """Start a durable timer."""
        self.show()
        await workflow.sleep(seconds, summary=title)

    async def receive(self, event: str, timeout_seconds: float | None, title: str) -> tuple[Any] | None:
        """Take an event, waiting for it if need be."""
        early = self.inbox.take(event)
        if early is not None:
            return (early.payload,)
        if timeout_seconds is not None and timeout_seconds <= 0:
            return None
        waiter = _Waiter(event, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self.show()
        try:
            if timeout_seconds is None:
                await waiter.future
            else:
                await workflow.wait_condition(waiter.future.done, timeout=timeout_seconds, timeout_summary=title)
        except asyncio.TimeoutError:
            return (waiter.future.result().payload,) if waiter.future.done() else None
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                self.inbox.put_back(waiter.future.result())
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return (waiter.future.result().payload,)

    async def deliver(self, event: str, payload: Any, number: int | None = None) -> None:
        """Keep an event, hand it to who waits for it here, and to the branches that name it."""
        kept = self.inbox.put(event, payload, number)
        copy = {"name": event, "payload": payload, "number": kept.number}
        for waiter in self._waiters:
            if waiter.event == event and not waiter.future.done():
                taken = self.inbox.take(event)
                if taken is not None:
                    waiter.future.set_result(taken)
                break
        readers = [child for child in self.children.values() if event in child.waits]
        await asyncio.gather(*(child.tell("event", copy) for child in readers))

    async def pause(self, paused: bool) -> None:
        """Stand still at the next boundary, or go on; branches and called runs too."""
        if paused == self.paused:
            return
        self.paused = paused
        if not paused:
            self._resumed.set()
            self._resumed = asyncio.Event()
        signal = "pause" if paused else "resume"
        await asyncio.gather(*(child.tell(signal, {}) for child in list(self.children.values())))

    async def branch(self, request: BranchRequest) -> BranchResult:
        """Run a branch as a child workflow."""
        parallel = request.path.rpartition("[")[0]
        child = Child(shortened(f"{self.info.id}/{request.path}"), request.path, request.waits)
        shown = {"workflow_id": child.workflow_id, "path": request.path, "status": "running"}
        arg = packed(self._branch_input(request, parallel), f"what branch {request.title!r} is given")
        await self._room_for(arg)
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

    def _branch_input(self, request: BranchRequest, parallel: str) -> dict[str, Any]:
        place = {"path": request.path, "context": request.context, "exports": list(request.exports)}
        early = [event.to_json() for event in self.inbox.copies(request.waits, parallel)]
        return {**run_request(request.plan, self.info), "branch": place, **written(inbox=early, paused=self.paused)}

    def _failed_branch(
        self, error: ChildWorkflowError | WorkflowAlreadyStartedError, title: str
    ) -> tuple[BranchResult, Any]:
        cause = error.cause if isinstance(error, ChildWorkflowError) else None
        entries = first_object(cause, 1) if isinstance(cause, ApplicationError) else {}
        if isinstance(cause, CancelledError) and _cancels():
            return BranchResult("cancelled"), entries
        document = child_error(error, f"branch {title!r}", self.now())
        if isinstance(cause, ApplicationError) and entries.get("cancelled"):
            return ended_branch("cancelled", None, entries), entries
        return ended_branch("failed", document, entries), entries

    async def call(self, request: CallRequest) -> dict[str, Any]:
        """Run another workflow as a child with a run id of its own."""
        callee = request.plan
        info = RunInfo(
            id=self.uuid(), customer_id=self.info.customer_id, trigger_type="workflow", parent_run_id=self.info.id
        )
        arg = packed(run_request(callee, info, given=request.input), f"what {request.title!r} is given")
        await self._room_for(arg)
        self.show()
        child = Child(info.id, "", ())
        try:
            result = await self._run_child(child, arg, request.title, search_attributes(callee, info), request.wait)
        except (ChildWorkflowError, WorkflowAlreadyStartedError) as error:
            if isinstance(error.cause, CancelledError) and _cancels():
                raise asyncio.CancelledError from error
            raise self._failed_call(error, callee, info.id) from error
        if not request.wait:
            return {"run_id": info.id, "status": "running", "output": None}
        return {"run_id": info.id, "status": "completed", "output": result.get("output")}

    def _failed_call(
        self, error: ChildWorkflowError | WorkflowAlreadyStartedError, callee: Plan, run_id: str
    ) -> StepFailed:
        document = child_error(error, f"workflow {callee.id}", self.now())
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
            self.children[child.workflow_id] = child
        cancels = _cancels()
        try:
            handle = await _settled(start)
            child.handle = handle
            if not wait:
                return {}
            if _cancels() > cancels:
                handle.cancel()
            for signal, value in child.backlog:
                await handle.signal(signal, value)
            result: dict[str, Any] = await handle
        finally:
            self.children.pop(child.workflow_id, None)
        _pass_on(cancels)
        return result

    async def decide(self, step_id: str, node_id: str, error: dict[str, Any]) -> Resolution:
        """Wait for the update `resolve`."""
        decision = Decision(node_id, asyncio.get_running_loop().create_future())
        self.decisions[step_id] = decision
        self.show()
        try:
            return await decision.word
        finally:
            self.decisions.pop(step_id, None)

    def due(self) -> bool:
        """Count the node; tell whether there is a reason to stop at it."""
        self._nodes += 1
        self._seen += 1
        return (
            self.paused
            or self._breath is not None
            or self._nodes >= NODES_BETWEEN_BREATHS
            or workflow.info().is_continue_as_new_suggested()
        )

    async def boundary(self, *, resumable: bool) -> None:
        """Take a breath, hold while paused, continue as new."""
        if self._breath is not None or self._nodes >= NODES_BETWEEN_BREATHS:
            await self._breathe()
        while self.paused:
            await self._hold()
        if resumable and self._seen >= self._try_at and workflow.info().is_continue_as_new_suggested():
            await self._continue_as_new()

    async def _breathe(self) -> None:
        """End the workflow task by a short timer, one for all flows."""
        if self._breath is not None:
            await self._breath.wait()
            return
        breath = self._breath = asyncio.Event()
        try:
            await workflow.sleep(BREATH_SECONDS)
        finally:
            self._nodes = 0
            self._breath = None
            breath.set()

    async def _hold(self) -> None:
        self.held += 1
        self.show()
        try:
            await self._resumed.wait()
        finally:
            self.held -= 1

    async def _continue_as_new(self) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        request = self._move_on()
        if request is None:
            self._try_at = self._seen + RETRY_FROM_NOW
            workflow.logger.warning("the state is too large to continue as new")
            return
        workflow.continue_as_new(packed(request, "the state of the run"))

    async def _room_for(self, arg: RawValue) -> None:
        """Wait for another workflow task where this one could not send so much."""
        size = len(arg.payload.data)
        while True:
            length = workflow.info().get_current_history_length()
            sent = self._task[1] if self._task[0] == length else 0
            if sent == 0 or sent + size <= MAX_TASK_BYTES:
                self._task = (length, sent + size)
                return
            await workflow.sleep(BREATH_SECONDS)


def _started(request: ActRequest, arg: RawValue) -> ActivityHandle[Any]:
    """Schedule an activity. One without heartbeat cannot learn that it is cancelled: nobody waits for it then."""
    retry = request.retry
    policy = RetryPolicy(
        initial_interval=timedelta(seconds=retry.initial_interval),
        backoff_coefficient=retry.backoff_coefficient,
        maximum_interval=timedelta(seconds=max(retry.maximum_interval, retry.initial_interval)),
        maximum_attempts=retry.maximum_attempts,
        non_retryable_error_types=not_retried(retry),
    )
    activity_id = shortened(request.step_id)
    summary = None if activity_id.endswith(request.title) else request.title
    timeout = timedelta(seconds=request.timeout_seconds)
    if request.local:
        return workflow.start_local_activity(
            request.action,
            arg,
            activity_id=activity_id,
            summary=summary,
            start_to_close_timeout=timeout,
            retry_policy=policy,
            local_retry_threshold=timedelta(seconds=LOCAL_RETRY_SECONDS),
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
    heartbeat = request.heartbeat_seconds
    return workflow.start_activity(
        request.action,
        arg,
        activity_id=activity_id,
        summary=summary,
        task_queue=request.task_queue,
        start_to_close_timeout=timeout,
        heartbeat_timeout=timedelta(seconds=heartbeat) if heartbeat else None,
        retry_policy=policy,
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
        if heartbeat
        else ActivityCancellationType.TRY_CANCEL,
    )


async def _settled(task: "asyncio.Task[ChildWorkflowHandle[Any, Any]]") -> ChildWorkflowHandle[Any, Any]:
    """Wait for a start that a cancellation must not leave half done."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        return await task


def _cancels() -> int:
    """Give how often the current flow has been cancelled."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _pass_on(cancels: int) -> None:
    """Cancel the flow at its next wait when what it awaited has ended on its own all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling() > cancels:
        task.cancel()


def shortened(name: str) -> str:
    """Keep an id within Temporal's limit."""
    if len(name) <= MAX_ID:
        return name
    return f"{name[:MAX_ID]}~{sha256(name.encode()).hexdigest()[:16]}"
