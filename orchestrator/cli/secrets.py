"""`secrets`: list the secrets of customers, without their values."""

from typing import Annotated

import typer

from orchestrator.cli import options
from orchestrator.cli.output import print_json, print_table
from orchestrator.model.permissions import EVERYONE

COLUMNS = ("secret", "customer", "hosts", "actions")

app = typer.Typer(help="List the secrets of customers.", no_args_is_help=True)


@app.command("list")
def list_secrets(
    customer: Annotated[
        str | None, typer.Option(metavar="ID", help="Only secrets that this customer may use; `*` is all customers.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the names and owners of secrets, never their values.

    The list includes where they may be used.
    """
    import asyncio

    from activities.secrets import open_secrets
    from orchestrator.cli.environment import load_settings

    known = asyncio.run(open_secrets(load_settings()).list_secrets())
    secrets = sorted(
        (info for info in known if customer is None or info.owner in (customer, EVERYONE)),
        key=lambda info: (info.owner, info.name),
    )
    if as_json:
        print_json(
            [
                {"name": each.name, "customer": each.owner, "hosts": each.hosts, "actions": each.actions}
                for each in secrets
            ]
        )
        return
    rows = [(each.name, each.owner, ", ".join(each.hosts or ()), ", ".join(each.actions or ())) for each in secrets]
    print_table(COLUMNS, rows)
