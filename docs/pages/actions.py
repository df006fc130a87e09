"""Generate docs/actions.md from its template and the registry: `python -m docs.pages.actions > docs/actions.md`."""

import json
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from activities import load_builtin_registry
from activities.registry import ActionSpec
from docs.pages.markdown import fill_template, format_table
from orchestrator.model.plan import DEFAULT_TIMEOUT_SECONDS

TYPES = {
    "": "any",
    "array": "list",
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "object": "object",
    "string": "text",
}
"""The types of JSON Schema in the words of error messages."""
TEMPLATE = Path(__file__).with_suffix(".md")


def generate_page() -> str:
    """Return the whole page."""
    return fill_template(TEMPLATE, {"actions": "".join(map(_describe_action, load_builtin_registry()))})


def _describe_action(spec: ActionSpec) -> str:
    schemas = spec.describe()
    parameters, result = schemas["parameters"], schemas["result"]
    placement = "Runs as a local activity" if spec.execution == "local" else "Runs as an activity"
    heartbeat = f", heartbeat timeout {spec.heartbeat_seconds:g} s" if spec.heartbeat_seconds else ""
    timeout = f"Timeout of an attempt: {spec.timeout_seconds or DEFAULT_TIMEOUT_SECONDS:g} s{heartbeat}."
    paragraphs = [
        f"\n### {spec.name}",
        spec.description,
        f"{placement}. {timeout}",
        format_table(
            ("parameter", "type", "description"),
            _iterate_properties(parameters, required=parameters.get("required", ())),
        ),
    ]
    if result and result.get("properties"):
        paragraphs.append(format_table(("result", "type", "description"), _iterate_properties(result)))
    return "\n\n".join(paragraphs) + "\n"


def _iterate_properties(schema: dict[str, Any], *, required: Collection[str] = ()) -> Iterator[tuple[str, str, str]]:
    for name, value in schema.get("properties", {}).items():
        default = value.get("default")
        texts = [
            "**Required.**" if name in required else "",
            value.get("description", ""),
            f"Default `{_format_default(default)}`." if default not in (None, [], {}, "") else "",
        ]
        yield f"`{name}`", _name_type(value), " ".join(filter(None, texts))


def _format_default(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _name_type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        names = (_name_type(one) for one in schema["anyOf"] if one.get("type") != "null")
        return " or ".join(dict.fromkeys(names))
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    return "object" if "$ref" in schema else TYPES[schema.get("type", "")]


if __name__ == "__main__":
    sys.stdout.write(generate_page())
