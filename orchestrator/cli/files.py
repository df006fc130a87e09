"""Read what the caller names: files, stdin, JSON on the command line. Every fault says where it is."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cli.failures import UsageError
from orchestrator.errors import Problem
from orchestrator.jsontools.source import JsonSyntaxError, Source, parse_json
from orchestrator.jsontools.suggestions import did_you_mean

MAX_BYTES = 32 * 1024 * 1024
"""Nobody writes a larger definition, and a wrong path should not fill the memory."""
STDIN = "-"


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A JSON file that has been read."""

    name: str
    source: Source

    @property
    def value(self) -> Any:
        """Give what the file says."""
        return self.source.value

    def locate(self, pointer: str) -> str:
        """Say where a JSON Pointer leads: `file:line:column`."""
        position = self.source.locate(pointer)
        return f"{self.name}:{position.line}:{position.column}"

    def format_problem(self, problem: Problem) -> str:
        """Show a problem the way compilers do, so that editors can jump to it."""
        hint = f" ({problem.hint})" if problem.hint else ""
        return f"{self.locate(problem.path)}: {problem.severity} {problem.code}: {problem.message}{hint}"


def read_text(name: str) -> str:
    """Read a file, or stdin for `-`; raises UsageError."""
    raw = sys.stdin.buffer.read(MAX_BYTES + 1) if name == STDIN else _read_file(Path(name))
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{name} is larger than {MAX_BYTES // 2**20} MiB", hint="is this the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = "save the file as UTF-8"
        raise UsageError(f"byte {error.start} is no UTF-8", where=f"{name}:{line}", hint=hint) from None


def _read_file(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder", hint="name the files in it")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}", hint=_suggest_file(path)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path} cannot be read: {reason}") from None


def _suggest_file(path: Path) -> str | None:
    """Guess which file was meant."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either"
    return did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()), f"{path.parent}/")


def read_json(name: str) -> LoadedFile:
    """Read a JSON file; raises JsonSyntaxError with `file:line:column` or UsageError."""
    label = "<stdin>" if name == STDIN else name
    try:
        return LoadedFile(label, parse_json(read_text(name)))
    except JsonSyntaxError as error:
        raise locate_in_file(error, label) from None


def locate_in_file(error: JsonSyntaxError, name: str) -> JsonSyntaxError:
    """Say in which file it is."""
    moved = JsonSyntaxError(error.message, error.position, error.line, error.hint)
    moved.where = f"{name}:{error.where}"
    return moved


def parse_json_argument(text: str | None, option: str) -> Any:
    """Read JSON given on the command line, or in a file named as `@file`."""
    if text is None:
        return None
    if text.startswith("@"):
        return read_json(text[1:]).value
    try:
        return parse_json(text).value
    except JsonSyntaxError as error:
        hint = error.hint or f'write {option} \'{{"key": "value"}}\', or {option} @file for a file'
        raise UsageError(f"{option} is no JSON: {error.message}", where=error.where, hint=hint) from None


def read_yaml(name: str) -> Any:
    """Read a YAML file (JSON is YAML too); raises UsageError."""
    import yaml

    text = read_text(name)
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise UsageError(f"this is no YAML: {error.problem}", where=where) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"this is no YAML: {error}", where=name) from None
