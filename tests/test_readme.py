"""The commands and outputs of the README are real."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from activities import load_builtin_registry
from orchestrator.cli.commands import app
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import simulate

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    shlex.split(line.partition("#")[0].removeprefix("$ ").strip())
    for kind, text in BLOCKS
    if kind == "console"
    for line in text.replace("\\\n", " ").splitlines()
    if line.startswith("$ ")
]


def test_the_definition_is_whole() -> None:
    definition = json.loads(next(text for kind, text in BLOCKS if kind == "json"))

    assert check(definition, registry=load_builtin_registry()).problems == []
    assert simulate(definition, input={"what": "milk"}).status == "completed"


@pytest.mark.parametrize("command", [words for words in COMMANDS if words[0] == "make"], ids=" ".join)
def test_make_has_the_target(command: list[str]) -> None:
    assert f"\n{command[1]}:" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("command", [words for words in COMMANDS if words[0] == "orchestrator"], ids=" ".join)
def test_the_command_exists(command: list[str]) -> None:
    names = get_command(app).commands  # type: ignore[attr-defined]  # a group

    assert command[1] in names


@pytest.mark.parametrize("name", ["validate", "simulate", "test"])
def test_the_commands_that_need_no_server_do_as_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = next(words for words in COMMANDS if words[:2] == ["orchestrator", name])
    paths = [str(path) for word in words[1:] for path in (sorted(Path().glob(word)) if "*" in word else [word])]

    result = CliRunner().invoke(app, paths)

    # The saga's car booking fails, as its mocks say, and so the run fails.
    assert result.exit_code == (1 if name == "simulate" else 0), result.output


@pytest.mark.parametrize("target", re.findall(r"\]\((docs/[^)]+)\)", README))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
