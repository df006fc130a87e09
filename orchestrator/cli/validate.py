"""`validate` and `graph`: check and draw definitions without running them."""

from dataclasses import asdict, astuple
from typing import Any

import typer

from orchestrator.cli import options
from orchestrator.cli.environment import load_actions, load_settings
from orchestrator.cli.failures import USAGE, format_excerpt
from orchestrator.cli.files import LoadedFile, read_json
from orchestrator.cli.output import print_json, print_line, print_note
from orchestrator.cli.planning import check_definition, format_count, index_definitions, read_permissions
from orchestrator.errors import OrchestratorError, Problem
from orchestrator.jsontools.source import JsonSyntaxError


def validate(files: options.DefinitionFiles, with_files: options.With = None, as_json: options.Json = False) -> None:
    """Report all problems of definitions, as `file:line:column: error code: message`.

    `workflow` nodes can call any of the definitions on the command line.
    """
    read = [(name, _try_read(name)) for name in files]
    settings = load_settings()
    known, permissions = load_actions(settings), read_permissions(settings)
    others = index_definitions(
        [*map(read_json, with_files or ()), *(file for _, file in read if isinstance(file, LoadedFile))]
    )
    reports = []
    for name, file in read:
        if isinstance(file, OrchestratorError):
            reports.append(_report_unreadable(name, file, as_json=as_json))
        else:
            reports.append(
                _report_problems(file, check_definition(file, known, others, permissions).problems, as_json=as_json)
            )
    failed = sum(not report["valid"] for report in reports)
    if as_json:
        print_json(reports)
    else:
        _print_summary(reports, failed)
    if failed:
        raise typer.Exit(USAGE)


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


def _report_problems(file: LoadedFile, problems: list[Problem], *, as_json: bool) -> dict[str, Any]:
    entries = []
    for problem in sorted(problems, key=lambda problem: astuple(file.source.locate(problem.path))):
        entries.append({**problem.to_json(), **asdict(file.source.locate(problem.path))})
        if not as_json:
            print_line(file.format_problem(problem), "red" if problem.severity == "error" else "yellow")
    valid = all(problem.severity != "error" for problem in problems)
    return {"file": file.name, "valid": valid, "problems": entries}


def _print_summary(reports: list[dict[str, Any]], failed: int) -> None:
    problems = [problem for report in reports for problem in report["problems"]]
    errors = sum(problem["severity"] == "error" for problem in problems)
    warnings = format_count(len(problems) - errors, "warning")
    if failed:
        print_note(
            f"{format_count(errors, 'error')}, {warnings} in {failed} of {format_count(len(reports), 'file')}",
            "bold red",
        )
    else:
        print_note(f"{format_count(len(reports), 'file')} valid" + (f", {warnings}" if problems else ""), "green")


def graph(file: options.DefinitionFile) -> None:
    """Draw a definition as Mermaid text; an invalid one as far as possible."""
    from orchestrator.drawing.mermaid import draw_mermaid

    value = read_json(file).value
    typer.echo(draw_mermaid(value if isinstance(value, dict) else {}), nl=False)
