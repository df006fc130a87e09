"""Commands that are clients of the API: the function takes an `ApiClient`, its command the options that name one."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from orchestrator.cli.failures import ApiError, UsageError
from orchestrator.cli.server_address import ServerOptions
from orchestrator.cli.signals import interrupt_on_signal

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient

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
PREFIXES = {"run_not_found": ("run_id", "/runs"), "workflow_not_found": ("workflow", "/workflows")}
"""By error code, the argument that may be the beginning of an ID, and the list of all IDs."""
MAX_MATCHES = 5
OPTIONS = {"url": Url, "api_key": Key, "profile": Profile}


def api_command(
    app: typer.Typer, name: str | None = None, *, only_reads: bool = False
) -> Callable[[FunctionT], FunctionT]:
    """Register a function as a command; its first parameter is the client.

    A command that only reads takes the beginning of a workflow's ID for the ID.
    """

    def register(function: FunctionT) -> FunctionT:
        @wraps(function)
        def run_command(**arguments: Any) -> None:
            from orchestrator.cli.client import ApiClient

            with interrupt_on_signal(), ApiClient(pop_server_options(arguments)) as client:
                try:
                    function(client, **arguments)
                except ApiError as error:
                    full = complete_id(client, arguments, error, only_reads=only_reads)
                    if full is None:
                        raise
                    function(client, **{**arguments, **full})

        app.command(name)(add_server_options(run_command, function))
        return function

    return register


def complete_id(
    client: "ApiClient", arguments: dict[str, Any], error: ApiError, *, only_reads: bool
) -> dict[str, str] | None:
    """Return the argument whose value is the beginning of one ID only, with that ID; raises UsageError for several.

    People choose the IDs of workflows, so `stock` may be gone where `stock_check` is there: a command that changes
    something does not complete them, and its error gets a hint. IDs of runs are random.
    """
    name, path = PREFIXES.get(error.code, ("", ""))
    prefix = arguments.get(name)
    if not isinstance(prefix, str) or not prefix:
        return None
    try:
        found = client.list_items(path, MAX_MATCHES, id_prefix=prefix, customer_id=arguments.get("customer"))
    except ApiError:  # the key may lack the scope `read`, or the text is not valid in an ID: the first error says more
        return None
    ids = list(dict.fromkeys(each["id"] for each in found))
    if prefix in ids or not ids:
        return None
    if name == "workflow" and not only_reads:
        error.hint = error.hint or f"did you mean {' or '.join(f'`{each}`' for each in ids)}?"
        return None
    # The same ID of several customers may fill the page.
    is_cut = len(found) == MAX_MATCHES
    if len(ids) > 1 or is_cut:
        more = ", …" if is_cut else ""
        raise UsageError(f"{prefix!r} is the beginning of several IDs: {', '.join(ids)}{more}", hint="write more of it")
    return {name: ids[0]}


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
