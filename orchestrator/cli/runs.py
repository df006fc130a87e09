"""`runs`: list, show and operate runs."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.cli import options
from orchestrator.cli.api_command import api_command
from orchestrator.cli.bulk import (
    OptionalRunId,
    RunIdOrAll,
    operate_selected,
    selects_many,
    show_report,
    take_selection,
)
from orchestrator.cli.confirmation import require_confirmation
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import parse_json_argument
from orchestrator.cli.follow import follow, show_end
from orchestrator.cli.moments import format_duration, format_moment
from orchestrator.cli.output import choose_style, print_json, print_line, print_note, print_result, print_table
from orchestrator.cli.run_filters import make_filter, take_filters
from orchestrator.cli.run_operations import name_step, operate
from orchestrator.cli.usage import format_usage
from orchestrator.jsontools.text import shorten

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient, Document

COLUMNS = ("run", "workflow", "status", "started", "took", "about", "trigger", "version", "customer")
MAX_ABOUT = 60
MAX_ID = 60
DEFAULT_LIMIT = 50
MAX_STUCK = 200
"""Open runs that `GET /stuck` looks at."""

app = typer.Typer(help="List, show and operate runs.", no_args_is_help=True)


@api_command(app, "list")
@take_filters
def list_runs(
    client: "ApiClient",
    limit: options.Limit = DEFAULT_LIMIT,
    as_json: options.Json = False,
    **selected: Any,
) -> None:
    """List runs, the newest first."""
    runs = client.list_items("/runs", limit, **make_filter(selected))
    if as_json:
        print_json(runs)
        return
    rows = [
        (
            *(run["id"], run["workflow_id"], run["status"], format_moment(run["started_at"])),
            "" if run["duration_ms"] is None else format_duration(run["duration_ms"]),
            _describe_row(run),
            *(run["trigger_type"], run["workflow_version"], run["customer_id"]),
        )
        for run in runs
    ]
    print_table(COLUMNS, rows)


def _describe_row(run: "Document") -> str:
    """Return what a run waits for, or why it failed or was cancelled."""
    from orchestrator.cli.trace import describe_wait

    at = f" at {run['node_id']}" if run["node_id"] else ""
    if run["error"] is not None:
        return shorten(f"{run['error_type']}{at}: {' '.join(run['error'].split())}", MAX_ABOUT)
    if run["waiting_for"]:
        return shorten(f"waits{at}: {describe_wait(run['waiting_for'][0], datetime.now(UTC))}", MAX_ABOUT)
    if run["cancelled_by"] is not None:
        reason = f": {run['cancel_reason']}" if run["cancel_reason"] else ""
        return shorten(f"by {run['cancelled_by']}{reason}", MAX_ABOUT)
    return f"{run['reason']}{at}" if run["reason"] else ""


@api_command(app)
def stuck(client: "ApiClient", customer: options.Customer = None, as_json: options.Json = False) -> None:
    """Show what makes no progress, or less than usual.

    Queues without workers, failing workflow tasks, slow actions and old runs. Exits with 1 if there is anything.
    """
    found = client.get("/stuck", customer_id=customer)
    rows = [
        (f"{each['kind']} queue", each["queue"], "", f"{each['backlog']} tasks wait and no worker polls it")
        for each in found["queues"]
    ]
    for kind, name in (("workflow_tasks", "workflow task"), ("activities", "action"), ("runs", "run")):
        rows += [(name, each["run_id"], each["node_id"] or "", each["message"]) for each in found[kind]]
    if as_json:
        print_json(found)
    else:
        print_table(("what", "id", "node", "why"), rows)
    if not found["complete"]:
        print_note(f"only the oldest {MAX_STUCK} runs were looked at", "yellow")
    if rows:
        raise typer.Exit(FAILED)


@api_command(app)
def show(client: "ApiClient", run_id: options.RunId, as_json: options.Json = False) -> None:
    """Show a run: its steps, what it waits for, and its output."""
    from orchestrator.cli.trace import format_trace

    run = client.read_run(run_id)
    if as_json:
        print_json(run.model_dump(mode="json"))
        return
    print_line(f"run {run.id} of {run.workflow_id} version {run.workflow_version}", "bold")
    for text in format_trace(run, datetime.now(UTC))[:-1]:
        print_line(text, choose_style(text, run.status))
    if run.usage is not None:
        print_line(f"used {format_usage(run.usage.model_dump())}")
    show_end(run, as_json=False, status_shown=False)


@api_command(app)
def explain(client: "ApiClient", run_id: options.RunId, as_json: options.Json = False) -> None:
    """Explain a run: what was decided and why.

    Conditions with the values that they saw, what was skipped by which rule, joins, attempts, failures and the end.
    """
    from orchestrator.cli.client import quote_id
    from orchestrator.cli.trace import INCOMPLETE

    explained = client.get(f"/runs/{quote_id(run_id)}/explain")
    if as_json:
        print_json(explained)
        return
    if not explained["complete"]:
        print_note(INCOMPLETE, "yellow")
    width = min(max((len(item["step_id"] or "") for item in explained["items"]), default=0), MAX_ID)
    for item in explained["items"]:
        print_line(f"{item['step_id'] or '':<{width}}  {item['text']}".strip())


@api_command(app)
def watch(client: "ApiClient", run_id: options.RunId, as_json: options.Json = False) -> None:
    """Show the progress of a run until it ends.

    Exits with 1 unless it completes.
    """
    finished = follow(client, run_id, quiet=as_json)
    show_end(finished, as_json=as_json)
    if finished.status != "completed":
        raise typer.Exit(FAILED)


@api_command(app)
@take_selection
def cancel(
    client: "ApiClient",
    run_id: OptionalRunId = None,
    reason: options.Reason = "",
    as_json: options.Json = False,
    **selected: Any,
) -> None:
    """Request cancellation of a run, with compensations.

    Running steps are cancelled, completed ones compensated. Without RUN, all runs of the filter are cancelled.
    """
    if selects_many(run_id, selected):
        operate_selected(client, "cancel", selected, {"reason": reason}, as_json=as_json)
        return
    operate(client, run_id, "cancel", {"reason": reason})
    print_result(f"run {run_id} is being cancelled", {"id": run_id, "requested": "cancel"}, as_json=as_json)


@api_command(app)
@take_selection
def terminate(
    client: "ApiClient",
    run_id: OptionalRunId = None,
    reason: options.Reason = "",
    as_json: options.Json = False,
    **selected: Any,
) -> None:
    """Terminate a run at once, without compensations.

    What it has done stays done; asks for confirmation. Without RUN, all runs of the filter are terminated.
    """
    if selects_many(run_id, selected):
        operate_selected(client, "terminate", selected, {"reason": reason}, as_json=as_json)
        return
    require_confirmation(f"terminate run {run_id} without compensations?", confirmed=selected["confirmed"])
    operate(client, run_id, "terminate", {"reason": reason})
    print_result(f"run {run_id} is terminated", {"id": run_id, "requested": "terminate"}, as_json=as_json)


@api_command(app)
@take_selection
def pause(
    client: "ApiClient",
    run_id: OptionalRunId = None,
    reason: options.Reason = "",
    as_json: options.Json = False,
    **selected: Any,
) -> None:
    """Pause a run before its next node.

    Without RUN, all runs of the filter are paused.
    """
    if selects_many(run_id, selected):
        operate_selected(client, "pause", selected, {}, as_json=as_json)
        return
    operate(client, run_id, "pause", {"reason": reason})
    print_result(f"run {run_id} will pause before its next node", {"id": run_id, "requested": "pause"}, as_json=as_json)


@api_command(app)
@take_selection
def resume(
    client: "ApiClient",
    run_id: OptionalRunId = None,
    reason: options.Reason = "",
    as_json: options.Json = False,
    **selected: Any,
) -> None:
    """Resume a paused run.

    Without RUN, all runs of the filter are resumed.
    """
    if selects_many(run_id, selected):
        operate_selected(client, "resume", selected, {}, as_json=as_json)
        return
    operate(client, run_id, "resume", {"reason": reason})
    print_result(f"run {run_id} is resumed", {"id": run_id, "requested": "resume"}, as_json=as_json)


@api_command(app)
@take_selection
def rerun(
    client: "ApiClient",
    run_id: OptionalRunId = None,
    from_node: Annotated[
        str | None,
        typer.Option("--from", metavar="NODE", help="Node to rerun from; by default where the run has stopped."),
    ] = None,
    path: Annotated[
        str | None, typer.Option(metavar="PATH", help="Iteration or branch that the node is in, such as each[7].")
    ] = None,
    failed_items: Annotated[
        bool, typer.Option("--failed-items", help="Only rerun the failed items of loops that continued past them.")
    ] = False,
    version: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Published version of the workflow to use instead.")
    ] = None,
    run_input: Annotated[
        str | None, typer.Option("--input", metavar="JSON|@FILE", help="Input to use instead.")
    ] = None,
    variables: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="Variables to set before the first node.")
    ] = None,
    as_json: options.Json = False,
    **selected: Any,
) -> None:
    """Rerun an ended run from a step; print the ID of the new run.

    What is done stays done: the results of other steps are reused.
    """
    if selects_many(run_id, selected, takes_dry_run=True):
        if run_input is not None or variables is not None or path is not None or failed_items:
            raise UsageError("--input, --variables, --path and --failed-items are for one run", hint="name the run")
        operate_selected(client, "rerun", selected, {"from_node": from_node, "version": version}, as_json=as_json)
        return
    request = {
        "from_node": from_node, "path": path, "failed_items": failed_items, "version": version,
        "variables": _parse_variables(variables), "dry_run": selected["dry_run"],
    }  # fmt: skip
    if run_input is not None:
        request["input"] = parse_json_argument(run_input, "--input")
    answer = operate(client, run_id, "rerun", request)
    if as_json:
        print_json(answer)
    elif selected["dry_run"]:
        _print_rerun(answer)
    else:
        print_line(answer["id"])


def _parse_variables(text: str | None) -> dict[str, Any]:
    """Return the variables of a rerun; raises UsageError."""
    variables = parse_json_argument(text, "--variables")
    if variables is not None and not isinstance(variables, dict):
        raise UsageError("--variables must be an object", hint='--variables \'{"name": "Ada"}\'')
    return variables or {}


def _print_rerun(plan: dict[str, Any]) -> None:
    """Print what a rerun would do."""
    print_line(f"starts at  {', '.join(plan['begins_at'])}, version {plan['version']}")
    print_line(f"reuses     {', '.join(plan['reused']) or 'nothing'}")
    print_line(f"reruns     {', '.join(plan['again']) or 'nothing that has run'}")
    for label, name in (("continues", "continued"), ("same key", "kept_keys"), ("undone", "undone")):
        if plan[name]:
            print_line(f"{label:<10} {', '.join(plan[name])}")


@api_command(app)
@take_selection
def resolve(
    client: "ApiClient",
    run_id: RunIdOrAll,
    waiting_node: Annotated[
        str, typer.Argument(metavar="NODE", help="Node ID, or step ID, that waits for an operator.")
    ],
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
    reason: options.Reason = "",
    as_json: options.Json = False,
    **selected: Any,
) -> None:
    """Decide how a run that waits at a failed step continues.

    With `-` for RUN, all runs of the filter that wait at the node.
    """
    if selects_many(run_id, selected):
        if (value, parameters, target) != (None, None, None):
            raise UsageError("--value, --parameters and --target are for one run", hint="name the run")
        operate_selected(client, "resolve", selected, {"node_id": waiting_node, "action": action}, as_json=as_json)
        return
    request = {
        **name_step(waiting_node),
        "action": action,
        "value": parse_json_argument(value, "--value"),
        "parameters": parse_json_argument(parameters, "--parameters"),
        "target": target,
        "reason": reason,
    }
    answer = operate(client, run_id, "resolve", request)
    print_result(f"step {answer['step_id']} of run {run_id}: {action}", answer, as_json=as_json)


@api_command(app)
@take_selection
def send(
    client: "ApiClient",
    run_id: RunIdOrAll,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Event name that a wait node waits for.")],
    payload: Annotated[str | None, typer.Argument(metavar="JSON|@FILE", help="Payload of the event.")] = None,
    event_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Key that a wait node asks for beside the name; for one run.")
    ] = None,
    as_json: options.Json = False,
    **selected: Any,
) -> None:
    """Send an event to a run.

    With `-` for RUN, to all runs of the filter.
    """
    if selects_many(run_id, selected):
        if event_key is not None:
            raise UsageError("--event-key is for one run", hint="name the run")
        fields = {"event": event, "payload": parse_json_argument(payload, "payload")}
        operate_selected(client, "send", selected, fields, as_json=as_json)
        return
    from orchestrator.cli.client import quote_id

    path = f"/runs/{quote_id(run_id)}/events/{quote_id(event)}"
    client.post(path, parse_json_argument(payload, "payload"), **({} if event_key is None else {"key": event_key}))
    print_result(f"event {event} sent to run {run_id}", {"id": run_id, "event": event}, as_json=as_json)


@api_command(app)
def bulk(
    client: "ApiClient",
    job_id: Annotated[str, typer.Argument(metavar="ID", help="ID of the operation.")],
    stop: Annotated[bool, typer.Option("--stop", help="Stop it after the runs that are under way.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show an operation on many runs, or stop it."""
    from orchestrator.cli.client import quote_id

    path = f"/bulk/{quote_id(job_id)}"
    if stop:
        client.post(f"{path}/stop")
        print_result(f"operation {job_id} is being stopped", {"id": job_id, "requested": "stop"}, as_json=as_json)
        return
    show_report(client.get(path), as_json=as_json)
