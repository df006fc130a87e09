"""Run plain functions in threads, without waiting for one whose attempt has ended.

A thread cannot be stopped. So the attempt ends at once when it is cancelled, and what the function returns later is
dropped with a warning. The threads are daemons: a function that never returns does not keep the worker from ending.
"""

import asyncio
import logging
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Any, cast

logger = logging.getLogger("orchestrator.activities")


class ThreadPool:
    """A number of threads; further calls wait for one of them to end."""

    def __init__(self, size: int) -> None:
        self._slots = asyncio.Semaphore(size)

    async def call(self, name: str, function: Callable[[], Any]) -> Any:
        """Return what a function returns in a thread, with the context variables of the caller; raises what it raises.

        A call that is cancelled while its function runs ends at once; its thread keeps its place until it ends.
        """
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[tuple[bool, Any]] = loop.create_future()
        work = partial(copy_context().run, _work, name, function, loop, outcome, self._slots.release)
        try:
            Thread(target=work, name=f"action {name}", daemon=True).start()
        except RuntimeError:  # the system has no more threads
            self._slots.release()
            raise
        succeeded, value = await outcome
        if succeeded:
            return value
        raise cast("BaseException", value)


def _work(
    name: str,
    function: Callable[[], Any],
    loop: asyncio.AbstractEventLoop,
    outcome: "asyncio.Future[tuple[bool, Any]]",
    release: Callable[[], None],
) -> None:
    """Call the function, and hand what becomes of it to the event loop."""
    result: tuple[bool, Any]
    try:
        result = True, function()
    except Exception as error:  # noqa: BLE001 - raised in the coroutine that waits for it
        result = False, error
    except BaseException as error:  # noqa: BLE001 - SystemExit in a thread must not end the worker
        result = False, RuntimeError(f"{type(error).__name__}: {error}")
    try:
        loop.call_soon_threadsafe(_settle, name, result, outcome, release)
    except RuntimeError:  # the loop is closed: the worker has ended
        logger.warning("%s has ended after its worker; what it did is not recorded", name)


def _settle(
    name: str, result: tuple[bool, Any], outcome: "asyncio.Future[tuple[bool, Any]]", release: Callable[[], None]
) -> None:
    release()
    if not outcome.done():
        outcome.set_result(result)
    elif result[0]:
        logger.warning("%s returned after its attempt had ended: its result is dropped", name)
    else:
        logger.warning("%s failed after its attempt had ended: %s", name, type(result[1]).__name__)
