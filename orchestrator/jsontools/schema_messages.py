"""Word JSON Schema errors for people: `must be a whole number, not text`."""

import json
from collections.abc import Callable
from typing import Any

from jsonschema.exceptions import SchemaError, ValidationError

from orchestrator.jsontools.json_types import describe_type, describe_value
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.jsontools.text import shorten

Error = ValidationError | SchemaError

MAX_VALUE = 60
"""Characters of a value in a message."""
TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
FORMATS = {"regex": "regular expression", "uri": "URI", "uri-reference": "URI reference"}
DESCRIPTIONS: dict[str, Callable[[Error], str]] = {
    "type": lambda error: f"must be {_join_types(_limit(error))}, not {describe_type(error.instance)}",
    "enum": lambda error: f"must be one of {join_names(map(_show, _limit(error)))}",
    "const": lambda error: f"must be {_show(_limit(error))}",
    "minimum": lambda error: f"must be at least {_show(_limit(error))}",
    "maximum": lambda error: f"must be at most {_show(_limit(error))}",
    "exclusiveMinimum": lambda error: f"must be greater than {_show(_limit(error))}",
    "exclusiveMaximum": lambda error: f"must be less than {_show(_limit(error))}",
    "multipleOf": lambda error: f"must be a multiple of {_show(_limit(error))}",
    "minLength": lambda error: _describe_size(error, "at least", "character"),
    "maxLength": lambda error: _describe_size(error, "at most", "character"),
    "minItems": lambda error: _describe_size(error, "at least", "item"),
    "maxItems": lambda error: _describe_size(error, "at most", "item"),
    "minProperties": lambda error: _describe_size(error, "at least", "key"),
    "maxProperties": lambda error: _describe_size(error, "at most", "key"),
    "uniqueItems": lambda error: "must not contain the same item twice",
    "contains": lambda error: "has too few or too many items that match `contains`",
    "pattern": lambda error: f"must match the pattern {_show(_limit(error))}",
    "format": lambda error: f"is not a valid {FORMATS.get(_limit(error), _limit(error))}",
    "additionalProperties": lambda error: "this key is not allowed",
    "unevaluatedProperties": lambda error: "has a key that is not allowed",
    "unevaluatedItems": lambda error: "has an item that is not allowed",
    "prefixItems": lambda error: "has an item that is not allowed",
    "items": lambda error: "has too many items",
    "not": lambda error: "matches a schema that `not` excludes",
    "anyOf": lambda error: _describe_alternatives(error),
    "oneOf": lambda error: _describe_alternatives(error) if error.context else "matches several schemas of `oneOf`",
}
"""For each keyword, what is wrong with the value. `required` and `dependentRequired` name their key themselves."""


def describe_schema_error(error: Error) -> str:
    """Return what is wrong with a value, without the words of the library."""
    if error.validator is None:
        return f"{describe_value(error.instance)} is not allowed"
    describe = DESCRIPTIONS.get(str(error.validator))
    return error.message if describe is None else describe(error)


def suggest_for_schema_error(error: Error) -> str | None:
    """Return a hint for a key or a value that looks misspelt."""
    match error.validator:
        case "additionalProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
            hint = f"allowed keys: {join_names(known)}" if known else None
            return did_you_mean(error.path[-1], known) or hint
        case "enum":
            return did_you_mean(error.instance, (item for item in _limit(error) if isinstance(item, str)))
        case "anyOf" | "oneOf":
            causes = _find_causes(error)
            return suggest_for_schema_error(causes[0]) if len(causes) == 1 else None
        case _:
            return None


def _find_causes(error: Error) -> list[Error]:
    """Return the errors of the alternatives whose type fits the value."""
    return [cause for cause in error.context or () if cause.validator != "type" or cause.path]


def _describe_alternatives(error: Error) -> str:
    """Describe the only alternative whose type fits, or all types where none fits."""
    causes = _find_causes(error)
    if not causes:
        names = dict.fromkeys(name for cause in error.context or () for name in _list_types(_limit(cause)))
        return f"must be {_join_types(list(names))}, not {describe_type(error.instance)}"
    if len(causes) == 1 and not causes[0].path:
        return describe_schema_error(causes[0])
    return f"matches none of the schemas of `{error.validator}`"


def _describe_size(error: Error, bound: str, unit: str) -> str:
    count = _limit(error)
    if (count, bound) == (1, "at least"):
        return "must not be empty"
    return f"must have {bound} {count:g} {unit}{'' if count == 1 else 's'}"


def _limit(error: Error) -> Any:
    """Return the value of the keyword in the schema."""
    return error.validator_value


def _list_types(types: Any) -> list[str]:
    return types if isinstance(types, list) else [types]


def _join_types(types: Any) -> str:
    return " or ".join(TYPES.get(name, str(name)) for name in _list_types(types))


def _show(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), MAX_VALUE)
