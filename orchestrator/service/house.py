"""Everything that serves customers, put together: wiring only."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from activities.registry import Registry
from orchestrator.client import Runs
from orchestrator.service.indexer import Indexer
from orchestrator.service.noting import Noting
from orchestrator.service.operations import Operations
from orchestrator.service.starts import Starts
from orchestrator.service.workflows import Workflows
from orchestrator.settings import Settings
from orchestrator.store.database import Database, database_url, open_database
from orchestrator.store.definitions import Definitions
from orchestrator.store.deliveries import Deliveries
from orchestrator.store.index import RunIndex
from orchestrator.store.keys import Keys
from orchestrator.store.leases import Leases


@dataclass(frozen=True, slots=True)
class House:
    """What a process serves with."""

    settings: Settings
    registry: Registry
    database: Database
    runs: Runs
    keys: Keys
    index: RunIndex
    deliveries: Deliveries
    workflows: Workflows
    starts: Starts
    operations: Operations


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
async def serving(settings: Settings, runs: Runs, registry: Registry) -> AsyncIterator[House]:
    """Serve until the block ends, with what goes on beside requests."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(settings))
        index, deliveries = RunIndex(database), Deliveries(database)
        noting = Noting(index)
        workflows = Workflows(Definitions(database), index, registry)
        house = House(
            settings=settings,
            registry=registry,
            database=database,
            runs=runs,
            keys=Keys(database),
            index=index,
            deliveries=deliveries,
            workflows=workflows,
            starts=Starts(runs, workflows, deliveries, noting),
            operations=Operations(runs, index),
        )
        await stack.enter_async_context(noting.writing())
        await stack.enter_async_context(Indexer(runs, index, Leases(database, str(uuid4()))).going())
        yield house
