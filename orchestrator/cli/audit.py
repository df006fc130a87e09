"""`audit`: read the audit log."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.api_command import api_command
from orchestrator.cli.moments import format_moment, parse_moment
from orchestrator.cli.output import format_json, print_json, print_line, print_table

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient

COLUMNS = ("when", "who", "operation", "target", "details", "from", "customer")
DEFAULT_LIMIT = 50
Actor = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Only changes with the key of this name.")]
Operation = Annotated[
    str | None, typer.Option("--operation", metavar="NAME", help="Only this operation of the API, such as cancelRun.")
]
Target = Annotated[
    str | None, typer.Option("--target", metavar="ID", help="Only changes of this workflow, run, key or delivery.")
]

app = typer.Typer(help="Read who changed what, when, and from where.", no_args_is_help=True)


@api_command(app, "list")
def list_audit(
    client: "ApiClient",
    actor: Actor = None,
    operation: Operation = None,
    target: Target = None,
    since: options.Since = None,
    until: options.Until = None,
    customer: options.Customer = None,
    limit: options.Limit = DEFAULT_LIMIT,
    as_json: options.Json = False,
) -> None:
    """List changes, the newest first."""
    wanted = _make_filter(actor, operation, target, since, until, customer)
    entries = client.list_items("/audit", limit, **wanted)
    if as_json:
        print_json(entries)
        return
    rows = [
        (
            *(format_moment(entry["at"]), entry["actor"], entry["operation"], entry["target"]),
            *(format_json(entry["details"]) if entry["details"] else "", entry["source"], entry["customer_id"]),
        )
        for entry in entries
    ]
    print_table(COLUMNS, rows)


@api_command(app)
def export(
    client: "ApiClient",
    actor: Actor = None,
    operation: Operation = None,
    target: Target = None,
    since: options.Since = None,
    until: options.Until = None,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Print all changes as JSON lines, the newest first.

    With --json they are one list.
    """
    entries = client.iterate_items("/audit", **_make_filter(actor, operation, target, since, until, customer))
    if as_json:
        print_json(list(entries))
        return
    for entry in entries:
        print_line(json.dumps(entry))


def _make_filter(
    actor: str | None,
    operation: str | None,
    target: str | None,
    since: str | None,
    until: str | None,
    customer: str | None,
) -> dict[str, Any]:
    return {
        "actor": actor,
        "operation": operation,
        "target": target,
        "customer_id": customer,
        "since": parse_moment(since, "--since"),
        "until": parse_moment(until, "--until"),
    }
