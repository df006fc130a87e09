"""Turn the JSON Schema of an action's parameters into what a definition may hold for them.

A template may stand for any value that is not text, and for text with a form of its own; text may be a number, whose
text is taken. Schemas of pydantic are of draft 2020-12; an editor's are of draft 7.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.planner.parameter_checks import TEMPLATES

Schema = dict[str, Any]
HAS_TEMPLATE: Schema = {"type": "string", "pattern": r"\{\{", "doNotSuggest": True}
SCALAR_TEXT = ("string", "number", "boolean")
LAX: dict[str, str] = {
    "number": r"^\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*$|\{\{",
    "integer": r"^\s*[-+]?[0-9]+(\.0+)?\s*$|\{\{",
    "boolean": r"^([tT]rue|TRUE|[fF]alse|FALSE|[01]|[yYnN]|[yY]es|[nN]o|[oO]n|[oO]ff|[tTfF])$|\{\{",
}
"""Text that pydantic reads as a value of another type, or that a template computes."""


def list_definitions(actions: Iterable[Mapping[str, Any]]) -> dict[str, Schema]:
    """Return the parts that the schemas of actions refer to, by names of their own."""
    return {
        f"{action['name']}.{name}": _convert(part, action["name"])
        for action in actions
        for name, part in action.get("parameters", {}).get("$defs", {}).items()
    }


def build_parameter_schema(action: Mapping[str, Any]) -> Schema:
    """Return what a node, or another call, that names an action needs in its `config`."""
    source = action.get("parameters", {})
    properties = {
        name: {**_convert(part, action["name"]), "description": part.get("description", "")}
        for name, part in source.get("properties", {}).items()
    }
    config: Schema = {"type": "object", "properties": properties}
    if source.get("additionalProperties") is False:
        config["additionalProperties"] = False
        # A key may be a template.
        config["patternProperties"] = {r"\{\{": {}}
    required = list(source.get("required", ()))
    schema: Schema = {"properties": {"config": {**config, "required": required} if required else config}}
    if required:
        schema["required"] = ["config"]
    else:
        schema["properties"]["config"] = {"anyOf": [config, {"enum": [None, "", 0, []], "doNotSuggest": True}]}
    return schema


def _convert(source: Mapping[str, Any], action: str) -> Schema:
    """Return a schema that also takes what a run makes of templates and of scalars."""
    if source.get(TEMPLATES) == "refused":
        return {**_convert_plain(source, action), "not": HAS_TEMPLATE}
    plain = _convert_plain(source, action)
    kind = plain.get("type")
    if kind == "string" and not plain.keys() & {"enum", "const", "pattern", "minLength", "maxLength", "format"}:
        return {**plain, "type": list(SCALAR_TEXT)}
    if kind == "string":
        return {"anyOf": [plain, *([] if "enum" in plain else [{"type": ["number", "boolean"]}]), HAS_TEMPLATE]}
    if isinstance(kind, str) and kind in LAX:
        return {"anyOf": [plain, {"type": "string", "pattern": LAX[kind], "doNotSuggest": True}]}
    if not plain.keys() - {"description", "title", "default"}:
        return plain
    return {"anyOf": [plain, HAS_TEMPLATE]}


def _convert_plain(source: Mapping[str, Any], action: str) -> Schema:
    target: Schema = {}
    for key, value in source.items():
        match key:
            case "$ref":
                target["$ref"] = str(value).replace("#/$defs/", f"#/definitions/{action}.")
            case "properties" | "patternProperties":
                target[key] = {name: _convert(part, action) for name, part in value.items()}
            case "items" | "additionalProperties" | "not" if isinstance(value, Mapping):
                target[key] = _convert(value, action)
            case "prefixItems":
                target["items"] = [_convert(part, action) for part in value]
            case "anyOf" | "oneOf" | "allOf":
                # More than one alternative may take a template.
                target["allOf" if key == "allOf" else "anyOf"] = [_convert(part, action) for part in value]
            case (
                "$defs" | "discriminator" | "title" | "x-templates" | "x-trusted" | "x-outside" | "x-format" | "format"
            ):
                continue
            case _:
                target[key] = value
    return target
