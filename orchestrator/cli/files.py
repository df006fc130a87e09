"""Read files, stdin, and JSON on the command line. Every error names its file, line and column."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.cli.failures import UsageError
from orchestrator.errors import Problem
from orchestrator.jsontools.source import JsonSyntaxError, Source, parse_json
from orchestrator.jsontools.suggestions import did_you_mean

MAX_BYTES = 32 * 1024 * 1024
"""Limit of a file: far above any definition, and a wrong path must not fill the memory."""
STDIN = "-"
INPUT_SUFFIX = ".input.json"
"""Ending of files beside a definition that hold an input."""
YAML_TIMESTAMP = "tag:yaml.org,2002:timestamp"
YAML_ONLY = {YAML_TIMESTAMP, *(f"tag:yaml.org,2002:{name}" for name in ("binary", "set", "omap", "pairs"))}
"""Tags of values that JSON does not have."""


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A JSON file that has been read."""

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
    """Return the files that arguments name; a folder stands for the definitions in it. Raises UsageError."""
    found: list[str] = []
    for name in names:
        if name == STDIN or not Path(name).is_dir():
            found.append(name)
            continue
        inside = [str(path) for path in sorted(Path(name).rglob("*.json")) if _is_definition(path, Path(name))]
        if not inside:
            raise UsageError(
                f"there are no definitions in {Path(name).resolve()}", hint="they are JSON objects with `nodes`"
            )
        found += inside
    return list(dict.fromkeys(found))


def _is_definition(path: Path, folder: Path) -> bool:
    """Return whether a file is meant to be a definition; one that is not valid JSON is, so that it is reported."""
    if any(part.startswith(".") for part in path.relative_to(folder).parts) or path.name.endswith(INPUT_SUFFIX):
        return False
    try:
        value = parse_json(path.read_text("utf-8-sig")).value
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
    """Read a JSON file; raises UsageError, or JsonSyntaxError with `file:line:column`."""
    label = "<stdin>" if name == STDIN else name
    try:
        return LoadedFile(label, parse_json(read_text(name)))
    except JsonSyntaxError as error:
        raise locate_in_file(error, label) from None


def locate_in_file(error: JsonSyntaxError, name: str) -> JsonSyntaxError:
    """Return the error with its file in front of line and column."""
    moved = JsonSyntaxError(error.message, error.position, error.line, error.hint)
    moved.where = f"{name}:{error.where}"
    return moved


def parse_json_argument(text: str | None, option: str) -> Any:
    """Parse an argument: JSON, or `@file` for a file that holds it."""
    if text is None:
        return None
    if text.startswith("@"):
        return read_json(text[1:]).value
    try:
        return parse_json(text).value
    except JsonSyntaxError as error:
        hint = error.hint or f'write {option} \'{{"key": "value"}}\', or {option} @file to read a file'
        raise UsageError(f"{option} is not valid JSON: {error.message}", where=error.where, hint=hint) from None


@cache
def _create_yaml_loader() -> Any:
    """Return a SafeLoader that knows the types of JSON only: PyYAML reads `2026-03-01` as a date (YAML 1.1)."""
    import yaml

    class JsonTypesLoader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 - declared by the base class
            first: [(tag, pattern) for tag, pattern in resolvers if tag != YAML_TIMESTAMP]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }
        yaml_constructors = {  # noqa: RUF012 - declared by the base class
            tag: construct for tag, construct in yaml.SafeLoader.yaml_constructors.items() if tag not in YAML_ONLY
        }

    return JsonTypesLoader


def read_yaml(name: str) -> Any:
    """Read a YAML file (JSON is YAML too); raises UsageError. A date is text, as in YAML 1.2."""
    import yaml

    text = read_text(name)
    try:
        return yaml.load(text, _create_yaml_loader())  # noqa: S506 - a subset of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise UsageError(f"invalid YAML: {error.problem}", where=where) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"invalid YAML: {error}", where=name) from None
