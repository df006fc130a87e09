"""Commands run in this process, and the names of all commands."""

import logging
from dataclasses import dataclass

from typer.main import get_command
from typer.testing import CliRunner, Result

from orchestrator.cli.commands import app
from tests.cli.shell import Done


@dataclass(frozen=True, slots=True)
class InProcess:
    """Runs commands in this process, which saves the second that a new interpreter needs for its imports."""

    env: dict[str, str]

    def __call__(self, *args: object) -> Done:
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            result = invoke(*map(str, args), env=self.env)
        finally:  # a command sends its log to its own stderr
            root.handlers[:] = handlers
            root.setLevel(level)
        return Done(result.exit_code, result.stdout, result.stderr)


def invoke(*args: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, list(args), env=env)


def list_commands() -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]  # the top is a group
        inner = getattr(command, "commands", None)
        commands += [(name, sub) for sub in inner] if inner else [(name,)]
    return commands
