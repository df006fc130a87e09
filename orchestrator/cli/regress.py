"""`regress`: judge another version of a workflow by its real runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import require_writable
from orchestrator.cli.output import print_json, print_line, print_note, print_table

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient
    from orchestrator.drawing.overlay import Overlay

DRAFT = "draft"
TIMEOUT_SECONDS = 600.0
"""Up to 1,000 runs are run twice each, in memory."""


def regress(
    client: "ApiClient",
    workflow: options.WorkflowId,
    against: Annotated[
        str, typer.Option(metavar="DRAFT|VERSION", help="What to judge: `draft`, or the number of a version.")
    ] = DRAFT,
    last: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Number of the last runs to judge it by.")
    ] = 200,
    graph: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the version, with the nodes where runs part, to this file."),
    ] = None,
    customer: options.Customer = None,
    as_json: options.Json = False,
) -> None:
    """Tell what another version would have done with real runs.

    It is run in memory, with their input and events and the results of their steps: no action is called. Exits with 1
    if it would have done something else with one of them.
    """
    from orchestrator.cli.client import quote_id

    if graph is not None:
        require_writable(graph, "--graph")
    version = _parse_version(against)
    path = f"/workflows/{quote_id(workflow)}"
    client.timeout = TIMEOUT_SECONDS
    report = client.post(f"{path}/regress", {"version": version, "last": last}, customer_id=customer)
    if graph is not None:
        shown = client.get(f"{path}/versions/{version}" if version else path, customer_id=customer)
        _draw(shown["definition"] if version else shown, report, graph)
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if report["different"]:
        raise typer.Exit(FAILED)


def _parse_version(against: str) -> int:
    if against.lower() == DRAFT:
        return 0
    if not against.isdecimal() or not int(against):
        raise UsageError(f"--against {against} is not a version", hint="write `draft`, or the number of a version")
    return int(against)


def _print_report(report: dict[str, Any]) -> None:
    print_line(report["summary"], "red" if report["different"] else "green")
    print_table(
        ("runs", "outcome", "node", "details", "example"),
        [
            (group["count"], group["outcome"], group["node_id"] or "", group["text"], group["examples"][0])
            for group in report["groups"]
        ],
        status="outcome",
    )


def _draw(definition: dict[str, Any], report: dict[str, Any], path: Path) -> None:
    """Write the graph of a version, red where runs part."""
    from orchestrator.drawing.graph_layout import lay_out
    from orchestrator.drawing.svg import draw_svg

    title = f"{report['workflow_id']}: {report['summary']}"
    path.write_text(draw_svg(lay_out(definition), title, _make_overlay(report)), encoding="utf-8")
    print_note(f"wrote {path}")


def _make_overlay(report: dict[str, Any]) -> "Overlay":
    from orchestrator.drawing.overlay import Emphasis, Overlay

    notes: dict[str, list[str]] = {}
    for group in report["groups"]:
        if group["node_id"] is not None and group["outcome"] != "not_judged":
            notes.setdefault(group["node_id"], []).append(f"{group['count']} runs: {group['text']}")
    return Overlay({node_id: Emphasis("bad", "; ".join(lines)) for node_id, lines in notes.items()})
