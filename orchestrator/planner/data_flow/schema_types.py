"""Read JSON Schemas as types. What is not understood is anything."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

from orchestrator.planner.data_flow.types import (
    ANY,
    BOOLEAN,
    LIST,
    MAX_DEPTH,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    Type,
    add_kinds,
    join,
    join_all,
    make_list,
    make_object,
    mark_outside,
    type_of,
)

BY_NAME: Mapping[str, Type] = {
    "null": NULL,
    "boolean": BOOLEAN,
    "number": NUMBER,
    "integer": NUMBER,
    "string": TEXT,
    "array": LIST,
    "object": OBJECT,
}
OUTSIDE = "x-outside"
"""Key of a part of an action's result that someone outside chooses, as `activities.registry` declares it."""
MAX_PARTS = 2_000
"""Parts of a schema, with its `$ref`s expanded, that are read."""


def read_schema(schema: Any, *, closed: bool = False) -> Type:
    """Return the type of what a JSON Schema accepts.

    `closed` is for the schema of a model: its values have all of its properties, and no others.
    """
    return _Reader(schema, closed).read(schema, 0)


class _Reader:
    def __init__(self, root: Any, closed: bool) -> None:
        self.root = root
        self.closed = closed
        self.parts = 0

    def read(self, schema: Any, depth: int) -> Type:
        found = self._read_parts(schema, depth)
        return mark_outside(found) if isinstance(schema, Mapping) and schema.get(OUTSIDE) is True else found

    def _read_parts(self, schema: Any, depth: int) -> Type:
        self.parts += 1
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH or self.parts > MAX_PARTS:
            return ANY
        if "$ref" in schema:
            return self.read(self._resolve(schema["$ref"]), depth + 1)
        if "const" in schema:
            return type_of(schema["const"])
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return join_all(map(type_of, schema["enum"]))
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                return reduce(join, (self.read(part, depth + 1) for part in schema[key]))
        if "allOf" in schema or "not" in schema or "if" in schema:
            return ANY
        names = schema.get("type")
        if isinstance(names, str):
            names = [names]
        if (
            not isinstance(names, list)
            or not names
            or any(not isinstance(name, str) or name not in BY_NAME for name in names)
        ):
            return self._read_object(schema, depth) if names is None and "properties" in schema else ANY
        return reduce(join, (self._read_kind(name, schema, depth) for name in names))

    def _read_kind(self, name: str, schema: Mapping[str, Any], depth: int) -> Type:
        if name == "array" and isinstance(schema.get("items"), Mapping) and "prefixItems" not in schema:
            return make_list(self.read(schema["items"], depth + 1))
        if name == "object":
            return self._read_object(schema, depth)
        return BY_NAME[name]

    def _read_object(self, schema: Mapping[str, Any], depth: int) -> Type:
        properties = schema.get("properties")
        others = schema.get("additionalProperties", not self.closed)
        if not isinstance(properties, Mapping):
            properties = {}
        required = schema.get("required")
        required = required if isinstance(required, list) else []
        fields = {
            name: part if self.closed or name in required else add_kinds(part, "missing")
            for name, part in ((name, self.read(part, depth + 1)) for name, part in properties.items())
        }
        is_closed = others is False and "patternProperties" not in schema
        return make_object(fields, closed=is_closed)

    def _resolve(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return None
        part = self.root
        for key in reference[2:].split("/"):
            part = part.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(part, Mapping) else None
        return part
