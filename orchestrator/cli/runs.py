"""`runs`: see and operate what has been started."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from orchestrator.cli import options
from orchestrator.cli.environment import client_settings
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import json_argument
from orchestrator.cli.follow import follow, show_end
from orchestrator.cli.output import document, line, note, styled, table
from orchestrator.cli.signals import Interrupted, run_until_signal

if TYPE_CHECKING:
    from orchestrator.service.services import House
    from orchestrator.temporal.client.runs import Runs

ResultT = TypeVar("ResultT")
COLUMNS = ("run", "workflow", "version", "status", "trigger", "started", "took", "customer")

app = typer.Typer(help="See and operate runs.", no_args_is_help=True)


@app.command("list")
def list_runs(
    workflow: Annotated[str | None, typer.Option(metavar="ID", help="Only runs of this workflow.")] = None,
    status: Annotated[
        Literal["running", "completed", "failed", "cancelled"] | None, typer.Option(help="Only runs that stand so.")
    ] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Only runs of this customer.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    as_json: options.Json = False,
) -> None:
    """List runs: first those that have not ended, then the others, the last to end first.

    Temporal is asked, which forgets runs some time after their end (its retention). GET /api/v1/runs lists those, too,
    by when they started, the newest first.
    """
    from orchestrator.cli.trace import duration

    async def work(runs: "Runs") -> Any:
        return await runs.list(workflow_id=workflow, customer_id=customer, status=status, limit=limit)

    found = _ask(work)
    if as_json:
        document([run.model_dump(mode="json") for run in found])
        return
    rows = [
        (
            *(run.id, run.workflow_id, run.workflow_version, run.status, run.trigger_type),
            f"{run.started_at:%Y-%m-%d %H:%M:%S}",
            "" if run.duration_ms is None else duration(run.duration_ms),
            run.customer_id,
        )
        for run in found
    ]
    table(COLUMNS, rows)


@app.command()
def show(run_id: options.RunId, as_json: options.Json = False) -> None:
    """Show a run: its steps, what it waits for, its output."""
    from orchestrator.cli.trace import lines

    found = _ask(lambda runs: runs.document(run_id))
    if as_json:
        document(found.model_dump(mode="json"))
        return
    line(f"run {found.id} of {found.workflow_id} version {found.workflow_version}", "bold")
    for told in lines(found)[:-1]:
        line(told, styled(told, found.status))
    show_end(found, as_json=False, told=False)
    for wait in found.waiting_for:
        if wait.get("kind") == "operator":
            note(f"say how it goes on: orchestrator runs resolve {run_id} {wait['step_id']} retry|skip|fallback|abort")


@app.command()
def watch(run_id: options.RunId, as_json: options.Json = False) -> None:
    """Show a run while it goes, to its end; exits with 1 where it fails."""
    ended = _ask(lambda runs: follow(runs, run_id, quiet=as_json))
    show_end(ended, as_json=as_json)
    if ended.status != "completed":
        raise typer.Exit(FAILED)


@app.command()
def cancel(run_id: options.RunId) -> None:
    """Ask a run to end: what it has begun is cancelled or compensated first."""
    _ask(lambda runs: runs.cancel(run_id))
    line(f"run {run_id} is being cancelled")


@app.command()
def pause(run_id: options.RunId) -> None:
    """Hold a run at its next node."""
    _ask(lambda runs: runs.pause(run_id))
    line(f"run {run_id} will stand still at its next node")


@app.command()
def resume(run_id: options.RunId) -> None:
    """Let a paused run go on."""
    _ask(lambda runs: runs.resume(run_id))
    line(f"run {run_id} goes on")


@app.command()
def retry(
    run_id: options.RunId,
    node: Annotated[
        str | None,
        typer.Option("--from", metavar="NODE", help="A node of the run's own scope; the failed one unless given."),
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Another published version of the workflow.")
    ] = None,
    given: Annotated[str | None, typer.Option("--input", metavar="JSON|@FILE", help="Another input.")] = None,
    variables: Annotated[str | None, typer.Option(metavar="JSON|@FILE", help="Variables to set beforehand.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and start nothing.")] = False,
) -> None:
    """Start a new run where one that has ended failed, with what was known there; prints its id."""
    from orchestrator.cli.with_services import with_house
    from orchestrator.interpreter.restart import Changes, Retry

    named = json_argument(variables, "--variables")
    if named is not None and not isinstance(named, dict):
        raise UsageError("--variables is no object", hint='--variables \'{"name": "Ada"}\'')
    changes = Changes(node, None if given is None else (json_argument(given, "--input"),), named)

    async def work(house: "House") -> Retry | str:
        if dry_run:
            return await house.retries.plan(None, run_id, changes, version)
        return (await house.retries.start(None, run_id, changes, version=version)).id

    made = with_house(work)
    if isinstance(made, str):
        line(made)
        return
    line(f"begins at {made.from_node}, version {made.plan.version}")
    line(f"kept       {', '.join(made.reused) or 'nothing'}")
    line(f"again      {', '.join(made.again) or 'nothing that has run'}")


@app.command()
def resolve(
    run_id: options.RunId,
    node: Annotated[str, typer.Argument(metavar="NODE", help="The node, or the step, that waits for your word.")],
    action: Annotated[
        Literal["retry", "skip", "fallback", "abort", "retry_from"], typer.Argument(metavar="ACTION", help="Your word.")
    ],
    value: Annotated[str | None, typer.Option(metavar="JSON|@FILE", help="For fallback: the output.")] = None,
    parameters: Annotated[str | None, typer.Option(metavar="JSON|@FILE", help="For retry: call it with these.")] = None,
    target: Annotated[str | None, typer.Option(metavar="NODE", help="For retry_from: where to go back to.")] = None,
) -> None:
    """Say how a run that paused on a failed step goes on."""
    given, instead = json_argument(value, "--value"), json_argument(parameters, "--parameters")

    async def work(runs: "Runs") -> str:
        return await runs.resolve(run_id, node, action, parameters=instead, value=given, target=target)

    line(f"step {_ask(work)} of run {run_id}: {action}")


@app.command()
def send(
    run_id: options.RunId,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The name that a wait node waits for.")],
    payload: Annotated[str | None, typer.Argument(metavar="[JSON|@FILE]", help="What it brings.")] = None,
) -> None:
    """Send an event to a run."""
    given = json_argument(payload, "payload")
    _ask(lambda runs: runs.send_event(run_id, event, given))
    line(f"event {event} sent to run {run_id}")


def _ask(work: "Callable[[Runs], Awaitable[ResultT]]") -> ResultT:
    """Do something with a client."""
    from orchestrator.cli.logs import configure
    from orchestrator.temporal.client.connection import connect
    from orchestrator.temporal.client.runs import Runs

    configure("text", "warning")

    async def with_client() -> ResultT:
        here = client_settings()
        return await work(Runs(await connect(here), here))

    try:
        return run_until_signal(with_client())
    except Interrupted as interrupted:
        note("nothing was changed by this: runs go on")
        raise typer.Exit(interrupted.code) from None
