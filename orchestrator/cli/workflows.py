"""`workflows`: definitions that are kept, and their life."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.cli import options
from orchestrator.cli.files import Loaded, json_argument, read_json
from orchestrator.cli.output import document, line, table
from orchestrator.cli.planning import InvalidFileError, counted, show
from orchestrator.cli.with_services import BY, Customer, WorkflowId, with_house
from orchestrator.service.customers import DEFAULT_CUSTOMER

if TYPE_CHECKING:
    from orchestrator.service.services import House
    from orchestrator.store.records import Stored

COLUMNS = ("workflow", "name", "status", "version", "starts by", "runs", "success", "last run", "customer")

app = typer.Typer(help="Keep definitions, publish them, and let them be started.", no_args_is_help=True)


@app.command()
def push(
    files: options.DefinitionFiles,
    activate_them: Annotated[
        bool, typer.Option("--activate", help="Publish them, and install their triggers.")
    ] = False,
    customer: Customer = DEFAULT_CUSTOMER,
) -> None:
    """Keep definitions, as drafts: new ones, or changes of those that are there.

    All are checked before any is kept; those that others call come first.
    """
    loaded = [read_json(name) for name in files]

    async def work(house: "House") -> None:
        ordered = _callees_first(loaded)
        await _check(house, customer, ordered)
        for file in ordered:
            stored = await _keep(house, customer, file.value)
            if activate_them:
                stored = await house.workflows.activate(customer, stored.id, None, BY)
                await house.reconciler.settle(customer, stored.id)
            line(f"{stored.id}: {stored.status}, version {stored.content_version}")

    with_house(work)


async def _check(house: "House", customer: str, files: list[Loaded]) -> None:
    """Show what is wrong with any of them; raises InvalidFileError before one is kept."""
    named = {file.value["id"]: file.value for file in files if isinstance(file.value, dict) and "id" in file.value}
    wrong = 0
    for file in files:
        if not isinstance(file.value, dict) or not file.value.get("id"):
            raise InvalidFileError(f"{file.name} has no id", hint="a definition that is kept needs one of its own")
        verdict = await house.workflows.judge(customer, file.value, beside=named)
        problems = [*file.source.duplicates(), *verdict.problems]
        show(file, problems)
        wrong += sum(problem.severity == "error" for problem in problems)
    if wrong:
        raise InvalidFileError(f"{counted(wrong, 'error')}: nothing was kept")


async def _keep(house: "House", customer: str, definition: dict[str, Any]) -> "Stored":
    from orchestrator.store.workflows import WorkflowNotFound

    try:
        await house.workflows.definitions.get(customer, definition["id"])
    except WorkflowNotFound:
        return await house.workflows.create(customer, definition, BY)
    return await house.workflows.save(customer, definition["id"], definition, None)


def _callees_first(files: list[Loaded]) -> list[Loaded]:
    """Order definitions so that those that others call come first; circles are refused later, by name."""
    from orchestrator.service.callees import called

    def others(file: Loaded) -> set[str]:
        return {name for name, _ in called(file.value)} - {str(file.value.get("id"))}

    waiting = {str(file.value.get("id")): file for file in files if isinstance(file.value, dict)}
    ordered = [file for file in files if not isinstance(file.value, dict)]
    while waiting:
        free = [name for name, file in waiting.items() if not others(file) & set(waiting)]
        for name in free or list(waiting):
            ordered.append(waiting.pop(name))
    return ordered


@app.command("list")
def list_workflows(
    status: Annotated[
        Literal["draft", "active", "paused", "archived"] | None, typer.Option(help="Only those that stand so.")
    ] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Only this customer's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 1000,
    as_json: options.Json = False,
) -> None:
    """List definitions, with what their runs did."""

    async def work(house: "House") -> list[dict[str, Any]]:
        found = await house.workflows.definitions.page(customer, status=status, limit=limit)
        return await house.workflows.shown(found)

    found = with_house(work)
    if as_json:
        document(found)
        return
    table(COLUMNS, [tuple(_row(each)) for each in found])


def _row(shown: dict[str, Any]) -> list[str]:
    rate, last = shown["success_rate"], shown["last_run_at"]
    return [
        shown["id"],
        str(shown.get("name") or ""),
        shown["status"],
        str(shown["version"]),
        str((shown.get("trigger") or {}).get("type", "")),
        str(shown["run_count"]),
        "" if rate is None else f"{rate:g} %",
        last[:19].replace("T", " ") if last else "",
        shown["customer_id"],
    ]


@app.command("show")
def show_workflow(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER) -> None:
    """Print a definition as it is kept, as JSON."""

    async def work(house: "House") -> dict[str, Any]:
        return (await house.workflows.shown([await house.workflows.definitions.get(customer, workflow)]))[0]

    document(with_house(work))


@app.command()
def versions(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER, as_json: options.Json = False) -> None:
    """List the published versions, the newest first."""
    from orchestrator.model.run import timestamp

    async def work(house: "House") -> list[dict[str, Any]]:
        stored = await house.workflows.definitions.get(customer, workflow)
        found = await house.workflows.definitions.versions(customer, workflow, before=stored.version + 1, limit=1000)
        return [
            {
                "version": each.version,
                "published_at": timestamp(each.published_at),
                "published_by": each.published_by,
                "copy_of": each.copy_of,
            }
            for each in found
        ]

    found = with_house(work)
    if as_json:
        document(found)
        return
    rows = [
        (str(each["version"]), each["published_at"], each["published_by"], str(each["copy_of"] or "")) for each in found
    ]
    table(("version", "published", "by", "copy of"), rows)


@app.command()
def activate(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER) -> None:
    """Publish what has been edited, and install the trigger."""

    async def work(house: "House") -> "Stored":
        stored = await house.workflows.activate(customer, workflow, None, BY)
        await house.reconciler.settle(customer, workflow)
        return stored

    _tell(with_house(work))


@app.command()
def pause(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER) -> None:
    """Let the trigger start nothing until the workflow is activated again; runs go on."""

    async def work(house: "House") -> "Stored":
        stored = await house.workflows.pause(customer, workflow, None)
        await house.reconciler.settle(customer, workflow)
        return stored

    _tell(with_house(work))


@app.command()
def archive(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER) -> None:
    """Remove the trigger, and refuse edits and starts; runs go on."""

    async def work(house: "House") -> "Stored":
        stored = await house.workflows.archive(customer, workflow, None)
        await house.reconciler.settle(customer, workflow)
        return stored

    _tell(with_house(work))


@app.command()
def rollback(
    workflow: WorkflowId,
    version: Annotated[int, typer.Argument(min=1, metavar="VERSION", help="The version to publish again.")],
    customer: Customer = DEFAULT_CUSTOMER,
) -> None:
    """Publish an older version again, as the newest."""

    async def work(house: "House") -> "Stored":
        stored = await house.workflows.rollback(customer, workflow, version, None, BY)
        await house.reconciler.settle(customer, workflow)
        return stored

    _tell(with_house(work))


@app.command()
def delete(workflow: WorkflowId, customer: Customer = DEFAULT_CUSTOMER) -> None:
    """Take a definition away, with its versions and its trigger; runs go on."""

    async def work(house: "House") -> None:
        await house.workflows.definitions.delete(customer, workflow, None)
        await house.reconciler.settle(customer, workflow)

    with_house(work)
    line(f"{workflow}: deleted")


@app.command()
def start(
    workflow: WorkflowId,
    given: options.Input = None,
    version: Annotated[int | None, typer.Option(min=1, help="A published version; the newest unless given.")] = None,
    key: Annotated[str | None, typer.Option(metavar="TEXT", help="Started once for each key.")] = None,
    customer: Customer = DEFAULT_CUSTOMER,
) -> None:
    """Start a kept workflow, and print the run's id."""
    value = json_argument(given, "--input")

    async def work(house: "House") -> str:
        return (await house.starts.workflow(customer, workflow, value, version=version, key=key)).id

    line(with_house(work))


def _tell(stored: "Stored") -> None:
    line(f"{stored.id}: {stored.status}, version {stored.version}")
