"""Run work that cannot be bounded by counting in other processes, with a deadline and a memory limit.

A schema of 1.6 kB with doubling references, or `uniqueItems` on 33 kB, keeps a processor busy for minutes. In a thread
such work could not be stopped, and it would hold the interpreter's lock. Of each function, each customer has one call
in progress at a time: the costly definitions of one customer keep neither the others nor its own events waiting.
"""

import asyncio
import contextlib
import importlib
import logging
import pickle
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar, cast
from weakref import WeakValueDictionary

from anyio import BrokenWorkerProcess, CapacityLimiter, fail_after, to_process

from orchestrator.errors import OrchestratorError

logger = logging.getLogger(__name__)
PROCESSES = 4
CPU_SECONDS = 5
"""Processor time of one call."""
WALL_SECONDS = 30.0
"""Time of one call, on a machine that is busy with other work."""
WAIT_SECONDS = 20.0
"""How long a call waits for its turn."""
MEMORY_BYTES = 2 << 30
"""Address space of a process."""
LARGE_BYTES = 100_000
"""Size from which a result is decoded in a thread."""
ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds our packages."""

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class TooCostly(OrchestratorError):
    """The request takes more time or memory than it may use."""

    code = "too_costly"


class Busy(OrchestratorError):
    """The server is still busy with earlier requests."""

    code = "busy"


class ProcessPool:
    """A few processes, started when they are first needed (about a second) and killed where a call takes too long."""

    def __init__(self, processes: int = PROCESSES, cpu_seconds: int = CPU_SECONDS) -> None:
        self.cpu_seconds = cpu_seconds
        self._limiter = CapacityLimiter(processes)
        self._slots = asyncio.Semaphore(processes)
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def call(
        self, customer_id: str, function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs
    ) -> ResultT:
        """Call a function of a module in a process; raises TooCostly, Busy and what the function raises."""
        request = pickle.dumps((function, args, kwargs))
        async with self._take_turn(customer_id, function.__name__):
            try:
                response = await self._call_process(request)
            except TimeoutError as error:  # its processor time has not run out: the machine is busy with other work
                logger.warning("stopped %s for customer %r after %g s", function.__name__, customer_id, WALL_SECONDS)
                raise Busy(hint="try again in a moment") from error
            except (MemoryError, BrokenWorkerProcess) as error:
                if isinstance(error, BrokenWorkerProcess) and error.args:  # the process did not start
                    raise
                logger.warning("stopped %s for customer %r: %r", function.__name__, customer_id, error)
                raise TooCostly(
                    f"checking this takes more than {self.cpu_seconds} s or {MEMORY_BYTES >> 20:,} MB of memory",
                    hint="simplify its schemas, patterns, templates and conditions",
                ) from error
        decode: Callable[[bytes], object] = pickle.loads
        large = len(response) > LARGE_BYTES
        return cast(ResultT, await asyncio.to_thread(decode, response) if large else decode(response))

    async def _call_process(self, request: bytes) -> bytes:
        """Send a request to a process, and to others as long as it may be an idle one that has died.

        All of them can have died at once: the system is short of memory.
        """
        started, idle = time.monotonic(), self._limiter.total_tokens
        with fail_after(WALL_SECONDS):
            while True:
                try:
                    return await to_process.run_sync(
                        _run, request, self.cpu_seconds, cancellable=True, limiter=self._limiter
                    )
                except BrokenWorkerProcess:
                    if not idle or time.monotonic() - started >= self.cpu_seconds:
                        raise
                    idle -= 1

    @asynccontextmanager
    async def _take_turn(self, customer_id: str, name: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault((customer_id, name), asyncio.Lock())
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await stack.enter_async_context(turn)
                    await stack.enter_async_context(self._slots)
            except TimeoutError:
                raise Busy(hint="try again in a moment") from None
            yield


def _run(request: bytes, cpu_seconds: int) -> bytes:
    """Serve one call in a process: the system ends it at the limit."""
    _import_own_packages()
    function, args, kwargs = pickle.loads(request)  # noqa: S301 - from our own process; imports modules of actions
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds
    _set_limit(resource.RLIMIT_CPU, seconds)
    with contextlib.suppress(OSError, ValueError):  # macOS refuses this limit
        _set_limit(resource.RLIMIT_AS, MEMORY_BYTES)
    return pickle.dumps(function(*args, **kwargs))


def _set_limit(limit: int, amount: int) -> None:
    """Set a soft limit of this process; only root may raise the hard one, such as that of `ulimit -t`."""
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (amount if hard == resource.RLIM_INFINITY else min(amount, hard), hard))


def _import_own_packages() -> None:
    """Import `activities` from this distribution, whatever else of that name is on the path."""
    if "activities" not in sys.modules:
        sys.path.insert(0, str(ROOT))
        importlib.import_module("activities")
        sys.path.remove(str(ROOT))
