"""Pieces of the JSON Schema for editors that its parts share."""

from collections.abc import Iterable
from typing import Any

from orchestrator.model.run import RESERVED_NAMES
from orchestrator.timing.cron import ALIASES

Schema = dict[str, Any]
EMPTY: Schema = {"enum": [None, "", 0, [], {}], "doNotSuggest": True}
"""A key that exporters write for every node. VS Code suggests none of these values."""
TEMPLATE: Schema = {"type": "string", "pattern": r"\{\{", "doNotSuggest": True}
FILLED: Schema = {"not": {"enum": [None, "", {}]}}
NOT_EMPTY: Schema = {"not": EMPTY}
NUMBER: Schema = {"type": ["number", "string"]}
"""A number, also as text or a template."""


def refer(name: str) -> Schema:
    """Return a reference to one of the definitions."""
    # Draft 7 ignores what is beside a `$ref`.
    return {"allOf": [{"$ref": f"#/definitions/{name}"}]}


def may_be_empty(schema: Schema) -> Schema:
    """Return a schema that allows an empty value too."""
    return {"anyOf": [schema, EMPTY]}


def choose(values: Iterable[str]) -> Schema:
    """Return the schema of a key with fixed values, or an empty one."""
    return may_be_empty({"enum": list(values)})


CRON: Schema = {
    "type": "string", "pattern": rf"^\s*({'|'.join(ALIASES)}|\S+(\s+\S+){{4}})\s*$|^$",
}  # fmt: skip
NOT_RESERVED: Schema = {"not": {"enum": sorted(RESERVED_NAMES)}}
