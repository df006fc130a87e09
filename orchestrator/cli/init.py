"""`init`: make a project with a workflow, its tests, an own action, and a check for CI."""

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import options
from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import print_line, print_note, print_result

SUFFIX = "_actions"
"""Ending of the module with the actions, so that it has the name of no other package."""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder to create; the current one by default.")
    ] = Path(),
    as_json: options.Json = False,
) -> None:
    """Make a project: a workflow with tests, an action, a CI file.

    Files that exist are kept, and listed.
    """
    from orchestrator.cli.project_files import FILES

    place = folder.resolve()
    project = re.sub(r"[^a-z0-9]+", "-", place.name.lower()).strip("-") or "project"
    words = project.replace("-", "_")
    module = f"{words if words[0].isalpha() else f'my_{words}'}{SUFFIX}"
    files = {
        place / path.replace("NAME", module): content.replace("NAME", module).replace("PROJECT", project)
        for path, content in FILES.items()
    }
    kept = [file for file in files if file.exists()]
    missing = {file: content for file, content in files.items() if file not in kept}
    if not missing:
        raise UsageError(f"{place} has all files of a project already", hint="choose another folder")
    try:
        for file, content in missing.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to {place}: {error.strerror}") from None
    document = {"folder": str(place), "files": [*map(str, missing)], "kept": [*map(str, kept)]}
    print_result(str(place), document, as_json=as_json)
    if not as_json:
        for file in missing:
            print_line(f"  {file.relative_to(place)}")
        if kept:
            print_note(f"kept as they were: {', '.join(str(file.relative_to(place)) for file in kept)}", "yellow")
        _suggest_commands(place)


def _suggest_commands(place: Path) -> None:
    print_note("try it:")
    if place != Path.cwd():
        print_note(f"  cd {shlex.quote(str(place))}")
    for command in (
        "orchestrator validate workflows --local",
        "orchestrator test workflows/greeting.yaml",
        'orchestrator run workflows/greeting.yaml --input \'{"name": "Ada"}\' --server embedded',
    ):
        print_note(f"  {command}")
    print_note("start `orchestrator dev` in this folder: its API and its worker know the action")
