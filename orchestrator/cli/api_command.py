"""Commands that are clients of the API: the function takes an `ApiClient`, its command the options that name one."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from orchestrator.cli.server_address import ServerOptions
from orchestrator.cli.signals import interrupt_on_signal

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
CLIENT = "client"
"""Name of the parameter that takes the client."""

Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="URL of the API; `ORCHESTRATOR_API_URL` by default.")
]
Key = Annotated[str | None, typer.Option("--key", metavar="KEY", help="API key; `ORCHESTRATOR_API_KEY` by default.")]
Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Profile of the configuration file, with URL and key.")
]
OPTIONS = {"url": Url, "api_key": Key, "profile": Profile}


def api_command(app: typer.Typer, name: str | None = None) -> Callable[[FunctionT], FunctionT]:
    """Register a function as a command; its first parameter is the client."""

    def register(function: FunctionT) -> FunctionT:
        @wraps(function)
        def run_command(**arguments: Any) -> None:
            from orchestrator.cli.client import ApiClient

            with interrupt_on_signal(), ApiClient(pop_server_options(arguments)) as client:
                function(client, **arguments)

        app.command(name)(add_server_options(run_command, function))
        return function

    return register


def add_server_options(command: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with the parameters of a function except the client, and with the options that name an API."""
    own = [
        each
        for each in inspect.signature(function).parameters.values()
        if each.name != CLIENT and each.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    kind = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(key, kind, default=None, annotation=hint) for key, hint in OPTIONS.items()]
    parameters = [each.replace(kind=kind) for each in (*own, *added)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by inspect and typer
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def pop_server_options(arguments: dict[str, Any]) -> ServerOptions:
    """Take the options that name an API out of the arguments of a command."""
    return ServerOptions(*(arguments.pop(name) for name in OPTIONS))
