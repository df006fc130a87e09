"""Run commands that need the database, alone or with Temporal."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from orchestrator.cli.environment import load_actions, load_client_settings, load_settings
from orchestrator.cli.signals import run_until_signal

if TYPE_CHECKING:
    from orchestrator.service.services import Services
    from orchestrator.store.api_keys import Keys

ResultT = TypeVar("ResultT")

Customer = Annotated[str, typer.Option("--customer", metavar="ID", help="Customer ID.")]
WorkflowId = Annotated[str, typer.Argument(metavar="WORKFLOW", help="ID of the workflow.")]
DEFAULT_AUTHOR = "command line"
"""Author recorded for changes made by commands."""


def run_with_services(work: "Callable[[Services], Awaitable[ResultT]]") -> ResultT:
    """Run a coroutine function with all services; raises ServerUnavailable without Temporal."""
    from orchestrator.service.services import open_services
    from orchestrator.temporal.client.connection import connect
    from orchestrator.temporal.client.runs import Runs

    async def go() -> ResultT:
        here = load_client_settings()
        async with open_services(here, Runs(await connect(here), here), load_actions(here)) as services:
            return await work(services)

    return _run_logged(go)


def run_with_keys(work: "Callable[[Keys], Awaitable[ResultT]]") -> ResultT:
    """Run a coroutine function with the API keys; needs the database only, not Temporal."""
    from orchestrator.service.services import open_keys

    async def go() -> ResultT:
        async with open_keys(load_settings()) as keys:
            return await work(keys)

    return _run_logged(go)


def _run_logged(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    from orchestrator.cli.logs import configure

    configure("text", "warning")

    async def coroutine() -> ResultT:
        return await work()

    return run_until_signal(coroutine())
