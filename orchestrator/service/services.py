"""Everything that serves customers, put together: wiring only."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from activities.registry import Registry
from orchestrator.service.background import run_every
from orchestrator.service.events import Events
from orchestrator.service.index_writer import IndexWriter
from orchestrator.service.indexer import Indexer
from orchestrator.service.reconciler import Reconciler
from orchestrator.service.reruns import Reruns
from orchestrator.service.runs import Operations
from orchestrator.service.starts import Starts
from orchestrator.service.webhooks import Webhooks
from orchestrator.service.workflows import Workflows
from orchestrator.settings import Settings
from orchestrator.store.api_keys import Keys
from orchestrator.store.database import Database, create_database, get_database_url
from orchestrator.store.deliveries import Deliveries
from orchestrator.store.leases import Leases
from orchestrator.store.run_index import RunIndex
from orchestrator.store.workflows import Definitions
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.schedules.schedules import Schedules

PENDING_SECONDS = 5.0
PRUNE_SECONDS = 3600.0
LEDGER_KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Services:
    """What a process serves with."""

    settings: Settings
    registry: Registry
    database: Database
    runs: Runs
    keys: Keys
    index: RunIndex
    indexer: Indexer
    deliveries: Deliveries
    workflows: Workflows
    starts: Starts
    operations: Operations
    reruns: Reruns
    schedules: Schedules
    reconciler: Reconciler
    events: Events
    webhooks: Webhooks


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database until the block ends: the embedded one is brought up to date, any other must be."""
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
async def open_services(settings: Settings, runs: Runs, registry: Registry) -> AsyncIterator[Services]:
    """Put everything together until the block ends; nothing goes on beside what is asked for."""
    async with open_database(settings) as database:
        index, deliveries, leases = RunIndex(database), Deliveries(database), Leases(database, str(uuid4()))
        index_writer = IndexWriter(index)
        definitions = Definitions(database)
        workflows = Workflows(definitions, index, registry)
        starts, operations = Starts(runs, workflows, deliveries, index_writer), Operations(runs, index)
        schedules = Schedules(runs.client, settings, await definitions.get_installation())
        events = Events(workflows, deliveries, starts, operations)
        async with index_writer.run_in_background():
            services = Services(
                settings=settings,
                registry=registry,
                database=database,
                runs=runs,
                keys=Keys(database),
                index=index,
                indexer=Indexer(runs, index, leases),
                deliveries=deliveries,
                workflows=workflows,
                starts=starts,
                operations=operations,
                reruns=Reruns(runs, workflows, starts, operations),
                schedules=schedules,
                reconciler=Reconciler(workflows, schedules, leases),
                events=events,
                webhooks=Webhooks(workflows.definitions, deliveries, events, runs, settings),
            )
            try:
                yield services
            finally:
                await events.aclose()


@asynccontextmanager
async def run_services(settings: Settings, runs: Runs, registry: Registry) -> AsyncIterator[Services]:
    """Put everything together, with what goes on beside requests."""
    async with open_services(settings, runs, registry) as services, AsyncExitStack() as stack:
        for work in (
            services.indexer.run_in_background(),
            services.reconciler.run_in_background(),
            run_every(PENDING_SECONDS, "deliveries", services.events.start_pending),
            run_every(PRUNE_SECONDS, "ledger", lambda: services.deliveries.prune(datetime.now(UTC) - LEDGER_KEPT)),
        ):
            await stack.enter_async_context(work)
        yield services
