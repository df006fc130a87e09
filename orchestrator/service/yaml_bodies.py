"""Read YAML that a client sent, in a process of its own: the library takes seconds of processor time for 256 kB."""

import json
from collections.abc import Sequence
from typing import Any

from orchestrator.jsontools.positions import Position
from orchestrator.jsontools.source import Source
from orchestrator.jsontools.yaml_format import FormatChangesValue, dump_yaml
from orchestrator.jsontools.yaml_source import YamlSyntaxError, parse_yaml

MAX_YAML_BYTES = 262_144
"""Limit of a body in YAML; the same in JSON may be larger."""


def read_yaml(text: str) -> tuple[Any, tuple[str, Position, str, str | None] | None]:
    """Return the value of a YAML text, or the arguments of the YamlSyntaxError that refuses it."""
    try:
        source = parse_yaml(text)
    except YamlSyntaxError as error:
        return None, (error.message, error.position, error.line, error.hint)
    return source.value, None if source.repeated is None else _describe_duplicate(source)


def render_yaml(value: Any) -> str:
    """Return a definition as YAML; as JSON, which is YAML too, where the library cannot write its values."""
    try:
        return dump_yaml(value)
    except FormatChangesValue:
        return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def locate_in_yaml(text: str, pointers: Sequence[str]) -> list[Position]:
    """Return where JSON Pointers lead in a YAML text that `read_yaml` has read."""
    source = parse_yaml(text)
    return [source.locate(each) for each in pointers]


def _describe_duplicate(source: Source) -> tuple[str, Position, str, str | None]:
    first = source.find_duplicates()[0]
    return f"{first.path}: {first.message}", source.locate(first.path), "", first.hint
