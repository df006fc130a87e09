"""Every link of the documentation leads somewhere, and every page can be reached from README."""

import re
import unicodedata
from pathlib import Path

import pytest

from tests.docs.blocks import FENCE, ROOT, list_pages

LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)
PAGES = list_pages()


def read_prose(page: Path) -> str:
    """Return the text of a page without its code blocks."""
    return FENCE.sub("", page.read_text())


def list_links(page: Path) -> list[str]:
    text = re.sub(r"(?<!`)`[^`\n]+`(?!`)(?!\])", "", read_prose(page))
    return [match["target"] for match in LINK.finditer(text)]


def list_anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as Git hosts make them."""
    anchors: set[str] = set()
    for match in HEADING.finditer(read_prose(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match["text"]).lower()
        slug = "".join(letter for letter in plain if letter in "- _" or unicodedata.category(letter)[0] in "LN")
        slug = slug.replace(" ", "-")
        number = 1
        unique = slug
        while unique in anchors:
            unique, number = f"{slug}-{number}", number + 1
        anchors.add(unique)
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in list_links(page):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in list_anchors(file)):
            broken.append(link)

    assert broken == []


def test_every_page_can_be_reached_from_readme() -> None:
    reached: set[Path] = set()
    pending = [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in list_links(page) if ":" not in link]
        pending += [target for target in targets if target.suffix == ".md" and target.exists()]

    assert sorted(set(PAGES) - reached) == []
