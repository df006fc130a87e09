"""Run the benchmarks: `python -m benchmarks [--quick | --full] [PART] [--json]`.

PART is one of `--service`, `--fairness`, `--lists`, `--archive`, `--loops` and `--wide`. `--full` adds loops of 100,000
steps and of a million fused ones.
"""

import asyncio
import atexit
import json
import sys
import time
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.archive import measure_archive
from benchmarks.durable import Compared, compare_all
from benchmarks.fairness import measure_fairness
from benchmarks.long_loops import LoopCost, measure_loops
from benchmarks.pure import measure_actions, measure_conditions, measure_planning
from benchmarks.run_lists import ListTime, measure_lists
from benchmarks.service import measure_service
from benchmarks.wide_loops import measure_wide_loops


def main() -> None:
    """Run and print all measurements."""
    quick = "--quick" in sys.argv
    if "--fairness" in sys.argv:
        print_results({**asyncio.run(measure_fairness(quick))}, [])
        return
    if "--archive" in sys.argv:
        print_results(asyncio.run(measure_archive(quick)), [])
        return
    if "--wide" in sys.argv:
        print_results({**asyncio.run(measure_wide_loops(quick))}, [])
        return
    if "--lists" in sys.argv:
        print_lists(asyncio.run(measure_lists(quick)))
        return
    full = "--full" in sys.argv
    if "--loops" in sys.argv:
        print_loops(asyncio.run(measure_loops(quick=quick, full=full)))
        return
    size = 20_000 if quick else 100_000
    pure = {
        "planning 10,000 nodes (s)": measure_planning(10_000),
        "condition nodes per second": measure_conditions(size),
        "action nodes per second": measure_actions(size),
    }
    service = asyncio.run(measure_service(quick))
    compared = [] if "--service" in sys.argv else asyncio.run(compare_all(quick))
    loops = [] if "--service" in sys.argv else asyncio.run(measure_loops(quick=quick, full=full))
    if "--json" in sys.argv:
        rows = {"durable": [build_row(one) for one in compared], "loops": [asdict(one) for one in loops]}
        print(json.dumps({"pure": pure, "service": service, **rows}, indent=2))
    else:
        print_results(pure | service, compared)
        print_loops(loops)


def print_lists(times: list[ListTime]) -> None:
    """Print how long lists take, the slowest first, and the plan of the slowest."""
    table = Table("50 runs by", "rows", "p50 ms", "p95 ms")
    ordered = sorted(times, key=lambda each: each.p95, reverse=True)
    for each in ordered:
        table.add_row(each.name, str(each.rows), f"{each.p50:.1f}", f"{each.p95:.1f}")
    Console().print(table)
    for each in ordered[:3]:
        Console().print(f"{each.name}\n{each.plan}", markup=False, highlight=False)


def print_loops(costs: list[LoopCost]) -> None:
    """Print what long loops have cost."""
    table = Table("loop", "passes", "a second", "MB", "half", "end", "events", "bytes each", box=None, pad_edge=False)
    for one in costs:
        memory = (f"{size:,.0f}" for size in (one.memory.start, one.memory.half, one.memory.end))
        pace = f"{one.passes / one.seconds:,.0f}"
        table.add_row(one.kind, f"{one.passes:,}", pace, *memory, f"{one.events:,}", f"{one.bytes_each:,.0f}")
    for column in table.columns[1:]:
        column.justify = "right"
    if costs:
        Console().print(table)


def build_row(one: Compared) -> dict[str, Any]:
    """Return one comparison as JSON."""
    return {
        "case": one.case.name,
        "ratio": round(one.ratio, 3),
        "ours_ms": round(one.ours.seconds * 1000, 1),
        "hand_ms": round(one.hand.seconds * 1000, 1),
        "events": [one.ours.events, one.hand.events],
        "bytes": [one.ours.size, one.hand.size],
    }


def print_results(figures: dict[str, float | str], compared: list[Compared]) -> None:
    """Print tables."""
    console = Console()
    table = Table("", "ms", "by hand", "ratio", "events", "by hand", "bytes ratio", box=None, pad_edge=False)
    for one in compared:
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
    if compared:
        console.print(table)
    for name, value in figures.items():
        text = value if isinstance(value, str) else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
        console.print(f"{name}: {text}")


if __name__ == "__main__":
    atexit.register(time.sleep, 0.05)
    main()
