"""Run one segment: start what a walk asks for, and give it the results one at a time, up to the bounds.

    the walk, on a loop of its own    the actions, on the loop of the worker
    runs until no task can run    ──  those that it has asked for start
    is given one result           ──  the next that has ended

What a bound leaves out, the workflow calls in the next segment.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from activities.time_limits import await_apart
from orchestrator.interpreter.effects import ActRequest
from orchestrator.interpreter.segments import PendingResult, SegmentCall, SegmentClock, SegmentStep
from orchestrator.model.run import MAX_PAYLOAD_BYTES
from orchestrator.temporal.segments.attempts import CallAction, make_attempts

MAX_SECONDS = 0.5
"""No further action starts after that time. Nothing reaches the workflow while a segment runs, and it is to notice a
pause or a cancellation within 2 s."""
MAX_STEPS = 1_000
"""Walking 1,000 steps takes about 0.1 s of a workflow task, which a replay spends on each segment at once."""
MAX_BYTES = 262_144
"""Of results. With the largest that an action may return, 1.8 MB, they are still below the 2 MiB of a payload."""
MAX_AT_ONCE = 20
"""Actions at a time: a segment takes one slot of its worker."""
MAX_UNSENT = 100
"""Results that a worker keeps for the next segment of their run."""
SLICE_SECONDS = 0.005
"""How long a walk may hold up the other actions of the worker."""

Unsent = dict[str, SegmentStep]
"""Results that had no space in the segment of their action, by idempotency key. They are lost with the worker, as is
whatever a segment has not returned: the action is then called again."""


class SegmentRun:
    """One segment."""

    def __init__(
        self,
        clock: SegmentClock,
        calls: dict[str, SegmentCall],
        call_action: CallAction,
        unsent: Unsent,
        max_bytes: int = MAX_PAYLOAD_BYTES,
    ) -> None:
        """`max_bytes` is what one payload may have."""
        self.clock = clock
        self.steps: list[SegmentStep] = []
        """Those that have ended, in that order."""
        self.encoded: list[str] = []
        """The same as they are recorded."""
        self.size = 0
        """Of the steps as they are recorded, in bytes."""
        self.has_walk_ended: Callable[[], bool] = lambda: False
        """Return whether the walk has cost as much as it may."""
        self._calls = calls
        self._call_action = call_action
        self._unsent = unsent
        self._max_bytes = max_bytes
        self._pending: dict[str, PendingResult] = {}
        """Results that the walk waits for, by step."""
        self._waiting: deque[SegmentCall] = deque()
        self._started = 0
        """Number of actions that have started."""
        self._alone: SegmentCall | None = None
        """An action that is to run while no other one does: it needs no task."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._called: dict[str, None] = {}
        """Actions whose task has had its first turn."""
        self._ended: deque[tuple[SegmentCall, SegmentStep]] = deque()
        self._fault: BaseException | None = None
        self._wake = asyncio.Event()
        self._began = time.monotonic()
        self._is_full = False
        self._is_copied = False

    def request(self, request: ActRequest) -> PendingResult | None:
        """Take up a call of the walk; `None` for one that the workflow has not made, or is to make after a pause."""
        if self._is_copied:
            self._waiting.append(SegmentCall(request))
        elif request.step_id not in self._calls:
            return None
        pending = self._pending[request.step_id] = PendingResult(lambda: self._cancel(request.step_id))
        return pending

    def _cancel(self, step_id: str) -> bool:
        """Cancel an action; return whether it has started, so that its end is still given."""
        if (task := self._running.get(step_id)) is not None:
            task.cancel()
            if step_id in self._called:
                return True
            del self._running[step_id]  # a task that is cancelled before its first turn never runs
        self._waiting = deque(call for call in self._waiting if call.request.step_id != step_id)
        return any(step.id == step_id for _, step in self._ended)

    async def run(self, walk_until_idle: Callable[[], None]) -> None:
        """Run the segment to its end; raises what is wrong with the worker, not with an action."""
        walk_until_idle()
        self._is_copied = True
        self.clock.uuids = 0  # what the copy has evaluated so far, the workflow had evaluated before
        self._waiting.extend(self._calls.values())
        resumed = time.monotonic()
        try:
            while self._start_waiting():
                if self._alone is not None:
                    await self._run_alone(self._alone)
                if not self._ended and self._fault is None:
                    self._wake.clear()
                    await self._wake.wait()
                    resumed = time.monotonic()
                if self._fault is not None:
                    raise self._fault
                if self._record_next():
                    walk_until_idle()
                if time.monotonic() - resumed > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    resumed = time.monotonic()
        finally:
            await self._stop()

    def _start_waiting(self) -> bool:
        """Start actions, within the bounds; return whether results are still to come."""
        while self._waiting and len(self._running) < MAX_AT_ONCE and not self._is_over():
            call = self._waiting.popleft()
            self._started += 1
            if (known := self._unsent.pop(call.request.idempotency_key, None)) is not None:
                self._ended.append((call, known))
            elif not (self._waiting or self._running or self._ended):
                self._alone = call
                return True
            else:
                task = asyncio.get_running_loop().create_task(self._run_action(call))
                self._running[call.request.step_id] = task
        return bool(self._running or self._ended)

    def _is_over(self) -> bool:
        """Return whether no further action may start. The first one always may, or the run would never continue."""
        return self._started > 0 and (
            self._is_full
            or self.size >= MAX_BYTES
            or self._started >= MAX_STEPS
            or time.monotonic() - self._began >= MAX_SECONDS
            or self.has_walk_ended()
        )

    async def _run_alone(self, call: SegmentCall) -> None:
        """Run an action in the task of the segment; the walk waits meanwhile."""
        self._alone = None
        task = asyncio.current_task()
        cancellations = task.cancelling() if task else 0
        await await_apart(self._run_action(call))
        if task and task.cancelling() > cancellations:
            raise asyncio.CancelledError

    async def _run_action(self, call: SegmentCall) -> None:
        self._called[call.request.step_id] = None
        try:
            step = await make_attempts(call, self._call_action, self._is_over)
        except asyncio.CancelledError:
            step = SegmentStep(call.request.step_id, 0, cancelled=True)
        except Exception as error:  # noqa: BLE001 - raised where the segment runs
            self._fault = error
            step = None
        self._running.pop(call.request.step_id, None)
        if step is not None:
            self._ended.append((call, step))
        self._wake.set()

    def _record_next(self) -> bool:
        """Record the next result, and give it to the walk; return whether the walk continues with it."""
        call, ended = self._ended.popleft()
        elapsed = int((time.monotonic() - self._began) * 1_000)
        step = replace(ended, milliseconds=max(elapsed, self.clock.milliseconds))
        encoded = step.encode()
        if len(encoded) > self._max_bytes:
            # Results and errors are bounded: with its warnings it would fit into no segment, and be sent for ever.
            step = replace(step, warnings=("the warnings of the action are left out: they are too large",))
            encoded = step.encode()
        if self._is_full or self.size + len(encoded) > self._max_bytes:
            self._is_full = True
            self._unsent[call.request.idempotency_key] = ended
            if len(self._unsent) > MAX_UNSENT:
                del self._unsent[next(iter(self._unsent))]
            return False
        self.steps.append(step)
        self.encoded.append(encoded)
        self.size += len(encoded)
        self.clock.milliseconds = step.milliseconds
        pending = self._pending.pop(step.id, None)
        if pending is None or pending.done():
            return False
        pending.set_result(step)
        return True

    def encode(self) -> bytes:
        """Return what the segment has done, as JSON: `{began, steps, bytes}`."""
        head = json.dumps({"began": self.clock.began.isoformat(), "bytes": self.size})
        return f'{head[:-1]},"steps":[{",".join(self.encoded)}]}}'.encode()

    async def _stop(self) -> None:
        """Cancel what is under way; record what has ended all the same."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._ended:
            if self._ended[0][1].cancelled:
                self._ended.popleft()
            else:
                self._record_next()
