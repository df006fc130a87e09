"""End runs that were cancelled, or are over their time limit, and whose workflow task keeps failing.

A workflow task fails for ever where the code has a bug or is not that of the run's history. Nothing else can end such
a run, and a repaired worker may still do it properly: it has `failing_run_seconds` for that. While no worker tries the
run at all, as in an outage, it is left alone: the one that comes back may be the repaired one.
"""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from orchestrator.errors import OperationRefused, RunNotFound, ServerUnavailable
from orchestrator.service.background import run_every_with_lease
from orchestrator.store.leases import Leases
from orchestrator.telemetry.metrics import FAILING_RUNS, FAILING_RUNS_ENDED
from orchestrator.temporal.client.connection import translate_rpc_errors
from orchestrator.temporal.client.failing_tasks import (
    Execution,
    end_failing,
    find_reason_to_end,
    list_failing,
    read_deadline,
)
from orchestrator.temporal.client.runs import Runs

logger = logging.getLogger(__name__)
LEASE = "failing runs"
EVERY_SECONDS = 5.0
LEASE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class _Due:
    """When an execution was found to have to end, and the attempt at its workflow task that was pending then."""

    since: float
    attempt: int


class FailingRuns:
    """Watches the executions whose workflow task fails. One process at a time does this, under a lease."""

    def __init__(self, runs: Runs, leases: Leases, seconds: float) -> None:
        self.client = runs.client
        self.leases = leases
        self.seconds = seconds
        """How long a run that has to end is left to a repaired worker."""
        self._deadlines: dict[Execution, datetime | None] = {}
        self._due: dict[Execution, _Due] = {}
        self._supported = True

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Watch for the duration of the context."""
        async with run_every_with_lease(EVERY_SECONDS, "failing runs", self.run_once, self.leases, LEASE):
            yield

    async def run_once(self) -> None:
        """Look at all failing runs, unless another process holds the lease."""
        if self._supported and not await self.leases.run_while_held(LEASE, LEASE_SECONDS, self._work):
            FAILING_RUNS.set(0)  # the other process counts them

    async def _work(self) -> None:
        try:
            async with translate_rpc_errors():
                failing = await list_failing(self.client)
        except OperationRefused as error:
            logger.warning("runs whose workflow task fails are not ended: Temporal is older than 1.30: %s", error)
            self._supported = False
            return
        FAILING_RUNS.set(len(failing))
        known = set(failing)
        self._deadlines = {each: deadline for each, deadline in self._deadlines.items() if each in known}
        self._due = {each: due for each, due in self._due.items() if each in known}
        for execution in failing:
            await self._check_or_log(execution)

    async def _check_or_log(self, execution: Execution) -> None:
        """Check one execution; an error that is its own keeps no other from its check."""
        try:
            async with translate_rpc_errors(execution.workflow_id):
                await self._check(execution)
        except RunNotFound:
            pass  # it has ended meanwhile
        except ServerUnavailable:
            raise
        except Exception:
            logger.exception("run %s cannot be checked", execution.workflow_id)

    async def _check(self, execution: Execution) -> None:
        if execution not in self._deadlines:
            self._deadlines[execution] = await read_deadline(self.client, execution)
        reason = await find_reason_to_end(self.client, execution, self._deadlines[execution])
        if reason is None:
            self._due.pop(execution, None)
            return
        due = self._due.get(execution)
        # A lower number is that of another task: a worker has completed the one that failed before.
        if due is None or reason.attempt < due.attempt:
            self._due[execution] = _Due(time.monotonic(), reason.attempt)
            return
        if reason.attempt == due.attempt or time.monotonic() - due.since < self.seconds:
            return
        await end_failing(self.client, execution, reason.error)
        FAILING_RUNS_ENDED.labels(reason.error.error_type).inc()
        logger.error("run %s was ended from outside: %s", execution.workflow_id, reason.error.message)
