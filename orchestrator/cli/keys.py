"""`keys`: manage the keys of the HTTP API."""

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from socket import gethostname
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.api_command import add_server_options, api_command, pop_server_options
from orchestrator.cli.confirmation import require_confirmation
from orchestrator.cli.failures import ADMIN_HINT, UsageError
from orchestrator.cli.moments import format_moment
from orchestrator.cli.output import print_json, print_note, print_result, print_table
from orchestrator.cli.server_address import ServerOptions, find_server
from orchestrator.cli.signals import interrupt_on_signal, run_until_signal
from orchestrator.service.customers import CUSTOMER_NAME, MAX_CUSTOMER

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient, Document
    from orchestrator.settings import Settings

COLUMNS = ("key", "name", "scopes", "state", "expires", "created", "customer")
SCOPES = ("read", "run", "edit", "admin")
MAX_KEYS = 10_000
COMMAND_LINE = "command line"
"""Who made a key, for the audit log: the command needs none itself."""
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's ID, as shown by `keys list`.")]

app = typer.Typer(help="Manage API keys. Once a first key exists, every API request needs a key.",
                  no_args_is_help=True)  # fmt: skip


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
    in_database: Annotated[
        bool,
        typer.Option(
            "--database", help="Create it in the database of the settings: the first key, or if all keys are lost."
        ),
    ] = False,
    as_json: options.Json = False,
    **server: Any,
) -> None:
    """Create a key and print its secret, which is shown only once.

    The API creates it, with a key of the scope `admin`. Where no API is known, or with --database, it is created in
    the database itself.
    """
    request = _make_request(name, customer, scopes, days)
    named = pop_server_options(server)
    with_api = not in_database and find_server(named) is not None
    create_key = partial(_create_with_api, named) if with_api else partial(_create_in_database, is_forced=in_database)
    created, is_first = create_key(request)
    if not as_json:
        owner = created["customer_id"] or "all customers"
        print_note(f"key {created['id']} for {owner}: {', '.join(created['scopes'])}; the secret is shown only once")
    if is_first and "admin" not in created["scopes"]:
        print_note("note: requests need a key from now on, and this first one may not manage keys", "yellow")
        print_note(f"hint: {ADMIN_HINT}")
    print_result(created["secret"], created, as_json=as_json)


def _make_request(name: str, customer: str | None, scopes: str, days: int | None) -> "Document":
    """Return the body of the request; raises UsageError."""
    from orchestrator.model.run import format_timestamp

    wanted = list(dict.fromkeys(part.strip() for part in scopes.split(",") if part.strip()))
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
    expires = None if days is None else format_timestamp(datetime.now(UTC) + timedelta(days=days))
    return {"name": name, "customer_id": customer, "scopes": wanted, "expires_at": expires}


def _is_customer_name(customer: str) -> bool:
    well_formed = re.fullmatch(CUSTOMER_NAME, customer) is not None and not customer.isspace()
    return well_formed and len(customer) <= MAX_CUSTOMER


def _create_with_api(options: ServerOptions, request: "Document") -> tuple["Document", bool]:
    """Return the new key, and whether it is the first: only that one is created without a key."""
    from orchestrator.cli.client import ApiClient

    with interrupt_on_signal(), ApiClient(options) as client:
        return dict(client.post("/keys", request)), client.server.key is None


def _create_in_database(request: "Document", *, is_forced: bool) -> tuple["Document", bool]:
    """Create a key in the database of the settings: the first one, or any with --database. Raises UsageError.

    The second value says whether it is the first.
    """
    from orchestrator.cli.environment import load_settings
    from orchestrator.cli.logs import configure
    from orchestrator.service.services import open_keys
    from orchestrator.store.audit import AuditEntry

    settings = load_settings()
    _require_database(settings)
    configure("text", "warning")
    expires = None if request["expires_at"] is None else datetime.fromisoformat(request["expires_at"])

    async def work() -> tuple["Document", bool]:
        async with open_keys(settings) as (keys, audit):
            is_first = not await keys.is_configured()
            if not is_forced and not is_first:
                raise UsageError(
                    "there are keys already, and no API is known that could create another one",
                    hint="name the API with --url and a key of the scope admin with --key; "
                    "if all keys are lost, --database creates one in the database",
                )
            key, secret = await keys.create(request["customer_id"], request["name"], tuple(request["scopes"]), expires)
            details = {"name": key.name, "scopes": list(key.scopes)}
            entry = AuditEntry(
                *(COMMAND_LINE, "createKey", key.id),
                customer_id=key.customer_id or "",
                source=gethostname(),
                details=details,
            )
            await audit.add([entry])
        return {**request, "id": key.id, "secret": secret}, is_first

    return run_until_signal(work())


def _require_database(settings: "Settings") -> None:
    """Raise UsageError where a key would be created in a new database of the default folder."""
    from orchestrator.store.database import FILE

    is_named = settings.database_url is not None or "home" in settings.model_fields_set
    if not is_named and not (settings.home / FILE).exists():
        raise UsageError(
            f"there is no database in {settings.home.resolve()}, and no API is known",
            hint="start `orchestrator dev` first, name an API with --url, or set ORCHESTRATOR_DATABASE_URL",
        )


app.command()(add_server_options(create, create))


@api_command(app, "list")
def list_keys(client: "ApiClient", customer: options.Customer = None, as_json: options.Json = False) -> None:
    """List the keys, without their secrets.

    Only digests of these are stored.
    """
    keys = client.list_items("/keys", MAX_KEYS, customer_id=customer)
    if as_json:
        print_json(keys)
        return
    print_table(COLUMNS, [_format_row(key, datetime.now(UTC)) for key in keys], status="state")


def _format_row(key: "Document", now: datetime) -> tuple[str, ...]:
    expires = key["expires_at"]
    is_expired = expires is not None and datetime.fromisoformat(expires) <= now
    state = "revoked" if key["revoked_at"] else "expired" if is_expired else "valid"
    return (
        *(key["id"], key["name"], ",".join(key["scopes"]), state),
        *(format_moment(expires) if expires else "never", format_moment(key["created_at"])),
        key["customer_id"] or "(all)",
    )


@api_command(app)
def rotate(
    client: "ApiClient",
    key: KeyId,
    grace_hours: Annotated[
        float, typer.Option(metavar="HOURS", min=0, max=8760, help="Hours for which the old secret stays valid.")
    ] = 24,
    as_json: options.Json = False,
) -> None:
    """Replace the secret of a key, and print the new one."""
    from orchestrator.cli.client import quote_id

    rotated = client.post(f"/keys/{quote_id(key)}/rotate", {"grace_seconds": grace_hours * 3600})
    if not as_json:
        until = datetime.fromisoformat(rotated["former_until"])
        print_note(f"the old secret of key {key} stays valid until {until:%Y-%m-%d %H:%M} UTC")
    print_result(rotated["secret"], rotated, as_json=as_json)


@api_command(app)
def revoke(client: "ApiClient", key: KeyId, confirmed: options.Yes = False, as_json: options.Json = False) -> None:
    """Revoke a key permanently."""
    from orchestrator.cli.client import quote_id

    path = f"/keys/{quote_id(key)}"
    require_confirmation(f"revoke key {key} for good?", confirmed=confirmed)
    client.request("DELETE", path)
    print_result(f"key {key} is revoked", {"id": key, "revoked": True}, as_json=as_json)
