"""`fmt`: format definitions in JSON or YAML, with the comments of YAML."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import options
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import STDIN, LoadedFile, list_definition_files, parse_loaded, read_text
from orchestrator.cli.output import print_line, print_note
from orchestrator.cli.planning import format_count

Check = Annotated[bool, typer.Option("--check", help="Change nothing; exit with 1 if a file is not formatted.")]


def fmt(files: options.DefinitionPaths, check: Check = False) -> None:
    """Format definitions in place; comments are kept.

    Indentation is even, and short objects are on one line. `-` formats stdin to stdout.
    """
    changed = 0
    names = list_definition_files(files)
    for name in names:
        text = read_text(name)
        formatted = format_text(parse_loaded(name, text))
        if name == STDIN and not check:
            sys.stdout.write(formatted)
        elif formatted != text:
            changed += 1
            print_line(name)
            if not check:
                _write(Path(name), formatted)
    verb = "would be formatted" if check else "formatted"
    print_note(f"{changed} of {format_count(len(names), 'file')} {verb}", "bold red" if check and changed else "green")
    if check and changed:
        raise typer.Exit(FAILED)


def format_text(file: LoadedFile) -> str:
    """Return the formatted text of a file; raises UsageError."""
    from orchestrator.jsontools.json_format import format_json_document
    from orchestrator.jsontools.json_values import MAX_DEPTH, TOO_DEEP, is_deeper
    from orchestrator.jsontools.yaml_format import FormatChangesValue, format_yaml

    for problem in file.source.find_duplicates():
        raise UsageError(problem.message, where=file.locate(problem.path), hint=problem.hint)
    if is_deeper(file.value, MAX_DEPTH):
        raise UsageError(f"the file cannot be formatted: {TOO_DEEP}", where=file.name)
    if file.source.layout is None:
        return format_json_document(file.value)
    if file.value is None:
        raise UsageError("the file is empty", where=file.name)
    try:
        return format_yaml(file.source.text)
    except FormatChangesValue:
        hint = "simplify its anchors and comments"
        raise UsageError("the file cannot be formatted without a change", where=file.name, hint=hint) from None


def _write(path: Path, text: str) -> None:
    """Replace a file at once, with its permissions."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8", newline="")
        beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
