"""`validate` and `graph`: what a definition says, before anything runs."""

from dataclasses import asdict, astuple
from typing import Any

import typer

from orchestrator.cli import options
from orchestrator.cli.environment import registry
from orchestrator.cli.failures import USAGE, excerpt
from orchestrator.cli.files import Loaded, read_json
from orchestrator.cli.output import document, line, note
from orchestrator.cli.planning import counted, judged, workflows
from orchestrator.errors import OrchestratorError, Problem
from orchestrator.jsontools.source import JsonSyntaxError


def validate(files: options.DefinitionFiles, with_files: options.With = None, as_json: options.Json = False) -> None:
    """Say all that is wrong with definitions, as `file:line:column: error code: message`.

    Definitions given together know each other, so `workflow` nodes can name them.
    """
    read = [(name, _read(name)) for name in files]
    known = registry()
    others = workflows([*map(read_json, with_files or ()), *(one for _, one in read if isinstance(one, Loaded))])
    reports = []
    for name, one in read:
        if isinstance(one, OrchestratorError):
            reports.append(_unread(name, one, as_json=as_json))
        else:
            reports.append(_checked(one, judged(one, known, others).problems, as_json=as_json))
    failed = sum(not report["valid"] for report in reports)
    if as_json:
        document(reports)
    else:
        _summary(reports, failed)
    if failed:
        raise typer.Exit(USAGE)


def _read(name: str) -> Loaded | OrchestratorError:
    """Read a file; what is wrong with it must not hide what is wrong with the others."""
    try:
        return read_json(name)
    except OrchestratorError as error:
        return error


def _unread(name: str, error: OrchestratorError, *, as_json: bool) -> dict[str, Any]:
    shown = Problem("error", error.code, "", error.message, error.hint).to_json()
    if isinstance(error, JsonSyntaxError):
        shown |= asdict(error.position)
    if not as_json:
        hint = f" ({error.hint})" if error.hint else ""
        line(f"{error.where or name}: error {error.code}: {error.message}{hint}", "red")
        for extra in excerpt(error):
            line(extra)
    return {"file": name, "valid": False, "problems": [shown]}


def _checked(file: Loaded, problems: list[Problem], *, as_json: bool) -> dict[str, Any]:
    shown = []
    for problem in sorted(problems, key=lambda problem: astuple(file.source.position(problem.path))):
        shown.append({**problem.to_json(), **asdict(file.source.position(problem.path))})
        if not as_json:
            line(file.line(problem), "red" if problem.severity == "error" else "yellow")
    valid = all(problem.severity != "error" for problem in problems)
    return {"file": file.name, "valid": valid, "problems": shown}


def _summary(reports: list[dict[str, Any]], failed: int) -> None:
    problems = [problem for report in reports for problem in report["problems"]]
    errors = sum(problem["severity"] == "error" for problem in problems)
    warnings = counted(len(problems) - errors, "warning")
    if failed:
        note(
            f"{counted(errors, 'error')}, {warnings} in {failed} of {counted(len(reports), 'file')}",
            "bold red",
        )
    else:
        note(f"{counted(len(reports), 'file')} valid" + (f", {warnings}" if problems else ""), "green")


def graph(file: options.DefinitionFile) -> None:
    """Draw a definition as Mermaid text; a broken one as far as it goes."""
    from orchestrator.drawing.mermaid import mermaid

    value = read_json(file).value
    typer.echo(mermaid(value if isinstance(value, dict) else {}), nl=False)
