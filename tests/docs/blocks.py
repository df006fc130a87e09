"""Read the code blocks of a page, and the remarks for its tests that readers do not see.

A paragraph that is only `` `name`: `` names the file of the block that follows. A comment in front of a block of
commands says `<!-- exit code 1 -->` for its last command, or why no test runs it: `<!-- not run: it needs Docker -->`.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "docs" / "pages"
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"(?:^|\n)`(?P<file>[\w./-]+)`:\n\n$")
COMMENT = re.compile(r"<!-- (?P<remark>[^>]*) -->\n$")
NOT_RUN = "not run: "
EXIT_CODE = "exit code "


@dataclass(frozen=True, slots=True)
class Block:
    """A code block."""

    page: str
    line: int
    language: str
    text: str
    file: str | None
    """The file that the page calls it."""
    remark: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """A command as one types it, and the output that the page shows."""

    text: str
    output: str
    exit_code: int


def list_pages() -> list[Path]:
    """Return the pages that people read."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(page for page in pages if TEMPLATES not in page.parents)


def read_blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order."""
    text = page.read_text()
    blocks = []
    for match in FENCE.finditer(text):
        before = text[: match.start()]
        remark = COMMENT.search(before)
        file = FILE.search(before)
        indent = match["indent"]
        content = "".join(line.removeprefix(indent) for line in match["text"].splitlines(keepends=True))
        blocks.append(
            Block(
                str(page.relative_to(ROOT)),
                before.count("\n") + 1,
                match["language"],
                content,
                file and file["file"],
                remark["remark"] if remark else "",
            )
        )
    return blocks


def list_commands(block: Block) -> list[Command]:
    """Return the commands of a block, each with its output."""
    parts = list(_split_commands(block.text))
    last = int(block.remark.removeprefix(EXIT_CODE)) if block.remark.startswith(EXIT_CODE) else 0
    return [
        Command(command, output, last if number == len(parts) else 0)
        for number, (command, output) in enumerate(parts, 1)
    ]


def _split_commands(text: str) -> Iterator[tuple[str, str]]:
    command, output = "", ""
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, output
            command, output = line.removeprefix("$ "), ""
        elif _is_unfinished(command):
            command += f"\n{line}"
        else:
            output += f"{line}\n"
    if command:
        yield command, output


def _is_unfinished(command: str) -> bool:
    """Return whether a shell would ask for another line."""
    if command.endswith("\\"):
        return True
    return subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False).returncode != 0
