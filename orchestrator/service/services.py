"""Construct the services. Wiring only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from activities.registry import Registry
from activities.secrets import open_secrets
from orchestrator.service.addressed_events import AddressedEvents
from orchestrator.service.approvals import Approvals
from orchestrator.service.archiver import Archiver
from orchestrator.service.audit_writer import AuditWriter
from orchestrator.service.background import run_every
from orchestrator.service.bulk import Bulk
from orchestrator.service.edge_counts import EdgeCounter
from orchestrator.service.events import Events
from orchestrator.service.failing_runs import FailingRuns
from orchestrator.service.graphs import Graphs
from orchestrator.service.history_processes import HistoryProcesses
from orchestrator.service.index_writer import IndexWriter
from orchestrator.service.indexer import Indexer
from orchestrator.service.migrations import Migrations
from orchestrator.service.payload_sweeper import PayloadSweeper
from orchestrator.service.permissions import PermissionReader
from orchestrator.service.plans import Plans
from orchestrator.service.process_pool import ProcessPool
from orchestrator.service.readiness import Readiness
from orchestrator.service.reconciler import Reconciler
from orchestrator.service.regressions import Regressions
from orchestrator.service.reruns import Reruns
from orchestrator.service.run_prober import RunProber
from orchestrator.service.runs import Operations
from orchestrator.service.schedules import WorkflowSchedules
from orchestrator.service.starts import Starts
from orchestrator.service.stuck import StuckFinder
from orchestrator.service.webhooks.handler import Webhooks
from orchestrator.service.workflows import Workflows
from orchestrator.settings import Settings
from orchestrator.store import addressed_events as store
from orchestrator.store.api_keys import Keys
from orchestrator.store.archive import Archive
from orchestrator.store.audit import Audit
from orchestrator.store.bulk_jobs import BulkJobs
from orchestrator.store.database import Database, create_database, get_database_url
from orchestrator.store.deliveries import Deliveries
from orchestrator.store.leases import Leases
from orchestrator.store.run_index import RunIndex
from orchestrator.store.triggers import Triggers
from orchestrator.store.workflows import Definitions
from orchestrator.temporal.client.run_reader import RunReader
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.schedules.schedules import Schedules

PENDING_SECONDS = 5.0
PRUNE_SECONDS = 3600.0
LEDGER_RETENTION = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Services:
    """The services of a process."""

    settings: Settings
    registry: Registry
    database: Database
    runs: Runs
    keys: Keys
    audit: Audit
    audit_writer: AuditWriter
    plans: Plans
    graphs: Graphs
    edge_counter: EdgeCounter
    regressions: Regressions
    workflows: Workflows
    schedules: WorkflowSchedules
    starts: Starts
    operations: Operations
    approvals: Approvals
    reruns: Reruns
    migrations: Migrations
    bulk: Bulk
    events: Events
    webhooks: Webhooks
    indexer: Indexer
    archiver: Archiver
    payload_sweeper: PayloadSweeper
    failing_runs: FailingRuns
    prober: RunProber
    stuck: StuckFinder
    reconciler: Reconciler
    readiness: Readiness
    stopping: asyncio.Event
    """Set when the process is about to stop: requests that wait for a run are answered at once."""


async def _check_database(database: Database) -> None:
    await database.check()
    await database.check_writable()


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database; the embedded one is migrated, any other has to be up to date. Raises StoreOutdated."""
    database = create_database(get_database_url(settings))
    try:
        if settings.database_url is None:
            await database.migrate()
        else:
            await database.check()
        yield database
    finally:
        await database.aclose()


@asynccontextmanager
async def open_keys(settings: Settings) -> AsyncIterator[tuple[Keys, Audit]]:
    """Open the API keys and the audit log, for commands that need no Temporal server."""
    async with open_database(settings) as database:
        yield Keys(database), Audit(database)


@asynccontextmanager
async def open_services(
    settings: Settings, runs: Runs, registry: Registry, pool: ProcessPool | None = None
) -> AsyncIterator[Services]:
    """Open the services without background tasks other than the index writer.

    `pool` is for what strangers send; without one everything is checked in this process.
    """
    async with open_database(settings) as database:
        installation = await Triggers(database).get_installation()
        services = _build_services(settings, runs, registry, pool, database, installation)
        async with services.starts.index_writer.run_in_background():
            try:
                yield services
            finally:
                await services.events.aclose()


def _build_services(
    settings: Settings, runs: Runs, registry: Registry, pool: ProcessPool | None, database: Database, installation: str
) -> Services:
    index, triggers, deliveries = RunIndex(database), Triggers(database), Deliveries(database)
    index_writer, schedules = IndexWriter(index), Schedules(runs.client, settings, installation)
    definitions, leases = Definitions(database), Leases(database, str(uuid4()))
    audit, archive, stopping = Audit(database), Archive(database), asyncio.Event()
    prober, secrets = RunProber(runs, index, leases), open_secrets(settings)
    plans = Plans(definitions, registry, PermissionReader(settings, secrets), pool)
    reconciler = Reconciler(definitions, triggers, plans, schedules, leases)
    starts = Starts(runs, plans, deliveries, index_writer)
    operations = Operations(runs, index, archive, index_writer, registry, stopping)
    reruns, migrations = Reruns(runs, plans, starts, operations), Migrations(plans, operations)
    workflows = Workflows(definitions, index, plans, reconciler)
    addressed = AddressedEvents(runs, store.AddressedEvents(database), leases)
    events = Events(triggers, plans, deliveries, starts, operations, addressed)
    return Services(
        settings=settings,
        registry=registry,
        database=database,
        runs=runs,
        keys=Keys(database),
        audit=audit,
        audit_writer=AuditWriter(audit),
        plans=plans,
        graphs=Graphs(plans, operations),
        edge_counter=EdgeCounter(workflows, archive),
        workflows=workflows,
        regressions=Regressions(definitions, plans, operations),
        schedules=WorkflowSchedules(definitions, index, schedules, starts, database),
        starts=starts,
        operations=operations,
        approvals=Approvals(settings, operations),
        reruns=reruns,
        migrations=migrations,
        bulk=Bulk(BulkJobs(database), operations, reruns, migrations),
        events=events,
        webhooks=Webhooks(triggers, deliveries, events, operations, secrets),
        indexer=Indexer(runs, index, leases, prober),
        prober=prober,
        stuck=StuckFinder(runs, index, leases, (settings.task_queue, *(settings.task_queues or ()))),
        archiver=Archiver(RunReader(runs.client, settings), archive, leases, settings.archive_days),
        payload_sweeper=PayloadSweeper(runs, index, archive, leases),
        failing_runs=FailingRuns(runs, leases, settings.failing_run_seconds),
        reconciler=reconciler,
        stopping=stopping,
        readiness=Readiness({"temporal": runs.check, "database": partial(_check_database, database)}),
    )


@asynccontextmanager
async def run_services(settings: Settings, runs: Runs, registry: Registry) -> AsyncIterator[Services]:
    """Open the services and run their background tasks: index, failing runs, schedules, deliveries and pruning."""
    processes = HistoryProcesses()
    runs.reader.flows.read_flows = processes.read_flows
    runs.reader.reruns.plan_rerun = processes.plan_rerun
    runs.reader.migrations.preview_migration = processes.preview_migration
    async with open_services(settings, runs, registry, ProcessPool()) as services, AsyncExitStack() as stack:
        services.archiver.reader.flows.read_flows = processes.read_for_archive
        for work in (
            services.indexer.run_in_background(),
            services.payload_sweeper.run_in_background(),
            services.failing_runs.run_in_background(),
            services.prober.run_in_background(),
            services.stuck.run_in_background(),
            services.bulk.run_in_background(),
            services.events.addressed.run_in_background(),
            services.archiver.run_in_background(),
            run_every(PRUNE_SECONDS, "archive", services.archiver.prune),
            services.reconciler.run_in_background(),
            run_every(PENDING_SECONDS, "deliveries", services.events.start_pending),
            run_every(
                PRUNE_SECONDS, "ledger", lambda: services.events.deliveries.prune(datetime.now(UTC) - LEDGER_RETENTION)
            ),
        ):
            await stack.enter_async_context(work)
        yield services
