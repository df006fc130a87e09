"""Streams end when their caller is no longer admitted, also while nothing happens in them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from api.streams import follow_while
from orchestrator.store.database import StoreUnavailable


async def count(number: int, closed: list[bool], *, hang: bool = False) -> AsyncIterator[int]:
    try:
        for item in range(number):
            yield item
            await asyncio.sleep(0)
        if hang:
            await asyncio.Event().wait()
    finally:
        closed.append(True)


def admit(times: int) -> Callable[[], Awaitable[bool]]:
    checks = iter([True] * times)

    async def check() -> bool:
        return next(checks, False)

    return check


async def test_a_stream_in_which_nothing_happens_ends_with_its_key() -> None:
    closed: list[bool] = []
    async with asyncio.timeout(60):
        items = [item async for item in follow_while(count(3, closed, hang=True), admit(2), seconds=0.01)]

    assert (items, closed) == ([0, 1, 2], [True])


async def test_a_stream_of_many_events_ends_with_its_key() -> None:
    closed: list[bool] = []
    items = []
    async with asyncio.timeout(60):
        async for item in follow_while(count(1_000_000_000, closed), admit(0), seconds=0.01):
            items.append(item)

    assert closed == [True]


async def test_a_stream_ends_by_itself() -> None:
    closed: list[bool] = []

    assert [item async for item in follow_while(count(3, closed), admit(0), seconds=60)] == [0, 1, 2]
    assert closed == [True]


async def test_a_database_that_does_not_answer_ends_no_stream() -> None:
    answers = iter([StoreUnavailable(), StoreUnavailable()])

    async def check() -> bool:
        failure = next(answers, None)
        if failure is not None:
            raise failure
        return False

    async with asyncio.timeout(60):
        items = [item async for item in follow_while(count(3, [], hang=True), check, seconds=0.01)]

    assert items == [0, 1, 2]
    assert next(answers, None) is None, "it was asked again"


async def test_a_stream_that_fails_raises_its_error() -> None:
    async def fail() -> AsyncIterator[int]:
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        _ = [item async for item in follow_while(fail(), admit(0), seconds=60)]
