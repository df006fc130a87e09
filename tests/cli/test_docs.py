"""docs/cli.md is generated from the commands, all of them."""

from pathlib import Path

import pytest

from docs.pages.cli import generate_page
from tests.cli.commands import list_commands

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def test_the_page_is_up_to_date() -> None:
    assert generate_page() == TEXT, "run: python -m docs.pages.cli > docs/cli.md"


@pytest.mark.parametrize("command", list_commands(), ids=" ".join)
def test_every_command_has_a_heading(command: tuple[str, ...]) -> None:
    assert f"### orchestrator {' '.join(command)}\n" in TEXT
