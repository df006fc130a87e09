"""Run the benchmarks: `python -m benchmarks [--quick] [--service | --fairness | --lists | --archive] [--json]`."""

import asyncio
import atexit
import json
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.archive import measure_archive
from benchmarks.durable import Compared, compare_all
from benchmarks.fairness import measure_fairness
from benchmarks.pure import measure_actions, measure_conditions, measure_planning
from benchmarks.run_lists import ListTime, measure_lists
from benchmarks.service import measure_service


def main() -> None:
    """Run and print all measurements."""
    quick = "--quick" in sys.argv
    if "--fairness" in sys.argv:
        print_results({**asyncio.run(measure_fairness(quick))}, [])
        return
    if "--archive" in sys.argv:
        print_results(asyncio.run(measure_archive(quick)), [])
        return
    if "--lists" in sys.argv:
        print_lists(asyncio.run(measure_lists(quick)))
        return
    size = 20_000 if quick else 100_000
    pure = {
        "planning 10,000 nodes (s)": measure_planning(10_000),
        "condition nodes per second": measure_conditions(size),
        "action nodes per second": measure_actions(size),
    }
    service = asyncio.run(measure_service(quick))
    compared = [] if "--service" in sys.argv else asyncio.run(compare_all(quick))
    if "--json" in sys.argv:
        print(json.dumps({"pure": pure, "service": service, "durable": [build_row(one) for one in compared]}, indent=2))
    else:
        print_results(pure | service, compared)


def print_lists(times: list[ListTime]) -> None:
    """Print how long lists take, the slowest first, and the plan of the slowest."""
    table = Table("50 runs by", "rows", "p50 ms", "p95 ms")
    ordered = sorted(times, key=lambda each: each.p95, reverse=True)
    for each in ordered:
        table.add_row(each.name, str(each.rows), f"{each.p50:.1f}", f"{each.p95:.1f}")
    Console().print(table)
    for each in ordered[:3]:
        Console().print(f"{each.name}\n{each.plan}", markup=False, highlight=False)


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
