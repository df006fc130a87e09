"""Generate docs/cli.md from its template and the commands: `python -m docs.pages.cli > docs/cli.md`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from orchestrator.cli.commands import app
from orchestrator.cli.examples import EXAMPLES

TEMPLATE = Path(__file__).with_suffix(".md")


def generate_page() -> str:
    """Return the whole page."""
    commands = (
        part for name, command in _list_commands(get_command(app), "orchestrator") for part in _describe(name, command)
    )
    return TEMPLATE.read_text().replace("<!-- commands -->", "\n".join(commands))


def _list_commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _list_commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _describe(name: str, command: Any) -> Iterator[str]:
    """Yield the section of a command: usage, description, and a table of its options."""
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and not param.hidden]
    usage = " ".join([name, *map(_format_argument, arguments)])
    yield f"### {name}\n"
    yield f"`{usage}{' [options]' if options else ''}`\n"
    yield f"{_join_lines(command.help)}\n"
    yield "\n".join(["```sh", *EXAMPLES.get(name.removeprefix("orchestrator "), ()), "```", ""])
    if options:
        yield "| option | description |\n|---|---|"
        yield "\n".join(f"| `{_format_option(param)}` | {_format_help(param)} |" for param in options) + "\n"


def _join_lines(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _format_argument(param: Any) -> str:
    name = f"{param.metavar or param.name.upper()}{'...' if param.nargs == -1 else ''}"
    return name if param.required else f"[{name}]"


def _format_option(param: Any) -> str:
    value = "" if param.is_flag else f" {param.metavar or param.name.upper()}"
    return f"{', '.join([*param.opts, *param.secondary_opts])}{value}".replace("|", "\\|")


def _format_help(param: Any) -> str:
    default = "" if param.is_flag or param.default in (None, "") else f" (`{param.default}`)"
    return f"{param.help}{default}"


if __name__ == "__main__":
    sys.stdout.write(generate_page())
