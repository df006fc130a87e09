"""Run until a signal, and leave everything tidy: SIGINT and SIGTERM end the work from inside, once."""

import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from orchestrator.cli.output import print_note

ResultT = TypeVar("ResultT")


class Interrupted(Exception):
    """The work was asked to end, and has ended."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number
        """The exit code that shells expect: 130, 143."""


def run_until_signal(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run to the end; raises Interrupted after the work has cleaned up. Further signals change nothing."""
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
