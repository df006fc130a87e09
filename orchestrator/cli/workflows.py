"""`workflows`: store, publish and start definitions."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestrator.cli import options
from orchestrator.cli.api_command import api_command
from orchestrator.cli.files import parse_json_argument, read_json
from orchestrator.cli.moments import format_moment
from orchestrator.cli.output import print_json, print_line, print_note, print_result, print_table

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient, Document

COLUMNS = ("workflow", "status", "version", "starts by", "runs", "success", "last run", "name", "customer")
DEFAULT_LIMIT = 1000

app = typer.Typer(help="Store, publish and start definitions.", no_args_is_help=True)


@api_command(app)
def push(
    client: "ApiClient",
    files: options.DefinitionFiles,
    activate_all: Annotated[
        bool, typer.Option("--activate", help="Publish the definitions and install their triggers.")
    ] = False,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Store definitions as drafts, new or changed.

    All files are checked before the first is stored. Workflows that others call are stored first. A definition that
    names a customer is stored for that one.
    """
    from orchestrator.cli.push import push_files

    loaded = [read_json(name) for name in files]
    stored = push_files(client, loaded, customer, activate=activate_all)
    if as_json:
        print_json(stored)
        return
    for document in stored:
        print_line(format_status(document))


@api_command(app, "list")
def list_workflows(
    client: "ApiClient",
    status: Annotated[
        Literal["draft", "active", "paused", "archived"] | None,
        typer.Option(metavar="draft|active|paused|archived", help="Only workflows with this status."),
    ] = None,
    customer: options.Customer = None,
    limit: options.Limit = DEFAULT_LIMIT,
    as_json: options.Json = False,
) -> None:
    """List workflows, with statistics of their runs."""
    documents = client.list_items("/workflows", limit, status=status, customer_id=customer)
    if as_json:
        print_json(documents)
        return
    print_table(COLUMNS, [tuple(_format_row(each)) for each in documents])


def _format_row(document: "Document") -> list[str]:
    return [
        document["id"],
        document["status"],
        str(document["version"]),
        str((document.get("trigger") or {}).get("type", "")),
        str(document["run_count"]),
        f"{document['success_rate']:g} %" if document["run_count"] else "",
        format_moment(document["last_run_at"]),
        str(document.get("name") or ""),
        document["customer_id"],
    ]


@api_command(app, "show")
def show_workflow(
    client: "ApiClient", workflow: options.WorkflowId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """Print a stored definition, with its status and statistics, as JSON."""
    print_json(client.get(_get_path(workflow), customer_id=customer))


@api_command(app)
def versions(
    client: "ApiClient", workflow: options.WorkflowId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """List the published versions of a workflow, the newest first."""
    documents = client.list_items(f"{_get_path(workflow)}/versions", DEFAULT_LIMIT, customer_id=customer)
    if as_json:
        print_json(documents)
        return
    rows = [
        (str(each["version"]), format_moment(each["published_at"]), each["published_by"], str(each["copy_of"] or ""))
        for each in documents
    ]
    print_table(("version", "published", "by", "copy of"), rows)


@api_command(app)
def activate(
    client: "ApiClient", workflow: options.WorkflowId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """Publish the draft and install the trigger."""
    document = client.post(f"{_get_path(workflow)}/activate", customer_id=customer)
    for problem in document["warnings"]:
        print_note(f"{problem['path']}: {problem['severity']} {problem['code']}: {problem['message']}", "yellow")
    _print_status(document, as_json=as_json)


@api_command(app)
def pause(
    client: "ApiClient", workflow: options.WorkflowId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """Disable the trigger until the workflow is activated again; open runs continue."""
    _print_status(client.post(f"{_get_path(workflow)}/pause", customer_id=customer), as_json=as_json)


@api_command(app)
def archive(
    client: "ApiClient", workflow: options.WorkflowId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """Remove the trigger and refuse edits and starts; open runs continue."""
    _print_status(client.post(f"{_get_path(workflow)}/archive", customer_id=customer), as_json=as_json)


@api_command(app)
def rollback(
    client: "ApiClient",
    workflow: options.WorkflowId,
    version: Annotated[int, typer.Argument(min=1, metavar="VERSION", help="Version to publish again.")],
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Publish an older version again, as a new version."""
    document = client.post(f"{_get_path(workflow)}/rollback", {"version": version}, customer_id=customer)
    _print_status(document, as_json=as_json)


@api_command(app)
def delete(
    client: "ApiClient", workflow: options.WorkflowId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """Delete a workflow, its versions and its trigger; open runs continue."""
    client.request("DELETE", _get_path(workflow), params={"customer_id": customer})
    print_result(f"{workflow}: deleted", {"id": workflow, "deleted": True}, as_json=as_json)


@api_command(app)
def start(
    client: "ApiClient",
    workflow: options.WorkflowId,
    run_input: options.Input = None,
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Published version; the newest by default.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="TEXT", help="Idempotency key: a key starts one run only."),
    ] = None,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Start a stored workflow and print the ID of the run."""
    started = client.request(
        "POST",
        f"{_get_path(workflow)}/runs",
        params={"customer_id": customer},
        json={"input": parse_json_argument(run_input, "--input"), "version": version},
        headers={} if key is None else {"Idempotency-Key": key},
    )
    print_result(started["id"], started, as_json=as_json)


def format_status(document: "Document") -> str:
    """Return the status of a workflow in one line."""
    return f"{document['id']}: {document['status']}, version {document['version']}"


def _print_status(document: "Document", *, as_json: bool) -> None:
    print_result(format_status(document), document, as_json=as_json)


def _get_path(workflow: str) -> str:
    from orchestrator.cli.client import quote_id

    return f"/workflows/{quote_id(workflow)}"
