"""`validate` and `graph`: check and draw definitions without running them."""

import os
from collections.abc import Iterable
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli import options
from orchestrator.cli.api_command import pop_server_options
from orchestrator.cli.checks import Finding, check_files
from orchestrator.cli.failures import USAGE, format_excerpt
from orchestrator.cli.files import LoadedFile, list_definition_files, read_json, require_writable
from orchestrator.cli.forecasts import parse_sizes, print_forecast
from orchestrator.cli.output import print_json, print_line, print_note
from orchestrator.cli.planning import format_count
from orchestrator.cli.reports import format_annotations, format_junit
from orchestrator.cli.server_address import ServerOptions
from orchestrator.cli.signals import interrupt_on_signal
from orchestrator.cli.watch import rerun_on_changes
from orchestrator.errors import OrchestratorError
from orchestrator.jsontools.source import JsonSyntaxError


def validate(
    context: typer.Context,
    files: options.DefinitionPaths,
    with_files: options.With = None,
    local: Annotated[
        bool, typer.Option("--local", help="Check with the actions of this environment, without an API.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a JUnit report, with a case for each definition.")
    ] = None,
    github: Annotated[
        bool | None,
        typer.Option("--github/--no-github", help="Print GitHub annotations too; the default in GitHub Actions."),
    ] = None,
    strict: options.StrictWarnings = False,
    budget: Annotated[
        bool, typer.Option("--budget", help="Forecast what a run adds to Temporal's history: events, bytes and tasks.")
    ] = False,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE", help='What the forecast is for, such as `{"items": {"each": 1000}}`; see below.'
        ),
    ] = None,
    watch: options.Watch = False,
    as_json: options.Json = False,
    **server: Any,
) -> None:
    """Report all problems of definitions with file, line and hint.

    Each is a line `file:line:column: error code: message`. For a folder, all definitions in it are checked. `workflow`
    nodes can call any of the definitions on the command line.

    The API checks them if there is one, with its actions and with the workflows that it stores; else they are checked
    with the actions of this environment.

    `--sizes` has, each by node ID: `items` of loops (10 where the definition does not say), `times` that a node runs in
    each pass of what it is in (1; more in a cycle, 0.1 where one item in ten comes to it), bytes of `results` (1,000),
    `seconds` of computed delays; `default_items` and `default_result` are for all others. Nothing fails in a forecast.
    """
    named = pop_server_options(server)
    if watch:
        rerun_on_changes(context, [*files, *(with_files or ())])
        return
    if junit is not None:
        require_writable(junit, "--junit")
    wanted = parse_sizes(sizes) if budget or sizes is not None else None
    reports, checked = _check(files, with_files, named, wanted, locally=local, as_json=as_json)
    if strict:
        for report in reports:
            report["valid"] = not report["problems"]
    failed = sum(not report["valid"] for report in reports)
    if as_json:
        print_json(reports)
    else:
        _print_summary(reports, failed, checked)
        if github if github is not None else os.environ.get("GITHUB_ACTIONS") == "true":
            for line in format_annotations(reports):
                print_line(line)
    if junit is not None:
        junit.write_text(format_junit(reports))
    if failed:
        raise typer.Exit(USAGE)


def _check(
    files: Iterable[str],
    with_files: Iterable[str] | None,
    named: ServerOptions,
    sizes: dict[str, Any] | None,
    *,
    locally: bool,
    as_json: bool,
) -> tuple[list[dict[str, Any]], str]:
    """Print the problems of each file. Return a report of each, and how they were checked."""
    read = [(name, _try_read(name)) for name in list_definition_files(files)]
    loaded = [file for _, file in read if isinstance(file, LoadedFile)]
    callees = [read_json(name) for name in with_files or ()]
    with interrupt_on_signal():
        found, checked = check_files(loaded, callees, named, sizes, locally=locally) if loaded else ([], "")
    findings = {id(each.file): each for each in found}
    reports = [
        _report_unreadable(name, file, as_json=as_json)
        if isinstance(file, OrchestratorError)
        else _report_finding(findings[id(file)], as_json=as_json)
        for name, file in read
    ]
    return reports, checked


def _try_read(name: str) -> LoadedFile | OrchestratorError:
    """Read a file, or return its error: the other files are checked all the same."""
    try:
        return read_json(name)
    except OrchestratorError as error:
        return error


def _report_unreadable(name: str, error: OrchestratorError, *, as_json: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "severity": "error", "code": error.code, "path": "", "message": error.message, "hint": error.hint
    }  # fmt: skip
    if isinstance(error, JsonSyntaxError):
        entry |= asdict(error.position)
    if not as_json:
        hint = f" ({error.hint})" if error.hint else ""
        print_line(f"{error.where or name}: error {error.code}: {error.message}{hint}", "red")
        for extra in format_excerpt(error):
            print_line(extra)
    return {"file": name, "valid": False, "problems": [entry]}


def _report_finding(found: Finding, *, as_json: bool) -> dict[str, Any]:
    entries, file = [], found.file
    for problem in sorted(found.problems, key=lambda problem: astuple(file.source.locate(problem.path))):
        entries.append({**problem.to_json(), **asdict(file.source.locate(problem.path))})
        if not as_json:
            print_line(file.format_problem(problem), "red" if problem.severity == "error" else "yellow")
    valid = all(problem.severity != "error" for problem in found.problems)
    report: dict[str, Any] = {"file": file.name, "valid": valid, "problems": entries}
    if found.forecast is not None:
        report["forecast"] = found.forecast
        if not as_json:
            print_forecast(file.name, found.forecast)
    return report


def _print_summary(reports: list[dict[str, Any]], failed: int, checked: str) -> None:
    how = f", checked {checked}" if checked else ""
    problems = [problem for report in reports for problem in report["problems"]]
    errors = sum(problem["severity"] == "error" for problem in problems)
    warnings = format_count(len(problems) - errors, "warning")
    if failed:
        print_note(
            f"{format_count(errors, 'error')}, {warnings} in {failed} of {format_count(len(reports), 'file')}{how}",
            "bold red",
        )
    else:
        print_note(f"{format_count(len(reports), 'file')} valid" + (f", {warnings}" if problems else "") + how, "green")


def graph(
    file: options.DefinitionFile,
    drawing_format: Annotated[
        Literal["mermaid", "svg", "layout"],
        typer.Option(
            "--format",
            help="`mermaid`: text. `svg`: a picture. `layout`: JSON, boxes and edges with their coordinates.",
        ),
    ] = "mermaid",
) -> None:
    """Draw a definition as Mermaid text, as a picture, or as JSON.

    An invalid one is drawn as far as possible.
    """
    from orchestrator.drawing.formats import draw

    value = read_json(file).value
    typer.echo(draw(value if isinstance(value, dict) else {}, drawing_format).rstrip("\n"))
