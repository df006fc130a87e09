"""`deliveries`: list and redrive the events, webhook requests and starts that a service has received."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestrator.cli import options
from orchestrator.cli.api_command import api_command
from orchestrator.cli.moments import format_moment
from orchestrator.cli.output import print_json, print_line, print_result, print_table

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient, Document

COLUMNS = ("delivery", "kind", "name", "outcome", "received", "runs", "reason", "key", "customer")
DEFAULT_LIMIT = 50
DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", help="ID of the delivery.")]

app = typer.Typer(help="List and redrive received events and webhook requests.", no_args_is_help=True)


@api_command(app, "list")
def list_deliveries(
    client: "ApiClient",
    kind: Annotated[
        Literal["event", "webhook", "start"] | None,
        typer.Option(metavar="event|webhook|start", help="Only deliveries of this kind."),
    ] = None,
    outcome: Annotated[
        Literal["accepted", "paused", "duplicate", "rejected"] | None,
        typer.Option(metavar="accepted|paused|duplicate|rejected", help="Only deliveries with this outcome."),
    ] = None,
    customer: options.Customer = None,
    limit: options.Limit = DEFAULT_LIMIT,
    as_json: options.Json = False,
) -> None:
    """List what was received, the newest first.

    These are events, webhook requests and starts with idempotency keys of the last 90 days.
    """
    found = client.list_items("/deliveries", limit, kind=kind, outcome=outcome, customer_id=customer)
    if as_json:
        print_json(found)
        return
    print_table(COLUMNS, [_format_row(each) for each in found], status="outcome")


def _format_row(delivery: "Document") -> tuple[str, ...]:
    runs = ", ".join(f"{count} {state}" for state, count in delivery["states"].items())
    return (
        *(delivery["id"], delivery["kind"], delivery["name"], delivery["outcome"]),
        *(format_moment(delivery["received_at"]), runs, delivery["reason"] or "", delivery["key"] or ""),
        delivery["customer_id"],
    )


@api_command(app)
def show(
    client: "ApiClient", delivery: DeliveryId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """Print a delivery and its runs as JSON."""
    print_json(client.get(_get_path(delivery), customer_id=customer))


@api_command(app)
def redrive(
    client: "ApiClient", delivery: DeliveryId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """Process an event or a webhook request again.

    It starts the workflows that are active now; prints the runs.
    """
    redriven = client.post(f"{_get_path(delivery)}/redrive", customer_id=customer)
    print_result(f"delivery {redriven['id']}: {redriven['outcome']}", redriven, as_json=as_json)
    for run in () if as_json else redriven["runs"]:
        print_line(f"{run['workflow_id']}: {run['state']} run {run['run_id']}")


@api_command(app)
def release(
    client: "ApiClient",
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="ID of a workflow that is active again.")],
    received_after: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only what was received from this time on (RFC 3339).")
    ] = None,
    received_before: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only what was received before this time (RFC 3339).")
    ] = None,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Start what was received for a workflow while it was paused."""
    selection = {"workflow_id": workflow, "received_after": received_after, "received_before": received_before}
    released = client.post("/deliveries/redrive", selection, customer_id=customer)
    count = released["released"]
    print_result(f"{count} {'run starts' if count == 1 else 'runs start'}", released, as_json=as_json)


def _get_path(delivery: str) -> str:
    from orchestrator.cli.client import quote_id

    return f"/deliveries/{quote_id(delivery)}"
