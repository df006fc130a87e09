"""Streams end when their caller is no longer admitted, also while nothing happens in them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from api.streams import follow_while
from orchestrator.store.database import StoreUnavailable

LATER = 3600.0
"""Seconds until a check that is never due in a test."""


async def count(number: int, closed: list[bool], *, hang: bool = False) -> AsyncIterator[int]:
    try:
        for item in range(number):
            yield item
            await asyncio.sleep(0)
        if hang:
            await asyncio.Event().wait()
    finally:
        closed.append(True)


async def refuse() -> bool:
    return False


def admit_until(items: list[int], number: int, *more: bool | Exception) -> Callable[[], Awaitable[bool]]:
    """Return a check that admits until a number of items has come, however often it is due; then these answers count.

    After them, nobody is admitted.
    """
    answers = iter(more)

    async def check() -> bool:
        answer = True if len(items) < number else next(answers, False)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return check


async def test_a_stream_in_which_nothing_happens_ends_with_its_key() -> None:
    closed: list[bool] = []
    items: list[int] = []
    check = admit_until(items, 3, True, True)
    async with asyncio.timeout(60):
        async for item in follow_while(count(3, closed, hang=True), check, seconds=0.01):
            items.append(item)

    assert (items, closed) == ([0, 1, 2], [True])


async def test_a_stream_of_many_events_ends_with_its_key() -> None:
    closed: list[bool] = []
    items = []
    async with asyncio.timeout(60):
        async for item in follow_while(count(1_000_000_000, closed), refuse, seconds=0.01):
            items.append(item)

    assert closed == [True]


async def test_a_stream_ends_by_itself() -> None:
    closed: list[bool] = []

    assert [item async for item in follow_while(count(3, closed), refuse, seconds=LATER)] == [0, 1, 2]
    assert closed == [True]


async def test_a_database_that_does_not_answer_ends_no_stream() -> None:
    items: list[int] = []
    failures = [StoreUnavailable(), StoreUnavailable()]
    raised: list[Exception] = []
    check = admit_until(items, 3, *failures)

    async def check_and_record() -> bool:
        try:
            return await check()
        except StoreUnavailable as error:
            raised.append(error)
            raise

    async with asyncio.timeout(60):
        async for item in follow_while(count(3, [], hang=True), check_and_record, seconds=0.01):
            items.append(item)

    assert items == [0, 1, 2]
    assert raised == failures, "it was asked again"


async def test_a_stream_that_fails_raises_its_error() -> None:
    async def fail() -> AsyncIterator[int]:
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        _ = [item async for item in follow_while(fail(), refuse, seconds=LATER)]
