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


def _dump(text: str) -> str:
    yaml: Any = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(yaml.load(text), stream)
    return stream.getvalue()
