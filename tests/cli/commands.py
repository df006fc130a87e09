"""Commands run in this process, and the names of all commands."""

import logging
import time
from dataclasses import dataclass

from typer.main import get_command
from typer.testing import CliRunner, Result

from orchestrator.cli.commands import app
from orchestrator.cli.failures import NO_SERVER
from tests.cli.shell import SECONDS, Done

NOT_TAKEN = "error: no worker answers"
"""Said of an operation on a run that its busy worker did not take within seconds; nothing has been done then."""


@dataclass(frozen=True, slots=True)
class InProcess:
    """Runs commands in this process, which saves the second that a new interpreter needs for its imports."""

    env: dict[str, str]

    def __call__(self, *args: object) -> Done:
        """Run a command, and again while a worker that is only busy did not take the operation in time."""
        deadline = time.monotonic() + SECONDS
        while (done := self._run_once(*args)).code == NO_SERVER and NOT_TAKEN in done.err:
            assert time.monotonic() < deadline, done.err
        return done

    def _run_once(self, *args: object) -> Done:
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
