"""Await an action within its time limit, or in a context of its own, without the cost of a timer and a task."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")
Run = Callable[[Callable[[Any], Any], Any], Any]
"""Calls a function with an argument."""


async def await_within(seconds: float | None, coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns; raises TimeoutError.

    One that never waits gets no timer: that would not stop it either, because it fires between two turns of the loop.
    """
    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # of the coroutine
    async with asyncio.timeout_at(deadline):
        return await _await_rest(coroutine, awaited, _call)


@types.coroutine
def await_apart(coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Await a coroutine that sees a copy of the context variables, as if it ran in a task of its own."""
    run = copy_context().run
    try:
        awaited = run(coroutine.send, None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # of the coroutine
    return (yield from _await_rest(coroutine, awaited, run))


@types.coroutine
def _await_rest(coroutine: Coroutine[Any, Any, T], awaited: Any, run: Run) -> Generator[Any, Any, T]:
    """Await a coroutine that has begun, from what it waits for."""
    resume: Callable[[Any], Any]
    while True:
        try:
            value = yield awaited
        except BaseException as error:  # noqa: BLE001 - raised in the coroutine
            resume, value = coroutine.throw, error
        else:
            resume = coroutine.send
        try:
            awaited = run(resume, value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # of the coroutine


def _call(function: Callable[[Any], Any], argument: Any) -> Any:
    return function(argument)
