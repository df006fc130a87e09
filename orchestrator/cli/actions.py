"""`actions`: list and describe the actions that nodes can call."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from orchestrator.cli import options
from orchestrator.cli.completion import complete_action
from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import format_json, print_json, print_line, print_table

DEFAULTS = ("execution", "timeout_seconds", "heartbeat_seconds", "retry")
"""Defaults that a node can override."""

app = typer.Typer(help="List and describe the actions that nodes can call.", no_args_is_help=True)


@app.command("list")
def list_actions(as_json: options.Json = False) -> None:
    """List the registered actions."""
    from orchestrator.cli.environment import load_actions

    schema = load_actions().describe()
    if as_json:
        print_json(schema)
    else:
        print_table(
            ("action", "description"), [(entry["name"], entry["description"].partition("\n")[0]) for entry in schema]
        )


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ACTION", help="The action's name.", autocompletion=complete_action)],
    as_json: options.Json = False,
) -> None:
    """Show an action's parameters, result and defaults."""
    from orchestrator.cli.environment import load_actions
    from orchestrator.jsontools.suggestions import did_you_mean

    known = load_actions()
    spec = known.get(name)
    if spec is None:
        raise UsageError(f"unknown action {name!r}", hint=did_you_mean(name, known.list_names()))
    schema = spec.describe()
    if as_json:
        print_json(schema)
        return
    print_line(schema["name"], "bold")
    print_line(schema["description"])
    for title in ("parameters", "result"):
        print_line()
        print_line(title, "bold")
        print_table(("name", "type", "default", "description"), list(_list_fields(schema[title] or {})))
    print_line()
    print_line("defaults", "bold")
    print_table(("name", "value"), [(key, format_json(schema[key])) for key in DEFAULTS])


def _list_fields(schema: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each property of a schema."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in required else format_json(field.get("default"))
        yield name, _describe_type(field), default, field.get("description", "")


def _describe_type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    options = [_describe_type(option) for option in field.get("anyOf", ()) if option.get("type") != "null"]
    if options:
        return " | ".join(dict.fromkeys(options))
    kind = field.get("type") or field.get("$ref", "any").rpartition("/")[2]
    return f"{kind} of {_describe_type(field['items'])}" if kind == "array" and field.get("items") else str(kind)
