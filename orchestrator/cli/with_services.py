"""Commands that work on what is kept: with the database, and with Temporal where schedules are touched."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from orchestrator.cli.environment import client_settings, registry, settings
from orchestrator.cli.signals import run_until_signal

if TYPE_CHECKING:
    from orchestrator.service.services import House
    from orchestrator.store.database import Database

ResultT = TypeVar("ResultT")

Customer = Annotated[str, typer.Option("--customer", metavar="ID", help="Whose it is.")]
WorkflowId = Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow's id.")]
BY = "command line"
"""Who made or published a definition, where nobody says."""


def with_house(work: "Callable[[House], Awaitable[ResultT]]") -> ResultT:
    """Do something with all there is; raises ServerUnavailable where Temporal does not answer."""
    from orchestrator.service.services import built
    from orchestrator.temporal.client.connection import connect
    from orchestrator.temporal.client.runs import Runs

    async def go() -> ResultT:
        here = client_settings()
        async with built(here, Runs(await connect(here), here), registry(here)) as house:
            return await work(house)

    return _through(go)


def with_database(work: "Callable[[Database], Awaitable[ResultT]]") -> ResultT:
    """Do something with the database alone."""
    from orchestrator.service.services import opened

    async def go() -> ResultT:
        async with opened(settings()) as database:
            return await work(database)

    return _through(go)


def _through(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    from orchestrator.cli.logs import configure

    configure("text", "warning")

    async def coroutine() -> ResultT:
        return await work()

    return run_until_signal(coroutine())
