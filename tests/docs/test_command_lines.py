"""The commands of the documentation exist, with their options, also where no test can run them."""

import re
import shlex
from typing import Any

import pytest
from typer.main import get_command

from orchestrator.cli.commands import app
from tests.docs.blocks import list_commands, list_pages, read_blocks

LINES = sorted(
    {
        line
        for page in list_pages()
        for block in read_blocks(page)
        if block.language == "console"
        for command in list_commands(block)
        for line in re.findall(r"(?:^|[;&|(] *|\$\()(orchestrator [^;&|()\n]*)", command.text.replace("\\\n", " "))
    }
)


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command and the rest of the line."""
    command: Any = get_command(app)
    while hasattr(command, "commands"):
        assert words, "a group of commands"
        command = command.commands[words[0]]
        words = words[1:]
    return command, words


@pytest.mark.parametrize("line", LINES)
def test_the_command_and_its_options_exist(line: str) -> None:
    command, words = find_command(shlex.split(line.partition(" #")[0].partition(" >")[0])[1:])
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}

    assert [word for word in words if word.startswith("--") and word not in known] == []
