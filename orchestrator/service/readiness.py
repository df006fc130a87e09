"""Check whether the process can serve, within a deadline however slow its dependencies are."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from orchestrator.errors import OrchestratorError

logger = logging.getLogger(__name__)
READY_SECONDS = 4.0
"""How long all checks together may take: probes commonly wait for 5 seconds."""
CACHE_SECONDS = 1.0
"""The route is open to strangers, and a check writes to the database."""
OK, TIMEOUT, INTERNAL = "ok", "timeout", "internal"


class Readiness:
    """The checks of a process, made once for all requests that wait for them."""

    def __init__(
        self, checks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]], seconds: float = READY_SECONDS
    ) -> None:
        self.checks = checks
        self.seconds = seconds
        self._latest: asyncio.Task[dict[str, str]] | None = None
        self._started_at = 0.0

    async def check(self) -> dict[str, str]:
        """Return `ok`, `timeout` or an error code for each system, within the deadline."""
        latest, now = self._latest, time.monotonic()
        if latest is None or (latest.done() and now - self._started_at > CACHE_SECONDS):
            latest = self._latest = asyncio.create_task(self._check_all())
            self._started_at = now
        return await asyncio.shield(latest)

    async def _check_all(self) -> dict[str, str]:
        tasks = {name: asyncio.create_task(check()) for name, check in self.checks.items()}
        await asyncio.wait(tasks.values(), timeout=self.seconds)
        for task in tasks.values():
            task.add_done_callback(_retrieve_error)
            # Not awaited: the end of a connection that does not answer takes time of its own.
            task.cancel()
        return {name: _describe(name, task) for name, task in tasks.items()}


def _describe(name: str, task: "asyncio.Task[None]") -> str:
    if not task.done():
        return TIMEOUT
    error = task.exception()
    if isinstance(error, OrchestratorError):
        return error.code
    if error is not None:
        logger.error("cannot check %s", name, exc_info=error)
    return OK if error is None else INTERNAL


def _retrieve_error(task: "asyncio.Task[None]") -> None:
    """Keep asyncio from reporting an error that came after the deadline."""
    if not task.cancelled():
        task.exception()
