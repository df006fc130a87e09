"""`keys`: who may use the HTTP API."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import print_json, print_line, print_note, print_table
from orchestrator.cli.with_services import run_with_database
from orchestrator.service.customers import CUSTOMER_NAME, MAX_CUSTOMER

if TYPE_CHECKING:
    from orchestrator.store.api_keys import ApiKey
    from orchestrator.store.database import Database

COLUMNS = ("key", "name", "customer", "scopes", "created", "expires", "state")
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as `keys list` shows it.")]

app = typer.Typer(help="API keys. With the first one, the API opens to whoever has a key, and to nobody else.",
                  no_args_is_help=True)  # fmt: skip


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    customer: Annotated[
        str | None, typer.Option(metavar="ID", help="Whose definitions and runs it opens; without, all customers'.")
    ] = None,
    scopes: Annotated[
        str, typer.Option(metavar="LIST", help="Of read, run, edit and admin, separated by commas.")
    ] = "read,run,edit",
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it expires; never unless given.")
    ] = None,
) -> None:
    """Make a key, and print it: it is shown this once."""
    from orchestrator.store.api_keys import SCOPES, Keys

    wanted = tuple(dict.fromkeys(part.strip() for part in scopes.split(",") if part.strip()))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise UsageError(f"{', '.join(unknown) or 'nothing'} is no scope", hint=f"of {', '.join(SCOPES)}")
    if customer is not None and not _is_customer_name(customer):  # an unset variable must not open everything
        raise UsageError(
            f"--customer {customer!r} names nobody", hint="leave it out for a key that opens all customers'"
        )
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)

    async def work(database: "Database") -> tuple["ApiKey", str]:
        return await Keys(database).create(customer or "", name, wanted, expires)

    key, secret = run_with_database(work)
    print_note(f"key {key.id} for {customer or 'all customers'}: {', '.join(wanted)}; keep it, it is not shown again")
    print_line(secret)


def _is_customer_name(customer: str) -> bool:
    well_formed = re.fullmatch(CUSTOMER_NAME, customer) is not None and not customer.isspace()
    return well_formed and len(customer) <= MAX_CUSTOMER


@app.command("list")
def list_keys(as_json: options.Json = False) -> None:
    """List the keys; their secrets are kept as digests only."""
    from orchestrator.store.api_keys import Keys

    keys = run_with_database(lambda database: Keys(database).list_keys())
    if as_json:
        print_json([_key_to_json(key) for key in keys])
        return
    print_table(COLUMNS, [tuple(_format_row(key)) for key in keys])


def _key_to_json(key: "ApiKey") -> dict[str, Any]:
    from orchestrator.model.run import format_timestamp

    return {
        "id": key.id,
        "name": key.name,
        "customer_id": key.customer_id or None,
        "scopes": list(key.scopes),
        "created_at": format_timestamp(key.created_at),
        "expires_at": key.expires_at and format_timestamp(key.expires_at),
        "revoked_at": key.revoked_at and format_timestamp(key.revoked_at),
    }


def _format_row(key: "ApiKey") -> list[str]:
    state = "revoked" if key.revoked_at else "valid" if key.is_usable(datetime.now(UTC)) else "expired"
    expires = f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never"
    scopes = ",".join(key.scopes)
    return [key.id, key.name, key.customer_id or "(all)", scopes, f"{key.created_at:%Y-%m-%d}", expires, state]


@app.command()
def rotate(
    key: KeyId,
    grace_hours: Annotated[float, typer.Option(min=0, max=8760, help="How long the old secret still opens.")] = 24,
) -> None:
    """Give a key a new secret, and print it."""
    from orchestrator.store.api_keys import Keys

    until = datetime.now(UTC) + timedelta(hours=grace_hours)
    secret = run_with_database(lambda database: Keys(database).rotate(key, until))
    print_note(f"the old secret of key {key} opens until {until:%Y-%m-%d %H:%M} UTC")
    print_line(secret)


@app.command()
def revoke(key: KeyId) -> None:
    """Close a key for ever."""
    from orchestrator.store.api_keys import Keys

    run_with_database(lambda database: Keys(database).revoke(key))
    print_line(f"key {key} is revoked")
