"""`actions`: what nodes can call."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import document, line, pretty, table

DEFAULTS = ("execution", "timeout_seconds", "heartbeat_seconds", "retry")
"""What a node may say otherwise."""

app = typer.Typer(help="Actions that nodes can call.", no_args_is_help=True)


@app.command("list")
def list_actions(as_json: options.Json = False) -> None:
    """List the registered actions."""
    from orchestrator.cli.environment import registry

    known = registry()
    found = [spec.schema() for spec in known]
    if as_json:
        document(found)
    else:
        table(("action", "does"), [(entry["name"], entry["description"].partition("\n")[0]) for entry in found])


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ACTION", help="The action's name.")],
    as_json: options.Json = False,
) -> None:
    """Show an action's parameters, result and defaults."""
    from orchestrator.cli.environment import registry
    from orchestrator.jsontools.suggestions import did_you_mean

    known = registry()
    spec = known.get(name)
    if spec is None:
        raise UsageError(f"there is no action {name!r}", hint=did_you_mean(name, known.names()))
    found = spec.schema()
    if as_json:
        document(found)
        return
    line(found["name"], "bold")
    line(found["description"])
    for title in ("parameters", "result"):
        line()
        line(title, "bold")
        table(("name", "type", "default", "meaning"), list(_fields(found[title] or {})))
    line()
    line("defaults", "bold")
    table(("name", "value"), [(key, pretty(found[key])) for key in DEFAULTS])


def _fields(schema: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Give a row for each property of a schema."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in required else pretty(field.get("default"))
        yield name, _type(field), default, field.get("description", "")


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    options = [_type(option) for option in field.get("anyOf", ()) if option.get("type") != "null"]
    if options:
        return " | ".join(dict.fromkeys(options))
    kind = field.get("type") or field.get("$ref", "any").rpartition("/")[2]
    return f"{kind} of {_type(field['items'])}" if kind == "array" and field.get("items") else str(kind)
