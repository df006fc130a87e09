"""Operate all runs of a filter: the options that every such command has, the progress, and the report."""

import inspect
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from orchestrator.cli import options
from orchestrator.cli.completion import complete_run
from orchestrator.cli.confirmation import require_confirmation
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.output import is_terminal, make_console, print_json, print_line, print_note
from orchestrator.cli.run_filters import OPTIONS as FILTER_OPTIONS
from orchestrator.cli.run_filters import make_filter
from orchestrator.cli.signals import Interrupted

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient, Document

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
ALL = "-"
"""In place of the run where the filter selects the runs."""
POLL_SECONDS = 0.5
OPTIONS: Mapping[str, tuple[Any, Any]] = {
    **{name: (hint, None) for name, hint in FILTER_OPTIONS.items()},
    "pace": (
        Annotated[int, typer.Option("--pace", metavar="N", min=1, max=100, help="Of many runs: runs a second.")],
        10,
    ),
    "dry_run": (
        Annotated[bool, typer.Option("--dry-run", help="Say what would be done, without doing it.")],
        False,
    ),
    "detach": (
        Annotated[bool, typer.Option("--detach", help="Of many runs: start, print the ID, do not wait for the end.")],
        False,
    ),
    "confirmed": (options.Yes, False),
}
OptionalRunId = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="ID of the run; leave it out to operate all runs of the filter.",
        autocompletion=complete_run,
        show_default=False,
    ),
]
RunIdOrAll = Annotated[
    str,
    typer.Argument(
        metavar="RUN|-",
        help="ID of the run; `-` to operate all runs of the filter.",
        autocompletion=complete_run,
    ),
]


def take_selection(function: FunctionT) -> FunctionT:
    """Give a command the options that select many runs; they arrive as the keyword arguments of the function."""
    own = [
        each
        for each in inspect.signature(function).parameters.values()
        if each.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    kind = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(name, kind, default=default, annotation=hint) for name, (hint, default) in OPTIONS.items()
    ]
    function.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]  # read by inspect
    return function


def selects_many(run_id: str | None, selected: Mapping[str, Any], *, takes_dry_run: bool = False) -> bool:
    """Return whether a command operates the runs of a filter; raises UsageError where it names a run as well.

    `takes_dry_run` says that the command has a dry run for one run, too.
    """
    wanted = _make_selection(selected)
    if run_id in (None, ALL):
        if not wanted:
            raise UsageError("name a run, or select runs", hint="for example with --workflow ID --status failed")
        return True
    if wanted:
        raise UsageError("name a run or select runs, not both", hint="leave the options that select runs out")
    if selected["dry_run"] and not takes_dry_run:
        raise UsageError("--dry-run is for runs that are selected by a filter", hint="look at the run with `runs show`")
    return False


def operate_selected(
    client: "ApiClient",
    operation: str,
    selected: Mapping[str, Any],
    fields: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Operate all runs of a filter, show the progress, and print the report. Exits with 1 unless all is done."""
    body = {
        "operation": operation,
        "filter": _make_selection(selected),
        **{name: value for name, value in fields.items() if value is not None},
    }
    customer = selected["customer"]
    preview = client.post("/bulk", {**body, "dry_run": True}, customer_id=customer)
    if selected["dry_run"]:
        _show_preview(operation, preview, as_json=as_json)
        return
    if preview["total"]:
        require_confirmation(f"{operation} {preview['total']} runs?", confirmed=selected["confirmed"])
    job = client.post("/bulk", {**body, "pace": selected["pace"]}, customer_id=customer)
    if selected["detach"]:
        print_json(job) if as_json else print_line(job["id"])
        return
    follow_job(client, job, as_json=as_json)


def follow_job(client: "ApiClient", job: "Document", *, as_json: bool) -> None:
    """Show the progress of an operation until its end, and print the report. Exits with 1 unless all is done."""
    try:
        job = _follow(client, job)
    except Interrupted:
        print_note(f"it continues; see `orchestrator runs bulk {job['id']}`, which stops it with --stop")
        raise
    show_report(job, as_json=as_json)


def _make_selection(selected: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filter of a request."""
    wanted = make_filter(selected)
    wanted.pop("customer_id")
    return {name: value for name, value in wanted.items() if value is not None}


def _show_preview(operation: str, preview: "Document", *, as_json: bool) -> None:
    if as_json:
        print_json(preview)
        return
    print_line(f"would {operation} {preview['total']} runs")
    for run in preview["runs"]:
        print_line(f"{run['id']}  {run['status']}")
    if preview["total"] > len(preview["runs"]):
        print_line(f"and {preview['total'] - len(preview['runs'])} more")


def _follow(client: "ApiClient", job: "Document") -> "Document":
    """Show the progress until the operation ends; return it."""
    from rich.progress import Progress

    with Progress(console=make_console(stderr=True), disable=not is_terminal()) as progress:
        task = progress.add_task(job["operation"], total=job["total"])
        while job["state"] == "running":
            time.sleep(POLL_SECONDS)
            job = client.get(f"/bulk/{job['id']}")
            progress.update(task, completed=job["processed"])
    return job


def show_report(job: "Document", *, as_json: bool) -> None:
    """Print what came of the runs; exits with 1 unless all is done."""
    if as_json:
        print_json(job)
    else:
        print_line(f"{job['operation']} of {job['total']} runs: {job['state']}")
        for outcome, number in sorted(job["outcomes"].items()):
            print_line(f"  {outcome:<10} {number}")
        for status, number in sorted(job["reruns"].items()):
            print_line(f"  rerun {status:<10} {number}")
        for group in job["failed_reruns"]:
            print_line(f"    {group['count']} failed again at {group['node_id']}: {group['error_type']}")
        print_line(f"id         {job['id']}")
    if job["outcomes"].keys() - {"done"}:
        raise typer.Exit(FAILED)
