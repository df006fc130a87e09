"""`workflows`: store, publish and start definitions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestrator.cli import options
from orchestrator.cli.api_command import api_command
from orchestrator.cli.bulk import follow_job
from orchestrator.cli.callers import callers, note_callers, republish
from orchestrator.cli.confirmation import require_confirmation
from orchestrator.cli.files import list_definition_files, parse_json_argument, read_json
from orchestrator.cli.moments import format_moment
from orchestrator.cli.output import format_json, print_json, print_line, print_note, print_result, print_table
from orchestrator.cli.usage import format_usage
from orchestrator.jsontools.text import shorten

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient, Document

COLUMNS = ("workflow", "status", "version", "starts by", "runs", "success", "last run", "name", "customer")
DEFAULT_LIMIT = 1000
MAX_VALUE = 120
"""Characters of a value in a difference."""
DIFF_STYLES = {"added": "green", "removed": "red", "changed": "yellow"}

app = typer.Typer(help="Store, publish and start definitions.", no_args_is_help=True)


@api_command(app)
def push(
    client: "ApiClient",
    files: options.DefinitionPaths,
    activate_all: Annotated[
        bool, typer.Option("--activate", help="Publish the definitions and install their triggers.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Archive the customer's workflows that are not among the definitions.")
    ] = False,
    strict: options.StrictWarnings = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the definitions and print what would be done, without doing it.")
    ] = False,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Store definitions, new or changed, as working copies.

    All are checked before the first is stored, and what has not changed is left alone. For a folder, all definitions
    in it are stored. Workflows that others call are stored first. A definition that names a customer is stored for that
    one.
    """
    from orchestrator.cli.push import push_files

    loaded = [read_json(name) for name in list_definition_files(files)]
    pushed = push_files(client, loaded, customer, activate=activate_all, prune=prune, strict=strict, dry_run=dry_run)
    if as_json:
        print_json([{"id": each.workflow_id, "change": each.change, "workflow": each.document} for each in pushed])
        return
    for each in pushed:
        if dry_run:
            print_line(f"{each.workflow_id}: {'' if each.change == 'unchanged' else 'would be '}{each.change}")
        else:
            status = "" if each.document is None else f"; {describe_status(each.document)}"
            print_line(f"{each.workflow_id}: {each.change}{status}")


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
        f"{document['version']}{' + edits' if document['edited'] and document['version'] else ''}",
        str((document.get("trigger") or {}).get("type", "")),
        str(document["run_count"]),
        f"{document['success_rate']:g} %" if document["run_count"] else "",
        format_moment(document["last_run_at"]),
        str(document.get("name") or ""),
        document["customer_id"],
    ]


@api_command(app, "show", only_reads=True)
def show_workflow(
    client: "ApiClient",
    workflow: options.WorkflowId,
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="This published version, instead of the working copy.")
    ] = None,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Print a stored definition with its statistics, as JSON."""
    path = _get_path(workflow) if version is None else f"{_get_path(workflow)}/versions/{version}"
    print_json(client.get(path, customer_id=customer))


@api_command(app, only_reads=True)
def diff(
    client: "ApiClient",
    workflow: options.WorkflowId,
    before: Annotated[
        int | None, typer.Argument(metavar="FROM", min=0, help="Version; the newest published one by default.")
    ] = None,
    after: Annotated[
        int, typer.Argument(metavar="TO", min=0, help="Version; the working copy by default, which is 0.")
    ] = 0,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Print what changes from one version to another.

    By default from the newest published version to the working copy.
    """
    compared = client.get(f"{_get_path(workflow)}/diff", from_version=before, to_version=after, customer_id=customer)
    if as_json:
        print_json(compared)
        return
    names = [_name_version(compared[key]) for key in ("from_version", "to_version")]
    if not compared["changes"]:
        print_note(f"{workflow}: no difference between {names[0]} and {names[1]}")
    for change in compared["changes"]:
        print_line(_format_change(change), DIFF_STYLES[change["kind"]])


def _name_version(version: int) -> str:
    return f"version {version}" if version else "the working copy"


def _format_change(change: "Document") -> str:
    before, after = (shorten(format_json(change[key]), MAX_VALUE) for key in ("before", "after"))
    match change["kind"]:
        case "added":
            return f"+ {change['path']}: {after}"
        case "removed":
            return f"- {change['path']}: {before}"
        case _:
            return f"~ {change['path'] or '/'}: {before} -> {after}"


@api_command(app)
def pull(
    client: "ApiClient",
    workflows: Annotated[
        list[str] | None, typer.Argument(metavar="WORKFLOW", help="IDs of the workflows; all by default.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="FOLDER", help="Folder to write to; it is created.")
    ] = Path(),
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Write YAML: as it was pushed, with its comments, where that was YAML.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that differ.")] = False,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Write stored definitions to files.

    They are `ID.json` for each, or `ID.yaml`, as `workflows push` reads them.
    """
    from orchestrator.cli.pull import write_definitions

    if workflows:
        documents = [client.get(_get_path(each), customer_id=customer) for each in workflows]
    else:
        documents = client.list_items("/workflows", DEFAULT_LIMIT, customer_id=customer)
    yaml = None
    if as_yaml:
        yaml = [client.read_yaml(_get_path(each["id"]), customer_id=each["customer_id"]) for each in documents]
    written = write_definitions(documents, folder, force=force, yaml=yaml)
    if as_json:
        print_json([{"id": each["id"], "file": str(path)} for each, path in zip(documents, written, strict=True)])
        return
    for path in written:
        print_line(str(path))


@api_command(app, only_reads=True)
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
    client: "ApiClient",
    workflow: options.WorkflowId,
    strict: options.StrictWarnings = False,
    regress: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=1000, help="Judge it first by the last N runs, as `regress` does."),
    ] = None,
    on_difference: Annotated[
        Literal["refuse", "warn"], typer.Option(help="Where it would have done something else with one of them.")
    ] = "refuse",
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Publish the draft and install the trigger."""
    policy = {} if regress is None else {"regress": regress, "on_difference": on_difference}
    document = client.post(f"{_get_path(workflow)}/activate", strict=strict or None, customer_id=customer, **policy)
    for problem in document["warnings"]:
        print_note(f"{problem['path']}: {problem['severity']} {problem['code']}: {problem['message']}", "yellow")
    _print_status(document, as_json=as_json)
    note_callers(document)


@api_command(app)
def pause(
    client: "ApiClient",
    workflow: options.WorkflowId,
    include_runs: Annotated[
        bool, typer.Option("--include-runs", help="Pause its open runs, too, each before its next node.")
    ] = False,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Disable the trigger until the next `activate`.

    Open runs continue, unless --include-runs is given.
    """
    document = client.post(f"{_get_path(workflow)}/pause", customer_id=customer, include_runs=include_runs or None)
    _print_status(document, as_json=as_json)
    if document["bulk_id"] is not None and not as_json:
        follow_job(client, client.get(f"/bulk/{document['bulk_id']}"), as_json=False)


@api_command(app)
def archive(
    client: "ApiClient", workflow: options.WorkflowId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """Remove the trigger and refuse edits and starts.

    Open runs continue.
    """
    document = client.post(f"{_get_path(workflow)}/archive", customer_id=customer)
    _print_status(document, as_json=as_json)
    note_callers(document, archived=True)


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
    note_callers(document)


api_command(app, only_reads=True)(callers)
api_command(app)(republish)


@api_command(app, only_reads=True)
def stats(
    client: "ApiClient",
    workflow: options.WorkflowId,
    version: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Only runs of this version; 0 is the draft.")
    ] = None,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Show the number of runs by status, and how long they take."""
    found = client.get(f"{_get_path(workflow)}/stats", version=version, customer_id=customer)
    if as_json:
        print_json(found)
        return
    rows = [
        ("runs", str(found["runs"])),
        *((status, str(number)) for status, number in sorted(found["by_status"].items())),
        ("success rate", f"{found['success_rate']:g} %"),
        *((name, f"{found[f'{name}_ms']:,} ms") for name in ("p50", "p95") if found[f"{name}_ms"] is not None),
        *([("last run", format_moment(found["last_run_at"]))] if found["last_run_at"] is not None else ()),
        *([("used", format_usage(found["usage"]))] if found["usage"]["runs"] else ()),
    ]
    for name, value in rows:
        print_line(f"{name:<14}{value}")


@api_command(app)
def delete(
    client: "ApiClient",
    workflow: options.WorkflowId,
    confirmed: options.Yes = False,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Delete a workflow, its versions and its trigger.

    Open runs continue.
    """
    path = _get_path(workflow)
    require_confirmation(f"delete workflow {workflow} with all of its versions?", confirmed=confirmed)
    client.request("DELETE", path, params={"customer_id": customer})
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


def describe_status(document: "Document") -> str:
    """Return the status of a workflow in words: `active, version 1, unpublished edits`."""
    version = f"version {document['version']}" if document["version"] else "never published"
    edits = ", unpublished edits" if document["edited"] and document["version"] else ""
    return f"{document['status']}, {version}{edits}"


def _print_status(document: "Document", *, as_json: bool) -> None:
    print_result(f"{document['id']}: {describe_status(document)}", document, as_json=as_json)


def _get_path(workflow: str) -> str:
    from orchestrator.cli.client import quote_id

    return f"/workflows/{quote_id(workflow)}"
