"""Format YAML with its comments, by the round-trip loader of ruamel.yaml. No I/O here."""

import io
from typing import Any

from ruamel.yaml import YAML

from orchestrator.jsontools.yaml_source import parse_yaml

WIDTH = 120


class FormatChangesValue(ValueError):
    """The formatted text would not have the value of the text."""


def format_yaml(text: str) -> str:
    """Return the text with even indentation, and with its comments, quotes and order of keys.

    Raises YamlSyntaxError, and FormatChangesValue if the library would change the value.
    """
    value = parse_yaml(text).value
    formatted = _dump(text)
    if parse_yaml(formatted).value != value or _dump(formatted) != formatted:
        raise FormatChangesValue
    return formatted


def dump_yaml(value: Any) -> str:
    """Return a JSON value as YAML in block form; raises FormatChangesValue for what the library cannot write."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = WIDTH
    yaml.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    yaml.dump(value, stream)
    if parse_yaml(stream.getvalue()).value != value:
        raise FormatChangesValue
    return stream.getvalue()


def _dump(text: str) -> str:
    yaml: Any = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(yaml.load(text), stream)
    return stream.getvalue()
