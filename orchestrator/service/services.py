"""Everything that serves customers, put together: wiring only."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from activities.registry import Registry
from orchestrator.service.background import every
from orchestrator.service.events import Events
from orchestrator.service.index_writer import Noting
from orchestrator.service.indexer import Indexer
from orchestrator.service.reconciler import Reconciler
from orchestrator.service.reruns import Retries
from orchestrator.service.runs import Operations
from orchestrator.service.starts import Starts
from orchestrator.service.webhooks import Webhooks
from orchestrator.service.workflows import Workflows
from orchestrator.settings import Settings
from orchestrator.store.api_keys import Keys
from orchestrator.store.database import Database, database_url, open_database
from orchestrator.store.deliveries import Deliveries
from orchestrator.store.leases import Leases
from orchestrator.store.run_index import RunIndex
from orchestrator.store.workflows import Definitions
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.schedules.schedules import Schedules

OWED_SECONDS = 5.0
PRUNE_SECONDS = 3600.0
LEDGER_KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class House:
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
    retries: Retries
    schedules: Schedules
    reconciler: Reconciler
    events: Events
    webhooks: Webhooks


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """Open the database until the block ends: the embedded one is brought up to date, any other must be."""
    database = open_database(database_url(settings))
    try:
        if settings.database_url is None:
            await database.migrate()
        else:
            await database.check()
        yield database
    finally:
        await database.aclose()


@asynccontextmanager
async def built(settings: Settings, runs: Runs, registry: Registry) -> AsyncIterator[House]:
    """Put everything together until the block ends; nothing goes on beside what is asked for."""
    async with opened(settings) as database:
        index, deliveries, leases = RunIndex(database), Deliveries(database), Leases(database, str(uuid4()))
        noting = Noting(index)
        definitions = Definitions(database)
        workflows = Workflows(definitions, index, registry)
        starts, operations = Starts(runs, workflows, deliveries, noting), Operations(runs, index)
        schedules = Schedules(runs.client, settings, await definitions.installation())
        events = Events(workflows, deliveries, starts, operations)
        async with noting.writing():
            house = House(
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
                retries=Retries(runs, workflows, starts, operations),
                schedules=schedules,
                reconciler=Reconciler(workflows, schedules, leases),
                events=events,
                webhooks=Webhooks(workflows.definitions, deliveries, events, runs, settings),
            )
            try:
                yield house
            finally:
                await events.aclose()


@asynccontextmanager
async def serving(settings: Settings, runs: Runs, registry: Registry) -> AsyncIterator[House]:
    """Put everything together, with what goes on beside requests."""
    async with built(settings, runs, registry) as house, AsyncExitStack() as stack:
        for work in (
            house.indexer.going(),
            house.reconciler.going(),
            every(OWED_SECONDS, "deliveries", house.events.redrive_owed),
            every(PRUNE_SECONDS, "ledger", lambda: house.deliveries.prune(datetime.now(UTC) - LEDGER_KEPT)),
        ):
            await stack.enter_async_context(work)
        yield house
