"""Run fused actions in segments: see `interpreter/segments.py`. Replay-sensitive.

A segment starts once every path of the flow has come to rest, so that its copy of the flow stands where the flow does.
What arrives while it runs waits until its results have been walked through: a path that went on meanwhile, or was
cancelled, would no longer ask for what the copy has done.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError
from temporalio.workflow import ActivityCancellationType

from orchestrator.interpreter.effects import ActionResult, ActRequest
from orchestrator.interpreter.pool import is_discarded
from orchestrator.interpreter.segments import PendingResult, SegmentCall, SegmentClock, SegmentStep
from orchestrator.model.plan import MAX_DELAY_SECONDS, Plan
from orchestrator.model.run import RunInfo
from orchestrator.temporal.markdown import escape_markdown
from orchestrator.temporal.payloads import encode_inline, require_small, shorten_id
from orchestrator.temporal.workflow.cancellation import await_uncancelled
from orchestrator.temporal.workflow.task_budget import TaskBudget

SEGMENT = "orchestrator.segment"
"""Name of the local activity."""


class SegmentMismatch(Exception):
    """A segment has run other actions than the workflow asks for: a bug. It fails the workflow task."""


class Segments:
    """Runs the fused actions of one flow."""

    def __init__(self, plan: Plan, info: RunInfo, budget: TaskBudget, yield_to_server: Callable[[], Awaitable[None]]):
        self.plan = plan
        self.info = info
        self.budget = budget
        self.yield_to_server = yield_to_server
        self.read_state: Callable[[], dict[str, Any] | None] = lambda: None
        """Return the state of the flow for a copy; `None` where a copy could continue and the flow could not."""
        self.show: Callable[[], None] = lambda: None
        """Update the details in the Temporal UI."""
        self.fail_task: Callable[[BaseException], None] = lambda error: None
        """Fail the workflow task."""
        self.plan_text: bytes | None = None
        """The plan as JSON, once it is known."""
        self.count = 0
        """Number of segments."""
        self.clock: SegmentClock | None = None
        """The time of the results that are walked through."""
        self.is_busy = False
        """A segment runs, or its results are walked through."""
        self._calls: dict[str, tuple[SegmentCall, PendingResult]] = {}
        self._steps: deque[SegmentStep] = deque()
        self._driver: asyncio.Task[None] | None = None
        self._handle: asyncio.Task[Any] | None = None
        self._idle = asyncio.Event()
        self._after: list[Callable[[], None]] = []

    async def act(self, request: ActRequest) -> ActionResult:
        """Call an action; raises StepFailed when no attempt is left."""
        if not self._is_next(request.step_id):
            require_small(request.parameters, f"the input of action {request.title!r}", self.info.max_payload_bytes)
        attempts = 0
        while True:
            step = await self._call(SegmentCall(request, attempts))
            if step.retry_seconds is None:
                return step.to_result()
            attempts = step.attempts
            try:
                await workflow.sleep(step.retry_seconds, summary=escape_markdown(request.title))
            finally:
                if not is_discarded():
                    await self.wait()

    def has_more(self) -> bool:
        """Return whether further results are known: nothing may hold a path before it has asked for them."""
        return bool(self._steps)

    async def wait(self) -> None:
        """Wait until no segment runs; a cancellation meanwhile is noticed at the next node."""
        while self.is_busy:
            try:
                await self._idle.wait()
            except asyncio.CancelledError:
                if not self.is_busy:
                    return

    def call_when_idle(self, callback: Callable[[], None]) -> None:
        """Call back once the results of the segment that runs have been walked through; end it early."""
        self._after.append(callback)
        if self._handle is not None:
            self._handle.cancel()

    def require_end(self) -> None:
        """Raise SegmentMismatch where a flow ends without having asked for what a segment has done."""
        if self._steps:
            raise _build_mismatch(self._steps[0], "has ended")

    async def _call(self, call: SegmentCall) -> SegmentStep:
        name = call.request.step_id
        if self.clock is not None and self._is_next(name) and _is_alone():
            step = self._steps.popleft()
            self.clock.milliseconds = step.milliseconds
            return step
        pending = PendingResult(lambda: any(step.id == name for step in self._steps))
        self._calls[name] = (call, pending)
        if self._driver is None:
            self._driver = asyncio.get_running_loop().create_task(self._drive())
        try:
            return await pending.wait()
        except asyncio.CancelledError:
            self._calls.pop(name, None)
            raise

    def _is_next(self, step_id: str) -> bool:
        """Return whether the next result that is known is that of a step."""
        return bool(self._steps) and self._steps[0].id == step_id

    async def _drive(self) -> None:
        """Run segments as long as actions are called."""
        try:
            while True:
                await _wait_until_idle()
                if not self._calls:
                    return
                if self.budget.is_held_by_local_actions() or self.budget.is_half_used():
                    await self.yield_to_server()
                else:
                    await self._run_segment()
        except (FailureError, SegmentMismatch) as error:
            self.fail_task(error if isinstance(error, SegmentMismatch) else RuntimeError(f"a segment failed: {error}"))
        finally:
            # Where the workflow task fails or the worker evicts the workflow, nothing else lets go of what is held.
            self._driver = None
            self._steps.clear()
            self._release()

    async def _run_segment(self) -> None:
        began, seed = workflow.now(), str(workflow.uuid4())
        self.is_busy = True
        self.count += 1
        self.show()
        self._handle = self._start([call for call, _ in self._calls.values()], began, seed)
        answer = await await_uncancelled(self._handle)
        self._handle = None
        self.budget.record_result(answer["bytes"])
        await self._walk(answer["steps"], SegmentClock(began, seed))
        self._release()
        while self._after:
            self._after.pop(0)()

    def _release(self) -> None:
        """Resume the paths that wait for the end of a segment."""
        self.is_busy = False
        self._idle.set()
        self._idle = asyncio.Event()

    def _start(self, calls: Sequence[SegmentCall], began: datetime, seed: str) -> "asyncio.Task[Any]":
        state = self.read_state()
        if state is not None and self.plan_text is None:
            self.plan_text = json.dumps(self.plan.to_json()).encode()
        first, more = calls[0].request, f" and {len(calls) - 1} more" if len(calls) > 1 else ""
        return workflow.start_local_activity(
            SEGMENT,
            args=[
                encode_inline(self._build_head(calls, began, seed)),
                encode_inline(b"" if state is None else self.plan_text),
                encode_inline(b"" if state is None else json.dumps(state).encode()),
            ],
            activity_id=shorten_id(first.step_id),
            summary=escape_markdown(f"{first.title}{more}"),
            start_to_close_timeout=timedelta(seconds=MAX_DELAY_SECONDS),  # each action has a timeout of its own
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )

    def _build_head(self, calls: Sequence[SegmentCall], began: datetime, seed: str) -> dict[str, Any]:
        """Return the first argument of the activity, which is not recorded."""
        return {
            "run": self.info.model_dump(mode="json", exclude_defaults=True),
            "workflow_id": self.plan.id,
            "calls": [call.encode() for call in calls],
            "began": began.isoformat(),
            "seed": seed,
        }

    async def _walk(self, entries: list[Mapping[str, Any]], clock: SegmentClock) -> None:
        """Give the flow the results, each after everything has run that the one before made ready."""
        self._steps.extend(map(SegmentStep.decode, entries))
        self.clock = clock
        while self._steps:
            step = self._steps[0]
            if step.id not in self._calls:
                raise _build_mismatch(step, f"asks for {', '.join(self._calls) or 'nothing'}")
            self._steps.popleft()
            _, pending = self._calls.pop(step.id)
            clock.milliseconds = step.milliseconds
            pending.set_result(step)
            await _wait_until_idle()
        self.clock = None


def _build_mismatch(step: SegmentStep, what: str) -> SegmentMismatch:
    return SegmentMismatch(f"the next action of the segment is {step.id}, and the flow {what}")


def _is_alone() -> bool:
    """Return whether no other task is ready: what waits for the running one to pause would get its turn at once.

    The SDK has no public way to ask.
    """
    loop: Any = asyncio.get_running_loop()
    return not loop._ready


async def _wait_until_idle() -> None:
    """Return when no other task of the run can continue by itself: conditions are checked then."""
    try:
        await workflow.wait_condition(lambda: True)
    except asyncio.CancelledError:
        # The SDK raises it where the run was cancelled meanwhile, and not this task.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
