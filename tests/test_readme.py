"""The targets that README and CONTRIBUTING name exist; tests/docs runs their other commands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGETS = sorted(
    {
        target
        for page in ("README.md", "CONTRIBUTING.md", "docs/tutorial.md")
        for target in re.findall(r"(?:^\$ |`)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE)
    }
)


@pytest.mark.parametrize("target", TARGETS)
def test_make_has_the_target(target: str) -> None:
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()
