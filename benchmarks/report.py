"""Print measurements within 80 columns, on a terminal and into a file alike."""

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.durable import Compared
from benchmarks.long_loops import LoopCost
from benchmarks.run_lists import ListTime

COLUMNS = 80
KINDS = {
    "regular": "Regular steps, compared with activities",
    "local": "Local steps, compared with local activities",
    "fused": "Fused steps, compared with one local activity for all",
}
LOOP_COLUMNS = {
    "loop": 7, "passes": 9, "a second": 8, "MB": 5, "half": 5, "end": 5, "events": 9, "bytes each": 10
}  # fmt: skip
"""Titles and widths: a line is printed before the next one is known."""


def print_results(figures: Mapping[str, float | str], compared: Sequence[Compared]) -> None:
    """Print the comparisons by kind, and then the other figures, one a line."""
    console = open_console()
    for kind, title in KINDS.items():
        rows = [one for one in compared if one.case.kind == kind]
        if rows:
            console.print(_build_table(rows))
            ratios = sorted(one.ratio for one in rows)
            console.print(f"{title}: {ratios[0]:.2f} to {ratios[-1]:.2f} times\n")
    for name, value in figures.items():
        text = value if isinstance(value, str) else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
        console.print(f"{name}: {text}")


def print_lists(times: Sequence[ListTime]) -> None:
    """Print how long lists take, the slowest first, and the plan of the slowest."""
    table = Table("50 runs by", "rows", "query p50", "p95 ms", "HTTP p50", "p95 ms", box=None, pad_edge=False)
    ordered = sorted(times, key=lambda each: each.http.p95, reverse=True)
    for each in ordered:
        figures = (each.index.p50, each.index.p95, each.http.p50, each.http.p95)
        table.add_row(each.name, str(each.rows), *(f"{figure:.1f}" for figure in figures))
    console = open_console()
    console.print(table)
    for each in ordered[:3]:
        console.print(f"{each.name}\n{each.plan}")


async def print_loops(costs: AsyncIterable[LoopCost]) -> None:
    """Print what long loops have cost, each as soon as it is measured: the longest take hours."""
    console = open_console()
    _print_line(console, LOOP_COLUMNS)
    async for one in costs:
        memory = (f"{size:,.0f}" for size in (one.memory.start, one.memory.half, one.memory.end))
        pace = f"{one.passes / one.seconds:,.0f}"
        _print_line(console, [one.kind, f"{one.passes:,}", pace, *memory, f"{one.events:,}", f"{one.bytes_each:,.0f}"])


def _print_line(console: Console, texts: Iterable[str]) -> None:
    kind, *figures = (text.rjust(width) for text, width in zip(texts, LOOP_COLUMNS.values(), strict=True))
    console.print(" ".join([kind.strip().ljust(len(kind)), *figures]))


def open_console() -> Console:
    """Return a console of 80 columns that adds neither colors nor markup."""
    return Console(width=COLUMNS, highlight=False, markup=False, color_system=None)


def _build_table(rows: Sequence[Compared]) -> Table:
    table = Table("ms for each run", "ours", "by hand", "ratio", "events", "by hand", "bytes", box=None, padding=(0, 1))
    table.pad_edge = False
    for one in rows:
        table.add_row(
            one.case.name,
            f"{one.ours.seconds * 1000:,.1f}",
            f"{one.hand.seconds * 1000:,.1f}",
            f"{one.ratio:.2f}",
            f"{one.ours.events:,}",
            f"{one.hand.events:,}",
            f"{one.ours.size / one.hand.size:.2f}",
        )
    for column in table.columns[1:]:
        column.justify = "right"
        column.no_wrap = True
    return table
