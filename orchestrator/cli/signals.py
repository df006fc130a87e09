"""Run until a signal: SIGINT and SIGTERM cancel the work, which then cleans up."""

import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from orchestrator.cli.output import print_note

ResultT = TypeVar("ResultT")


class Interrupted(Exception):
    """A signal stopped the work, which has cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number
        """The exit code by shell convention: 130 or 143."""


@contextmanager
def interrupt_on_signal() -> Iterator[None]:
    """Raise Interrupted in blocking code at SIGINT and SIGTERM, for the duration of the context."""

    def stop(number: int, _: object) -> None:
        raise Interrupted(number)

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def run_until_signal(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a coroutine to its end; raises Interrupted after a signal and its cleanup. Further signals are ignored."""
    import asyncio

    received: list[int] = []

    async def supervise() -> ResultT:
        task = asyncio.create_task(work)

        def stop(number: int) -> None:
            received.append(number)
            if len(received) == 1:
                print_note("stopping ...")
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        return await task

    try:
        return asyncio.run(supervise())
    except asyncio.CancelledError:
        if not received:
            raise
        raise Interrupted(received[0]) from None
