"""`keys`: manage the keys of the HTTP API."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import print_json, print_line, print_note, print_table
from orchestrator.cli.with_services import run_with_keys
from orchestrator.service.customers import CUSTOMER_NAME, MAX_CUSTOMER

if TYPE_CHECKING:
    from orchestrator.store.api_keys import ApiKey

COLUMNS = ("key", "name", "customer", "scopes", "created", "expires", "state")
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's ID, as shown by `keys list`.")]

app = typer.Typer(help="Manage API keys. Once a first key exists, every API request needs a key.",
                  no_args_is_help=True)  # fmt: skip


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that says what the key is for.")],
    customer: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Customer whose definitions and runs the key may use; all customers if omitted."
        ),
    ] = None,
    scopes: Annotated[
        str, typer.Option(metavar="LIST", help="Scopes, separated by commas: read, run, edit, admin.")
    ] = "read,run,edit",
    days: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=36_500, help="Days until the key expires; never if omitted.")
    ] = None,
) -> None:
    """Create a key and print its secret, which is shown only once."""
    from orchestrator.store.api_keys import SCOPES

    wanted = tuple(dict.fromkeys(part.strip() for part in scopes.split(",") if part.strip()))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        message = f"unknown scope {', '.join(unknown)}" if unknown else "--scopes is empty"
        raise UsageError(message, hint=f"scopes are {', '.join(SCOPES)}")
    # An empty ID, from an unset shell variable, must not grant access to all customers.
    if customer is not None and not _is_customer_name(customer):
        message = f"--customer {customer!r} is not a valid customer ID"
        raise UsageError(message, hint="omit it for a key to all customers")
    if not name.strip() or not name.isprintable():
        raise UsageError(f"{name!r} is not a valid name", hint="use printable characters")
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    key, secret = run_with_keys(lambda keys: keys.create(customer, name, wanted, expires))
    print_note(f"key {key.id} for {customer or 'all customers'}: {', '.join(wanted)}; the secret is shown only once")
    print_line(secret)


def _is_customer_name(customer: str) -> bool:
    well_formed = re.fullmatch(CUSTOMER_NAME, customer) is not None and not customer.isspace()
    return well_formed and len(customer) <= MAX_CUSTOMER


@app.command("list")
def list_keys(as_json: options.Json = False) -> None:
    """List the keys, without their secrets: only digests of these are stored."""
    keys = run_with_keys(lambda keys: keys.list_keys())
    if as_json:
        print_json([_key_to_json(key) for key in keys])
        return
    print_table(COLUMNS, [tuple(_format_row(key)) for key in keys])


def _key_to_json(key: "ApiKey") -> dict[str, Any]:
    from orchestrator.model.run import format_timestamp

    return {
        "id": key.id,
        "name": key.name,
        "customer_id": key.customer_id,
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
    grace_hours: Annotated[
        float, typer.Option(metavar="HOURS", min=0, max=8760, help="Hours for which the old secret stays valid.")
    ] = 24,
) -> None:
    """Replace the secret of a key, and print the new one."""
    until = datetime.now(UTC) + timedelta(hours=grace_hours)
    secret = run_with_keys(lambda keys: keys.rotate(key, until))
    print_note(f"the old secret of key {key} stays valid until {until:%Y-%m-%d %H:%M} UTC")
    print_line(secret)


@app.command()
def revoke(key: KeyId) -> None:
    """Revoke a key permanently."""
    run_with_keys(lambda keys: keys.revoke(key))
    print_line(f"key {key} is revoked")
