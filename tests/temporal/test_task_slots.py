"""A worker takes few workflow tasks at once that need a replay, and more of the runs it caches."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

from temporalio.worker import SlotPermit, SlotReleaseContext

from orchestrator.temporal.task_slots import TaskSlots


def ask(is_sticky: bool) -> Any:
    return SimpleNamespace(is_sticky=is_sticky)


def release(slots: TaskSlots, permit: SlotPermit) -> None:
    """Release a slot as Temporal's core does, in a thread of its own."""
    thread = threading.Thread(target=slots.release_slot, args=(SlotReleaseContext(None, permit),))
    thread.start()
    thread.join()


async def test_replays_and_cached_runs_have_slots_of_their_own() -> None:
    slots = TaskSlots(cached=2, replays=1)
    async with asyncio.timeout(60):  # those of cached runs do not wait for the replay
        replay = await slots.reserve_slot(ask(is_sticky=False))
        cached = [await slots.reserve_slot(ask(is_sticky=True)) for _ in range(2)]

    assert slots.try_reserve_slot(ask(is_sticky=False)) is None
    assert slots.try_reserve_slot(ask(is_sticky=True)) is None

    waiting = asyncio.create_task(slots.reserve_slot(ask(is_sticky=False)))
    release(slots, cached[0])
    assert slots.try_reserve_slot(ask(is_sticky=True)) is not None
    assert not waiting.done()

    release(slots, replay)
    async with asyncio.timeout(60):
        await waiting


async def test_a_slot_that_is_no_longer_wanted_goes_to_the_next() -> None:
    slots = TaskSlots(cached=1, replays=1)
    held = await slots.reserve_slot(ask(is_sticky=False))
    first, second, third = (asyncio.create_task(slots.reserve_slot(ask(is_sticky=False))) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()  # while it waits
    await asyncio.gather(first, return_exceptions=True)
    release(slots, held)
    second.cancel()  # when it has been chosen and does not know yet
    async with asyncio.timeout(60):
        await asyncio.gather(second, return_exceptions=True)
        release(slots, await third)

    assert slots.try_reserve_slot(ask(is_sticky=False)) is not None


async def test_a_slot_that_was_granted_to_a_cancelled_task_is_free_again() -> None:
    slots = TaskSlots(cached=1, replays=1)
    held = await slots.reserve_slot(ask(is_sticky=False))
    waiting = asyncio.create_task(slots.reserve_slot(ask(is_sticky=False)))
    await asyncio.sleep(0)
    release(slots, held)
    await asyncio.sleep(0)  # the slot is granted now; the task has not run since
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert waiting.cancelled()
    assert slots.try_reserve_slot(ask(is_sticky=False)) is not None
