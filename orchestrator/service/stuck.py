"""Find what is stuck: queues that no worker polls, failing workflow tasks, and what takes far longer than usual."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median

from orchestrator.errors import OperationRefused, RunNotFound
from orchestrator.model.run import RunSummary
from orchestrator.service.background import run_every_with_lease
from orchestrator.store.leases import Leases
from orchestrator.store.run_filter import RunFilter
from orchestrator.store.run_index import RunIndex
from orchestrator.store.ttl_cache import TtlCache
from orchestrator.telemetry.metrics import OLDEST_WAIT_SECONDS, STUCK, WAITING_FOR_PEOPLE
from orchestrator.telemetry.workflow_labels import WORKFLOWS
from orchestrator.temporal.client.activity_times import read_activity_seconds
from orchestrator.temporal.client.connection import translate_rpc_errors
from orchestrator.temporal.client.failing_tasks import describe_failing_task, list_failing
from orchestrator.temporal.client.open_runs import PendingActivity, describe_open_run
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.client.task_queues import KINDS, QueueState, describe_queue_state

LEASE = "stuck"
EVERY_SECONDS = 15.0
LEASE_SECONDS = 60.0
MAX_LOOKED_AT = 200
"""Runs, queues and failing executions each that are looked at in one go."""
AT_ONCE = 10
MIN_SECONDS = 60.0
"""What is younger is not slow, however fast it usually is."""
TIMES_USUAL = 5
SAMPLES = 5
"""Completed runs from which the usual time of an activity is read."""
MIN_SAMPLES = 3
RUNS_SAMPLED = 200
"""Completed runs from which the usual time of a run is read."""
MIN_RUNS = 20
"""With fewer, 95 of 100 are not known."""
PEOPLE = ("operator", "approval")
USUAL_SECONDS = 600.0
"""How long the usual times are kept."""


class UnknownUsual(Exception):
    """Too few runs have completed to know how long they usually take."""


@dataclass(frozen=True, slots=True)
class StuckRun:
    """A run that makes no progress, or less than usual."""

    run_id: str
    workflow_id: str
    customer_id: str
    node_id: str | None
    message: str
    since: datetime
    seconds: float
    usual_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Stuck:
    """What is stuck."""

    as_of: datetime
    queues: tuple[QueueState, ...] = ()
    workflow_tasks: tuple[StuckRun, ...] = ()
    activities: tuple[StuckRun, ...] = ()
    runs: tuple[StuckRun, ...] = ()
    complete: bool = True
    """False where there was more to look at than one request may."""


@dataclass(slots=True)
class StuckFinder:
    """Looks at queues and open runs. One process at a time writes the metrics, under a lease."""

    runs: Runs
    index: RunIndex
    leases: Leases
    queues: Sequence[str]
    """Task queues of the settings; those that runs wait for are looked at, too."""
    min_seconds: float = MIN_SECONDS
    usual: TtlCache[tuple[str, str, str], float] = field(default_factory=lambda: TtlCache(10_000, USUAL_SECONDS))
    """By customer, workflow and node; without a node that of a run. One that is unknown is soon looked for again."""

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Write the metrics for the duration of the context."""
        async with run_every_with_lease(EVERY_SECONDS, "stuck", self.run_once, self.leases, LEASE):
            yield

    async def run_once(self) -> None:
        """Write the metrics, unless another process holds the lease."""
        await self.leases.run_while_held(LEASE, LEASE_SECONDS, self.write_metrics)

    async def write_metrics(self) -> None:
        """Count what is stuck, and by workflow what waits for a person."""
        found = await self.find(None)
        for kind in ("queues", "workflow_tasks", "activities", "runs"):
            STUCK.labels(kind).set(len(getattr(found, kind)))
        WAITING_FOR_PEOPLE.clear()
        OLDEST_WAIT_SECONDS.clear()
        longest: dict[str, float] = {}
        for workflow_id, number, oldest in await self.index.count_waiting(PEOPLE):
            workflow = WORKFLOWS.pick(workflow_id)
            WAITING_FOR_PEOPLE.labels(workflow).inc(number)
            longest[workflow] = max(longest.get(workflow, 0.0), (found.as_of - oldest).total_seconds())
            OLDEST_WAIT_SECONDS.labels(workflow).set(longest[workflow])

    async def find(self, customer_id: str | None) -> Stuck:
        """Return what is stuck, of one customer or of all; raises ServerUnavailable."""
        now = datetime.now(UTC)
        old = now - timedelta(seconds=self.min_seconds)
        opened = await self.index.list_open(old, (), MAX_LOOKED_AT, customer_id=customer_id)
        async with translate_rpc_errors():
            return Stuck(
                as_of=now,
                queues=await self._find_queues(customer_id),
                workflow_tasks=await self._find_failing_tasks(customer_id),
                activities=await self._find_slow_activities(opened, now),
                runs=await self._find_old_runs(opened, now),
                complete=len(opened) < MAX_LOOKED_AT,
            )

    async def _find_queues(self, customer_id: str | None) -> tuple[QueueState, ...]:
        """Return the queues with a backlog and no poller; a customer sees those that its runs wait for."""
        pending = await self.index.list_runs(customer_id, RunFilter(reason="no_worker"), limit=MAX_LOOKED_AT)
        named = [wait["queue"] for run in pending for wait in run.waiting_for if "queue" in wait]
        names = dict.fromkeys([*named, *(self.queues if customer_id is None else ())])
        wanted = [(name, kind) for name in list(names)[:MAX_LOOKED_AT] for kind in KINDS]
        states: list[QueueState] = []
        for at in range(0, len(wanted), AT_ONCE):
            states += await asyncio.gather(
                *(describe_queue_state(self.runs.client, *each) for each in wanted[at : at + AT_ONCE])
            )
        return tuple(state for state in states if state.backlog and not state.pollers)

    async def _find_failing_tasks(self, customer_id: str | None) -> tuple[StuckRun, ...]:
        """Return the runs whose workflow task, or that of a branch, keeps failing."""
        try:
            async with translate_rpc_errors():
                failing = await list_failing(self.runs.client)
        except OperationRefused:  # Temporal before 1.30 has no such attribute
            return ()
        found: list[StuckRun] = []
        for execution in failing[:MAX_LOOKED_AT]:
            run = await self.index.get(customer_id, execution.workflow_id.partition("/")[0])
            if run is None:
                continue
            with contextlib.suppress(RunNotFound):
                async with translate_rpc_errors(execution.workflow_id):
                    described = await self.runs.client.get_workflow_handle(execution.workflow_id).describe()
                    wait = await describe_failing_task(self.runs.client, described)
                if wait is not None:
                    since = described.raw_description.pending_workflow_task.original_scheduled_time.ToDatetime(UTC)
                    found.append(_describe_stuck(run, None, wait["message"], since, datetime.now(UTC)))
        return tuple(found)

    async def _find_slow_activities(self, opened: Sequence[RunSummary], now: datetime) -> tuple[StuckRun, ...]:
        """Return the activities that run for far longer than those of their node usually do."""
        found: list[StuckRun] = []
        working = [run for run in opened if run.status in ("running", "retrying")]
        for at in range(0, len(working), AT_ONCE):
            batch = working[at : at + AT_ONCE]
            described = await asyncio.gather(*(describe_open_run(self.runs.client, run.id) for run in batch))
            for run, state in zip(batch, described, strict=True):
                for activity in state.activities if state is not None else ():
                    found += await self._check_activity(run, activity, now)
        return tuple(found)

    async def _check_activity(self, run: RunSummary, activity: PendingActivity, now: datetime) -> list[StuckRun]:
        if activity.started_at is None or (now - activity.started_at).total_seconds() < self.min_seconds:
            return []
        key = (run.customer_id, run.workflow_id, activity.node_id)
        try:
            usual = await self.usual.get(key, partial(self._measure, run, activity.node_id))
        except UnknownUsual:
            return []
        seconds = (now - activity.started_at).total_seconds()
        if seconds < TIMES_USUAL * usual:
            return []
        message = f"{activity.action} has run for {seconds:.0f} s; it usually takes {usual:.1f} s"
        return [_describe_stuck(run, activity.node_id, message, activity.started_at, now, usual)]

    async def _measure(self, run: RunSummary, node_id: str) -> float:
        """Return the usual time of the activities of a node, from the newest completed runs; raises UnknownUsual."""
        wanted = RunFilter(workflow_id=run.workflow_id, statuses=("completed",))
        completed = await self.index.list_runs(run.customer_id, wanted, limit=SAMPLES)
        samples = [
            second for each in completed for second in await read_activity_seconds(self.runs.client, each.id, node_id)
        ]
        if len(samples) < MIN_SAMPLES:
            raise UnknownUsual
        return median(samples)

    async def _find_old_runs(self, opened: Sequence[RunSummary], now: datetime) -> tuple[StuckRun, ...]:
        """Return the runs that are far older than 95 of 100 runs of their workflow get."""
        found: list[StuckRun] = []
        unknown: set[tuple[str, str, str]] = set()
        for run in opened:
            key = (run.customer_id, run.workflow_id, "")
            if key in unknown:
                continue
            try:
                usual = await self.usual.get(key, partial(self._find_usual, run))
            except UnknownUsual:
                unknown.add(key)
                continue
            seconds = (now - run.started_at).total_seconds()
            if seconds >= TIMES_USUAL * usual:
                message = f"it has run for {seconds:.0f} s; 95 % of the runs of this workflow end within {usual:.1f} s"
                found.append(_describe_stuck(run, run.node_id, message, run.started_at, now, usual))
        return tuple(found)

    async def _find_usual(self, run: RunSummary) -> float:
        """Return the 95th percentile of the newest completed runs of a workflow; raises UnknownUsual."""
        durations = sorted(await self.index.list_durations(run.customer_id, run.workflow_id, RUNS_SAMPLED))
        if len(durations) < MIN_RUNS:
            raise UnknownUsual
        return durations[-(-len(durations) * 95 // 100) - 1] / 1000


def _describe_stuck(
    run: RunSummary,
    node_id: str | None,
    message: str,
    since: datetime,
    now: datetime,
    usual: float | None = None,
) -> StuckRun:
    seconds = (now - since).total_seconds()
    return StuckRun(run.id, run.workflow_id, run.customer_id, node_id, message, since, seconds, usual)
