"""`runs`: list, show and operate runs."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from orchestrator.cli import options
from orchestrator.cli.environment import load_client_settings
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import parse_json_argument
from orchestrator.cli.follow import follow, show_end
from orchestrator.cli.output import choose_style, print_json, print_line, print_note, print_table
from orchestrator.cli.signals import Interrupted, run_until_signal

if TYPE_CHECKING:
    from orchestrator.service.services import Services
    from orchestrator.temporal.client.runs import Runs

ResultT = TypeVar("ResultT")
COLUMNS = ("run", "workflow", "version", "status", "trigger", "started", "took", "customer")

app = typer.Typer(help="List, show and operate runs.", no_args_is_help=True)


@app.command("list")
def list_runs(
    workflow: Annotated[str | None, typer.Option(metavar="ID", help="Only runs of this workflow.")] = None,
    status: Annotated[
        Literal["running", "completed", "failed", "cancelled"] | None,
        typer.Option(metavar="running|completed|failed|cancelled", help="Only runs with this status."),
    ] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Only runs of this customer.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Maximum number of runs.")] = 50,
    as_json: options.Json = False,
) -> None:
    """List runs: open runs first, then closed ones, the most recently closed first.

    Reads from Temporal, which deletes closed runs after its retention period. GET /api/v1/runs lists older runs too,
    the newest first.
    """
    from orchestrator.cli.trace import format_duration

    async def work(runs: "Runs") -> Any:
        return await runs.visibility.list_runs(workflow_id=workflow, customer_id=customer, status=status, limit=limit)

    summaries = _call_runs(work)
    if as_json:
        print_json([run.model_dump(mode="json") for run in summaries])
        return
    rows = [
        (
            *(run.id, run.workflow_id, run.workflow_version, run.status, run.trigger_type),
            f"{run.started_at:%Y-%m-%d %H:%M:%S}",
            "" if run.duration_ms is None else format_duration(run.duration_ms),
            run.customer_id,
        )
        for run in summaries
    ]
    print_table(COLUMNS, rows)


@app.command()
def show(run_id: options.RunId, as_json: options.Json = False) -> None:
    """Show a run: its steps, what it waits for, and its output."""
    from orchestrator.cli.trace import format_trace

    run = _call_runs(lambda runs: runs.reader.read_document(run_id))
    if as_json:
        print_json(run.model_dump(mode="json"))
        return
    print_line(f"run {run.id} of {run.workflow_id} version {run.workflow_version}", "bold")
    for text in format_trace(run)[:-1]:
        print_line(text, choose_style(text, run.status))
    show_end(run, as_json=False, status_shown=False)
    for wait in run.waiting_for:
        if wait.get("kind") == "operator":
            print_note(
                f"continue it with: orchestrator runs resolve {run_id} {wait['step_id']} retry|skip|fallback|abort"
            )


@app.command()
def watch(run_id: options.RunId, as_json: options.Json = False) -> None:
    """Show the progress of a run until it ends; exits with 1 unless it completes."""
    finished = _call_runs(lambda runs: follow(runs, run_id, quiet=as_json))
    show_end(finished, as_json=as_json)
    if finished.status != "completed":
        raise typer.Exit(FAILED)


@app.command()
def cancel(run_id: options.RunId) -> None:
    """Request cancellation of a run: running steps are cancelled, completed ones compensated."""
    _call_runs(lambda runs: runs.cancel(run_id))
    print_line(f"run {run_id} is being cancelled")


@app.command()
def pause(run_id: options.RunId) -> None:
    """Pause a run before its next node."""
    _call_runs(lambda runs: runs.pause(run_id))
    print_line(f"run {run_id} will pause before its next node")


@app.command()
def resume(run_id: options.RunId) -> None:
    """Resume a paused run."""
    _call_runs(lambda runs: runs.resume(run_id))
    print_line(f"run {run_id} is resumed")


@app.command()
def rerun(
    run_id: options.RunId,
    node: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NODE",
            help="Node to rerun from, not inside a loop or parallel; the failed node by default.",
        ),
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Published version of the workflow to use instead.")
    ] = None,
    run_input: Annotated[
        str | None, typer.Option("--input", metavar="JSON|@FILE", help="Input to use instead.")
    ] = None,
    variables: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="Variables to set before the first node.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan without starting a run.")] = False,
) -> None:
    """Rerun a closed run from a node, with the results of the steps before it; print the ID of the new run."""
    from orchestrator.cli.with_services import run_with_services
    from orchestrator.interpreter.restart import Changes, Rerun

    new_variables = parse_json_argument(variables, "--variables")
    if new_variables is not None and not isinstance(new_variables, dict):
        raise UsageError("--variables must be an object", hint='--variables \'{"name": "Ada"}\'')
    changes = Changes(node, None if run_input is None else (parse_json_argument(run_input, "--input"),), new_variables)

    async def work(services: "Services") -> Rerun | str:
        if dry_run:
            return await services.reruns.plan(None, run_id, changes, version)
        return (await services.reruns.start(None, run_id, changes, version=version)).id

    result = run_with_services(work)
    if isinstance(result, str):
        print_line(result)
        return
    print_line(f"starts at  {result.from_node}, version {result.plan.version}")
    print_line(f"reuses     {', '.join(result.reused) or 'nothing'}")
    print_line(f"reruns     {', '.join(result.again) or 'nothing that has run'}")


@app.command()
def resolve(
    run_id: options.RunId,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Node ID, or step ID, that waits for an operator.")],
    action: Annotated[
        Literal["retry", "skip", "fallback", "abort", "retry_from"],
        typer.Argument(metavar="retry|skip|fallback|abort|retry_from", help="How to continue."),
    ],
    value: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="For fallback: the output of the step.")
    ] = None,
    parameters: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="For retry: the parameters to call the action with.")
    ] = None,
    target: Annotated[str | None, typer.Option(metavar="NODE", help="For retry_from: the node to go back to.")] = None,
) -> None:
    """Decide how a run that waits at a failed step continues."""
    fallback, new_parameters = parse_json_argument(value, "--value"), parse_json_argument(parameters, "--parameters")

    async def work(runs: "Runs") -> str:
        return await runs.resolve(run_id, node, action, parameters=new_parameters, value=fallback, target=target)

    print_line(f"step {_call_runs(work)} of run {run_id}: {action}")


@app.command()
def send(
    run_id: options.RunId,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Event name that a wait node waits for.")],
    payload: Annotated[str | None, typer.Argument(metavar="[JSON|@FILE]", help="Payload of the event.")] = None,
) -> None:
    """Send an event to a run."""
    value = parse_json_argument(payload, "payload")
    _call_runs(lambda runs: runs.send_event(run_id, event, value))
    print_line(f"event {event} sent to run {run_id}")


def _call_runs(work: "Callable[[Runs], Awaitable[ResultT]]") -> ResultT:
    """Run a coroutine function with a client."""
    from orchestrator.cli.logs import configure
    from orchestrator.temporal.client.connection import connect
    from orchestrator.temporal.client.runs import Runs

    configure("text", "warning")

    async def with_client() -> ResultT:
        here = load_client_settings()
        return await work(Runs(await connect(here), here))

    try:
        return run_until_signal(with_client())
    except Interrupted as interrupted:
        print_note("running workflows are not affected")
        raise typer.Exit(interrupted.code) from None
