"""`runs migrate`: move a run in progress to another version of its workflow."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.bulk import OptionalRunId, operate_selected, selects_many, take_selection
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.output import print_json, print_line, print_result, print_table
from orchestrator.cli.run_operations import operate

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient, Document

COLUMNS = ("node", "path", "is", "becomes", "in that version")


@take_selection
def migrate(
    client: "ApiClient",
    version: Annotated[int, typer.Option(min=1, metavar="N", help="Published version of the workflow to move to.")],
    run_id: OptionalRunId = None,
    renamed: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OLD=NEW", help="A node that has another ID in that version; repeatable."),
    ] = None,
    reason: options.Reason = "",
    as_json: options.Json = False,
    **selected: Any,
) -> None:
    """Move a run in progress to another version of its workflow.

    It moves at its next node boundary, and what is done stays done. Refused with all reasons where the run does not fit
    the version. Without RUN, all runs of the filter are moved. A dry run of one run exits with 1 where it does not fit.
    """
    request = {"version": version, "map": _parse_map(renamed or []), "reason": reason}
    if selects_many(run_id, selected, takes_dry_run=True):
        operate_selected(client, "migrate", selected, request, as_json=as_json)
        return
    if not selected["dry_run"]:
        done = operate(client, run_id, "migrate", request)
        print_result(f"run {run_id} moves to version {version} at its next node boundary", done, as_json=as_json)
        return
    preview = operate(client, run_id, "migrate", {**request, "dry_run": True})
    print_json(preview) if as_json else _print_preview(preview)
    if not preview["fits"]:
        raise typer.Exit(FAILED)


def _parse_map(pairs: list[str]) -> dict[str, str]:
    """Return new IDs of nodes by their old ones; raises UsageError."""
    parsed: dict[str, str] = {}
    for pair in pairs:
        old, sign, new = pair.partition("=")
        if not (old and sign and new):
            raise UsageError(f"--map {pair!r} is not OLD=NEW", hint="for example --map greet=welcome")
        if old in parsed:
            raise UsageError(f"--map names {old!r} twice", hint="a node becomes one node of that version")
        parsed[old] = new
    return parsed


def _print_preview(preview: "Document") -> None:
    """Print what becomes of the nodes of a run."""
    rows = [
        (node["node_id"], node["path"], node["state"].replace("_", " "), node["outcome"], node["to"] or "")
        for node in preview["nodes"]
    ]
    print_table(COLUMNS, rows)
    for node in preview["nodes"]:
        if node["outcome"] == "dropped" and node["reason"]:
            print_line(f"the decision on {node['node_id']!r} would be dropped: {node['reason']}", "yellow")
    for problem in preview["problems"]:
        print_line(problem, "red")
    verdict = "the run would move" if preview["fits"] else "the run would not move"
    print_line(f"{verdict} from version {preview['from_version']} to version {preview['version']}")
