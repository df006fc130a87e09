"""Limit the workflow tasks that a worker takes at once: of runs that it caches, and of runs that it has to replay."""

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field

from temporalio.worker import (
    CustomSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)

Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


@dataclass(slots=True)
class _Slots:
    """A semaphore that can be released from any thread."""

    free: int
    waiters: deque[Waiter] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def try_acquire(self) -> bool:
        with self.lock:
            if not self.free:
                return False
            self.free -= 1
            return True

    async def acquire(self) -> None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        with self.lock:
            if self.free:
                self.free -= 1
                return
            self.waiters.append((loop, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            with self.lock:
                is_waiting = (loop, waiter) in self.waiters
                if is_waiting:
                    self.waiters.remove((loop, waiter))
            if not is_waiting and not waiter.cancelled():
                self.release()
            raise

    def release(self) -> None:
        with self.lock:
            if not self.waiters:
                self.free += 1
                return
            loop, waiter = self.waiters.popleft()
        loop.call_soon_threadsafe(self._grant, waiter)

    def _grant(self, waiter: "asyncio.Future[None]") -> None:
        if waiter.done():  # cancelled in the meantime
            self.release()
        else:
            waiter.set_result(None)


@dataclass(frozen=True, slots=True, eq=False)
class _Permit(SlotPermit):
    slots: _Slots


class TaskSlots(CustomSlotSupplier):
    """Slots for workflow tasks.

    Those of cached runs come from the worker's own (sticky) queue; new runs, and after a restart all runs, come from
    the task queue that the workers share.
    """

    def __init__(self, cached: int, replays: int) -> None:
        self._cached = _Slots(cached)
        self._replays = _Slots(replays)

    def _choose(self, ctx: SlotReserveContext) -> _Slots:
        return self._cached if ctx.is_sticky else self._replays

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        """Wait for a slot."""
        slots = self._choose(ctx)
        await slots.acquire()
        return _Permit(slots)

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        """Return a slot if one is free."""
        slots = self._choose(ctx)
        return _Permit(slots) if slots.try_acquire() else None

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """Do nothing: a slot counts from its reservation."""

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        """Release a slot; called from threads of Temporal's core."""
        if isinstance(ctx.permit, _Permit):
            ctx.permit.slots.release()
