"""`workflows`: store, publish and start definitions."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.cli import options
from orchestrator.cli.files import LoadedFile, parse_json_argument, read_json
from orchestrator.cli.output import print_json, print_line, print_note, print_table
from orchestrator.cli.planning import InvalidFileError, format_count, show_problems
from orchestrator.cli.with_services import DEFAULT_AUTHOR, Customer, WorkflowId, run_with_services
from orchestrator.model.customers import DEFAULT_CUSTOMER

if TYPE_CHECKING:
    from orchestrator.service.services import Services
    from orchestrator.service.workflows import Activation
    from orchestrator.store.records import Stored

COLUMNS = ("workflow", "name", "status", "version", "starts by", "runs", "success", "last run", "customer")

app = typer.Typer(help="Store, publish and start definitions.", no_args_is_help=True)


@app.command()
def push(
    files: options.DefinitionFiles,
    activate_all: Annotated[
        bool, typer.Option("--activate", help="Publish the definitions and install their triggers.")
    ] = False,
    customer: Customer = DEFAULT_CUSTOMER,
) -> None:
    """Store definitions as drafts, new or changed.

    All files are checked before the first is stored. Workflows that others call are stored first.
    """
    loaded = [read_json(name) for name in files]
    _require_distinct_ids(loaded)

    async def work(services: "Services") -> None:
        ordered = _order_callees_first(loaded)
        await _require_valid(services, customer, ordered)
        for file in ordered:
            stored = await services.workflows.create_or_save(customer, file.value, DEFAULT_AUTHOR)
            if activate_all:
                stored = (await services.workflows.activate(customer, stored.id, DEFAULT_AUTHOR)).stored
            print_line(f"{stored.id}: {stored.status}, version {stored.content_version}")

    run_with_services(work)


def _require_distinct_ids(files: list[LoadedFile]) -> None:
    """Raise InvalidFileError for a file without an ID, or two files with the same one."""
    names: dict[str, str] = {}
    for file in files:
        workflow_id = file.value.get("id") if isinstance(file.value, dict) else None
        if workflow_id is None or workflow_id == "":
            raise InvalidFileError(f"{file.name} has no id", hint="a stored definition needs one")
        if not isinstance(workflow_id, str):
            raise InvalidFileError(f"{file.name}: the id must be text")
        if workflow_id in names:
            message = f"{names[workflow_id]} and {file.name} have the same id {workflow_id!r}"
            raise InvalidFileError(message, hint="push each workflow from one file")
        names[workflow_id] = file.name


async def _require_valid(services: "Services", customer: str, files: list[LoadedFile]) -> None:
    """Print the problems of all files; raises InvalidFileError where there are errors."""
    named = {file.value["id"]: file.value for file in files}
    wrong = 0
    for file in files:
        verdict = await services.plans.check(customer, file.value, unsaved=named)
        problems = [*file.source.find_duplicates(), *verdict.problems]
        show_problems(file, problems)
        wrong += sum(problem.severity == "error" for problem in problems)
    if wrong:
        raise InvalidFileError(f"{format_count(wrong, 'error')}; nothing was stored")


def _order_callees_first(files: list[LoadedFile]) -> list[LoadedFile]:
    """Order definitions so that callees come first; the planner reports cycles."""
    from orchestrator.service.callees import find_callees

    def others(file: LoadedFile) -> set[str]:
        return {name for name, _ in find_callees(file.value)} - {file.value["id"]}

    waiting = {file.value["id"]: file for file in files}
    ordered: list[LoadedFile] = []
    while waiting:
        free = [name for name, file in waiting.items() if not others(file) & set(waiting)]
        for name in free or list(waiting):
            ordered.append(waiting.pop(name))
    return ordered


@app.command("list")
def list_workflows(
    status: Annotated[
        Literal["draft", "active", "paused", "archived"] | None,
        typer.Option(metavar="draft|active|paused|archived", help="Only workflows with this status."),
    ] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Only workflows of this customer.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="Maximum number of workflows.")] = 1000,
    as_json: options.Json = False,
) -> None:
    """List workflows, with statistics of their runs."""

    async def work(services: "Services") -> list[dict[str, Any]]:
        page = await services.workflows.list_workflows(customer, status=status, limit=limit)
        return await services.workflows.describe(page)

    entries = run_with_services(work)
    if as_json:
        print_json(entries)
        return
    print_table(COLUMNS, [tuple(_format_row(each)) for each in entries])


def _format_row(entry: dict[str, Any]) -> list[str]:
    rate, last = entry["success_rate"], entry["last_run_at"]
    return [
        entry["id"],
        str(entry.get("name") or ""),
        entry["status"],
        str(entry["version"]),
        str((entry.get("trigger") or {}).get("type", "")),
        str(entry["run_count"]),
        f"{rate:g} %" if entry["run_count"] else "",
        last[:19].replace("T", " ") if last else "",
        entry["customer_id"],
    ]


@app.command("show")
def show_workflow(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER) -> None:
    """Print a stored definition as JSON."""

    async def work(services: "Services") -> dict[str, Any]:
        return (await services.workflows.describe([await services.workflows.get(customer, workflow)]))[0]

    print_json(run_with_services(work))


@app.command()
def versions(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER, as_json: options.Json = False) -> None:
    """List the published versions of a workflow, the newest first."""
    from orchestrator.model.run import format_timestamp

    async def work(services: "Services") -> list[dict[str, Any]]:
        page = await services.workflows.list_versions(customer, workflow, limit=1000)
        return [
            {
                "version": each.version,
                "published_at": format_timestamp(each.published_at),
                "published_by": each.published_by,
                "copy_of": each.copy_of,
            }
            for each in page
        ]

    entries = run_with_services(work)
    if as_json:
        print_json(entries)
        return
    rows = [
        (str(each["version"]), each["published_at"], each["published_by"], str(each["copy_of"] or ""))
        for each in entries
    ]
    print_table(("version", "published", "by", "copy of"), rows)


@app.command()
def activate(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER) -> None:
    """Publish the draft and install the trigger."""

    async def work(services: "Services") -> "Activation":
        return await services.workflows.activate(customer, workflow, DEFAULT_AUTHOR)

    activation = run_with_services(work)
    for problem in activation.warnings:
        print_note(f"{problem.path}: {problem.severity} {problem.code}: {problem.message}", "yellow")
    _print_status(activation.stored)


@app.command()
def pause(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER) -> None:
    """Disable the trigger until the workflow is activated again; open runs continue."""

    async def work(services: "Services") -> "Stored":
        return await services.workflows.pause(customer, workflow)

    _print_status(run_with_services(work))


@app.command()
def archive(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER) -> None:
    """Remove the trigger and refuse edits and starts; open runs continue."""

    async def work(services: "Services") -> "Stored":
        return await services.workflows.archive(customer, workflow)

    _print_status(run_with_services(work))


@app.command()
def rollback(
    workflow: WorkflowId,
    version: Annotated[int, typer.Argument(min=1, metavar="VERSION", help="Version to publish again.")],
    customer: Customer = DEFAULT_CUSTOMER,
) -> None:
    """Publish an older version again, as a new version."""

    async def work(services: "Services") -> "Stored":
        return await services.workflows.rollback(customer, workflow, version, DEFAULT_AUTHOR)

    _print_status(run_with_services(work))


@app.command()
def delete(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER) -> None:
    """Delete a workflow, its versions and its trigger; open runs continue."""

    async def work(services: "Services") -> None:
        await services.workflows.delete(customer, workflow)

    run_with_services(work)
    print_line(f"{workflow}: deleted")


@app.command()
def start(
    workflow: WorkflowId,
    run_input: options.Input = None,
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Published version; the newest by default.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="TEXT", help="Idempotency key: a key starts one run only.")] = None,
    customer: Customer = DEFAULT_CUSTOMER,
) -> None:
    """Start a stored workflow and print the ID of the run."""
    value = parse_json_argument(run_input, "--input")

    async def work(services: "Services") -> str:
        return (await services.starts.start_workflow(customer, workflow, value, version=version, key=key)).id

    print_line(run_with_services(work))


def _print_status(stored: "Stored") -> None:
    print_line(f"{stored.id}: {stored.status}, version {stored.version}")
