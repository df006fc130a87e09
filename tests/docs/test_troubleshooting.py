"""The messages that docs/troubleshooting.md quotes are those of the program."""

import re

import pytest

from tests.docs.blocks import ROOT

SOURCES = "\n".join(
    path.read_text()
    for folder in ("orchestrator", "activities", "api")
    for path in sorted((ROOT / folder).rglob("*.py"))
) + (ROOT / "Makefile").read_text()  # fmt: skip
QUOTES = re.findall(r'^### "(.+)"$', (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("quote", QUOTES)
def test_the_program_says_what_the_page_quotes(quote: str) -> None:
    parts = [part.strip(" :") for part in re.split("…|: ", quote)]
    words = [part.removesuffix(".orchestrator").strip() for part in parts if part]

    assert [part for part in words if part not in SOURCES and not part.startswith("Address already")] == []
