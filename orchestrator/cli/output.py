"""Print results and messages: the only module that depends on whether stdout is a terminal.

A terminal gets colour and tables (rich), a pipe plain lines with tabs, `--json` one JSON document on stdout.
Everything but the result goes to stderr.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

GAP = 2
"""Spaces between the columns of a table."""
IDS = ("target",)
"""Columns that are never left out, like the first one."""
PROSE = ("description", "reason", "details")
"""Columns for people only: their text is cut where it does not fit."""
MIN_PROSE = 20
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
STYLES = {
    "completed": "green",
    "failed": "red",
    "error": "red",
    "cancelled": "yellow",
    "warning": "yellow",
    "skipped": "dim",
    "running": "cyan",
    "waiting": "blue",
    "retrying": "magenta",
}
"""Colour by status or severity."""


def clean(text: object) -> str:
    """Replace control characters: a name in a run must not send commands to the terminal."""
    return CONTROL.sub("�", str(text))


def show_everything() -> None:
    """Print characters that the locale cannot encode as escapes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Send what is still to be printed nowhere: the reader of a pipe has closed it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout.isatty()


def make_console(*, stderr: bool = False) -> "Console":
    """Return a console, which respects NO_COLOR and the width of the terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_line(text: str = "", style: str | None = None) -> None:
    """Print a line of the result."""
    if style and is_terminal():
        make_console().print(clean(text), style=style)
    else:
        print(clean(text))


def print_note(text: str, style: str | None = None) -> None:
    """Print a line on stderr, next to the result."""
    if style and sys.stderr.isatty():
        make_console(stderr=True).print(clean(text), style=style)
    else:
        print(clean(text), file=sys.stderr)


def print_json(value: Any) -> None:
    """Print indented JSON."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, indent=2, ensure_ascii=not is_utf8))


def print_result(text: str, document: Any, *, as_json: bool) -> None:
    """Print a line about what was done, or its document."""
    if as_json:
        print_json(document)
    else:
        print_line(text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, status: str = "status") -> None:
    """Print rows: a table on a terminal, lines with tabs and no heading in a pipe. The column `status` is coloured."""
    cells_by_row = [[clean("" if cell is None else cell) for cell in row] for row in rows]
    if not is_terminal():
        for row in cells_by_row:
            print("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    _print_fitting(columns, [[cell.replace("\n", " ") for cell in row] for row in cells_by_row], status)


def _print_fitting(columns: Sequence[str], rows: list[list[str]], status: str) -> None:
    """Print a table without the columns that do not fit beside IDs and those before them. Only prose is ever cut."""
    from rich.cells import cell_len
    from rich.text import Text

    console = make_console()
    table = [list(columns), *rows]
    needed = [max(cell_len(row[index]) for row in table) for index in range(len(columns))]
    chosen = {index: needed[index] for index, name in enumerate(columns) if index == 0 or name in IDS}
    for index, name in enumerate(columns):
        free = console.width - sum(chosen.values()) - GAP * len(chosen)
        if index not in chosen and needed[index] <= free:
            chosen[index] = needed[index]
        elif index not in chosen and name in PROSE and free >= MIN_PROSE:
            chosen[index] = free
    widths = dict(sorted(chosen.items()))
    last = max(widths)
    for number, row in enumerate(table):
        line = Text()
        for index, width in widths.items():
            style = "bold" if number == 0 else STYLES.get(row[index], "") if columns[index] == status else ""
            cell = Text(row[index], style)
            if columns[index] in PROSE:
                cell.truncate(width, overflow="ellipsis")
            line.append_text(cell)
            if index != last:
                line.append(" " * (width - cell.cell_len + GAP))
        console.print(line)


def format_json(value: Any) -> str:
    """Return a value as one line of JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)


def choose_style(text: str, status: str) -> str | None:
    """Return the colour of a line of a trace, by the status in it."""
    fields = text.split()[:4]
    return next((STYLES[field] for field in fields if field in STYLES and field != "completed"), None) or (
        STYLES.get(status) if fields[:1] == [status] else None
    )
