"""Awaiting an action without a timer or a task of its own."""

import asyncio
from contextvars import ContextVar

import pytest

from activities.time_limits import await_apart, await_within

color: ContextVar[str] = ContextVar("color", default="none")


async def paint(name: str, *, waits: bool) -> str:
    before = color.get()
    color.set(name)
    if waits:
        await asyncio.sleep(0)
    return f"{before} to {color.get()}"


@pytest.mark.parametrize("waits", [False, True])
async def test_what_is_awaited_apart_leaves_no_context_variables_behind(waits: bool) -> None:
    seen = [await await_apart(paint(name, waits=waits)) for name in ("red", "blue")]

    assert (seen, color.get()) == (["none to red", "none to blue"], "none")


@pytest.mark.parametrize("seconds", [60.0, None])
async def test_a_coroutine_that_waits_returns_its_value(seconds: float | None) -> None:
    assert await await_within(seconds, paint("red", waits=True)) == "none to red"


async def test_a_coroutine_that_waits_too_long_is_cancelled() -> None:
    cancelled = False

    async def wait() -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(TimeoutError):
        await await_within(0.01, wait())

    assert cancelled


async def test_an_error_is_raised_where_the_coroutine_awaits() -> None:
    async def catch() -> str:
        failing = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(failing.set_exception, ValueError("late"))
        try:
            await failing
        except ValueError as error:
            return str(error)
        return "nothing"

    assert await await_apart(await_within(60.0, catch())) == "late"


def test_no_timer_is_set_for_a_coroutine_that_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a timer was set")

    async def paint_within_a_minute() -> str:  # in a loop of its own: that of the tests has timers of others
        monkeypatch.setattr(asyncio.get_running_loop(), "call_at", refuse)
        return await await_within(60.0, paint("red", waits=False))

    assert asyncio.run(paint_within_a_minute()) == "none to red"
