"""`events`: send events to workflows, and to the runs that wait for them."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import options
from orchestrator.cli.api_command import api_command
from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import parse_json_argument
from orchestrator.cli.output import print_line, print_result

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient

app = typer.Typer(help="Send events to workflows and waiting runs.", no_args_is_help=True)


@api_command(app)
def send(
    client: "ApiClient",
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Event name.")],
    payload: Annotated[str | None, typer.Argument(metavar="JSON|@FILE", help="Data of the event.")] = None,
    event_key: Annotated[
        str | None,
        typer.Option(metavar="NAME=VALUE", help="Also give it to the runs that wait for it and have this key."),
    ] = None,
    keep_seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long it is kept for runs that wait later (a day).")
    ] = None,
    event_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="The same ID is accepted once.")] = None,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Start the workflows of an event, or tell runs of it.

    It starts the workflows that it triggers, and is given to the runs that wait for it.

    Only with a key it reaches runs: those that wait for its name and ask for this key, or have it as a business key.
    """
    request = {"name": event, "data": parse_json_argument(payload, "payload"), "id": event_id}
    if event_key is not None:
        name, separator, value = event_key.partition("=")
        if not separator:
            raise UsageError(f"--event-key {event_key} is not NAME=VALUE")
        request |= {"key": {name: value}}
    request |= {} if keep_seconds is None else {"keep_seconds": keep_seconds}
    delivery = client.post("/events", request, customer_id=customer)
    print_result(f"delivery {delivery['id']}: {delivery['outcome']}", delivery, as_json=as_json)
    for run in () if as_json else delivery["runs"]:
        print_line(f"{run['workflow_id']}: {run['state']} run {run['run_id']}")
