"""The options that select runs, for the list and for operations on many runs."""

import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

import typer

from orchestrator.cli import options
from orchestrator.cli.failures import UsageError
from orchestrator.cli.moments import parse_moment

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
Reason = Literal["delay", "event", "approval", "operator", "paused", "child", "no_worker"]
Trigger = Literal["manual", "schedule", "event", "webhook", "workflow"]

RunStatus = StrEnum("RunStatus", ["pending", "running", "waiting", "retrying", "completed", "failed", "cancelled"])
"""Not a `Literal`, of which an option cannot take several."""

OPTIONS: Mapping[str, Any] = {
    "workflow": Annotated[str | None, typer.Option("--workflow", metavar="ID", help="Only runs of this workflow.")],
    "status": Annotated[
        list[RunStatus] | None,
        typer.Option("--status", metavar="STATUS", help="Only runs with this status; repeat it for several."),
    ],
    "waiting_reason": Annotated[
        Reason | None,
        typer.Option(
            "--waiting-for",
            metavar="delay|event|approval|operator|paused|child|no_worker",
            help="Only runs that wait for this.",
        ),
    ],
    "node": Annotated[
        str | None,
        typer.Option("--node", metavar="NODE", help="Only runs that wait, are tried again or failed at this node."),
    ],
    "error_type": Annotated[
        str | None, typer.Option("--error-type", metavar="TYPE", help="Only runs with an error of this type.")
    ],
    "error": Annotated[
        str | None, typer.Option("--error", metavar="TEXT", help="Only runs with this text in the error.")
    ],
    "trigger": Annotated[
        Trigger | None,
        typer.Option(
            "--trigger",
            metavar="manual|schedule|event|webhook|workflow",
            help="Only runs that were started in this way.",
        ),
    ],
    "parent": Annotated[str | None, typer.Option("--parent", metavar="RUN", help="Only runs that this run called.")],
    "rerun_of": Annotated[str | None, typer.Option("--rerun-of", metavar="RUN", help="Only reruns of this run.")],
    "where": Annotated[
        list[str] | None,
        typer.Option("--where", metavar="NAME=VALUE", help="Only runs with this business key; repeatable."),
    ],
    "since": Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Started from then on: RFC 3339, 2h, 7d, today, yesterday."),
    ],
    "until": Annotated[str | None, typer.Option("--until", metavar="TIME", help="Started before then.")],
    "ended_since": Annotated[str | None, typer.Option("--ended-since", metavar="TIME", help="Ended from then on.")],
    "ended_until": Annotated[str | None, typer.Option("--ended-until", metavar="TIME", help="Ended before then.")],
    "customer": options.Customer,
}


def take_filters(function: FunctionT) -> FunctionT:
    """Give a command the options that select runs; they arrive as the keyword arguments of the function."""
    own = [
        each
        for each in inspect.signature(function).parameters.values()
        if each.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    kind = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(name, kind, default=None, annotation=hint) for name, hint in OPTIONS.items()]
    function.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]  # read by inspect
    return function


def make_filter(selected: Mapping[str, Any]) -> dict[str, Any]:
    """Return the query parameters of the API for the options of a command; raises UsageError."""
    keys = selected["where"] or []
    if (bad := next((each for each in keys if "=" not in each), None)) is not None:
        raise UsageError(f"--where {bad!r} is not NAME=VALUE", hint="--where order=4711")
    times = {name: parse_moment(selected[name], f"--{name.replace('_', '-')}") for name in TIMES}
    plain = {name: selected[name] for name in ("node", "error_type", "error", "trigger", "parent", "rerun_of")}
    return {
        **plain,
        **times,
        "workflow_id": selected["workflow"],
        "status": selected["status"] or None,
        "reason": selected["waiting_reason"],
        "key": keys or None,
        "customer_id": selected["customer"],
    }


TIMES = ("since", "until", "ended_since", "ended_until")
