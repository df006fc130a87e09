"""Read files and stdin, in JSON or YAML, and JSON on the command line. Every error names its file, line and column."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cli.failures import UsageError
from orchestrator.errors import Problem
from orchestrator.jsontools.documents import YAML_ENDINGS, parse_document
from orchestrator.jsontools.source import JsonSyntaxError, Source, parse_json
from orchestrator.jsontools.suggestions import did_you_mean

MAX_BYTES = 32 * 1024 * 1024
"""Limit of a file: far above any definition, and a wrong path must not fill the memory."""
STDIN = "-"
DEFINITION_ENDINGS = (".json", *YAML_ENDINGS)
SIDE_FILES = (".input", ".actions", ".tests")
"""Second endings of files beside a definition, such as `order.input.json`."""


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file in JSON or YAML that has been read."""

    name: str
    source: Source

    @property
    def value(self) -> Any:
        """The parsed JSON value."""
        return self.source.value

    def locate(self, pointer: str) -> str:
        """Return where a JSON Pointer leads, as `file:line:column`."""
        position = self.source.locate(pointer)
        return f"{self.name}:{position.line}:{position.column}"

    def format_problem(self, problem: Problem) -> str:
        """Format a problem like a compiler does, so that editors can jump to it."""
        hint = f" ({problem.hint})" if problem.hint else ""
        return f"{self.locate(problem.path)}: {problem.severity} {problem.code}: {problem.message}{hint}"


def read_text(name: str) -> str:
    """Read a file, or stdin for `-`; raises UsageError."""
    raw = sys.stdin.buffer.read(MAX_BYTES + 1) if name == STDIN else _read_file(Path(name))
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{name} is larger than {MAX_BYTES // 2**20} MiB", hint="check that this is the right file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = "save the file as UTF-8"
        raise UsageError(f"the file is not UTF-8 (byte {error.start})", where=f"{name}:{line}", hint=hint) from None


def _read_file(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder", hint="name a file in it")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"file {path} does not exist", hint=_suggest_file(path)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read {path}: {reason}") from None


def list_definition_files(names: Iterable[str]) -> list[str]:
    """Return the files that arguments name; for a folder, the definitions in it. Raises UsageError."""
    found: list[str] = []
    for name in names:
        if name == STDIN or not Path(name).is_dir():
            found.append(name)
            continue
        inside = [str(path) for path in sorted(Path(name).rglob("*")) if _is_definition(path, Path(name))]
        if not inside:
            raise UsageError(
                f"there are no definitions in {Path(name).resolve()}",
                hint="they are objects with `nodes`, in JSON or YAML",
            )
        found += inside
    return list(dict.fromkeys(found))


def _is_definition(path: Path, folder: Path) -> bool:
    """Return whether a file is meant to be a definition; one that cannot be parsed is, so that it is reported."""
    if path.suffix not in DEFINITION_ENDINGS or path.stem.endswith(SIDE_FILES):
        return False
    if any(part.startswith(".") for part in path.relative_to(folder).parts):
        return False
    try:
        value = parse_document(path.read_text("utf-8-sig"), path.name).value
    except (OSError, ValueError, JsonSyntaxError):
        return True
    return isinstance(value, dict) and "nodes" in value


def _suggest_file(path: Path) -> str | None:
    """Return a hint with the closest file name."""
    if not path.parent.is_dir():
        return f"folder {path.parent} does not exist either"
    return did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()), f"{path.parent}/")


def require_writable(path: Path, option: str) -> None:
    """Raise UsageError where an option names a file that cannot be written."""
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder", hint="name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"the folder of {option}, {path.parent}, does not exist")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"cannot write {option} {path}: permission denied")


def read_json(name: str) -> LoadedFile:
    """Read a JSON value from a file in JSON or YAML; raises UsageError, or JsonSyntaxError with `file:line:column`."""
    return parse_loaded(name, read_text(name))


def parse_loaded(name: str, text: str) -> LoadedFile:
    """Parse the text of a file; raises JsonSyntaxError with `file:line:column`."""
    label = "<stdin>" if name == STDIN else name
    try:
        return LoadedFile(label, parse_document(text, label))
    except JsonSyntaxError as error:
        raise locate_in_file(error, label) from None


def locate_in_file(error: JsonSyntaxError, name: str) -> JsonSyntaxError:
    """Return the error with its file in front of line and column."""
    moved = type(error)(error.message, error.position, error.line, error.hint)
    moved.where = f"{name}:{error.where}"
    return moved


def parse_json_argument(text: str | None, option: str) -> Any:
    """Parse an argument: JSON, or `@file` for a file that holds it."""
    if text is None:
        return None
    if text.startswith("@"):
        return read_value(text[1:])
    try:
        return parse_json(text).value
    except JsonSyntaxError as error:
        hint = error.hint or f'write {option} \'{{"key": "value"}}\', or {option} @file to read a file'
        raise UsageError(f"{option} is not valid JSON: {error.message}", where=error.where, hint=hint) from None


def read_value(name: str) -> Any:
    """Return the value of a file of mocks, cases or input; raises UsageError for duplicate keys."""
    file = read_json(name)
    for problem in file.source.find_duplicates():
        raise UsageError(problem.message, where=file.locate(problem.path), hint=problem.hint)
    return file.value
