"""Run the benchmarks.

`--full` adds loops of 100,000 steps and of a million fused ones, and with `--wide` a loop over 100,000 items with
regular steps; `--quick` without a part leaves out all loops of that length. They fail only on wrong results, never on
times.
"""

import argparse
import asyncio
import atexit
import json
import time
from collections.abc import AsyncIterable
from dataclasses import asdict
from typing import Any

from benchmarks.archive import measure_archive
from benchmarks.durable import Compared, compare_all
from benchmarks.fairness import measure_fairness
from benchmarks.interruptions import measure_interruptions
from benchmarks.long_loops import LoopCost, measure_loops
from benchmarks.pure import measure_actions, measure_conditions, measure_planning
from benchmarks.report import print_lists, print_loops, print_results
from benchmarks.run_lists import measure_lists
from benchmarks.service import measure_service
from benchmarks.wide_loops import measure_wide_loops

PARTS = ("service", "fairness", "lists", "archive", "loops", "wide")


def main() -> None:
    """Run and print all measurements, or one part of them."""
    args = parse_arguments()
    match args.part:
        case "fairness":
            print_results(asyncio.run(measure_fairness(args.quick)), [])
        case "archive":
            print_results(asyncio.run(measure_archive(args.quick)), [])
        case "wide":
            print_results(asyncio.run(measure_wide_loops(quick=args.quick, full=args.full)), [])
        case "lists":
            print_lists(asyncio.run(measure_lists(args.quick)))
        case "loops":
            asyncio.run(print_loops(measure_loops(quick=args.quick, full=args.full)))
        case _:
            measure_all(args)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__, formatter_class=formatter)
    size, parts = parser.add_mutually_exclusive_group(), parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="measure little")
    size.add_argument("--full", action="store_true", help="measure very long loops, too")
    for part in PARTS:
        parts.add_argument(f"--{part}", dest="part", action="store_const", const=part, help="measure this part alone")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def measure_all(args: argparse.Namespace) -> None:
    """Run and print the measurements that are no part of their own."""
    quick = args.quick
    size, planned = (2_000, 1_000) if quick else (100_000, 10_000)
    pure = {
        f"planning {planned:,} nodes (s)": measure_planning(planned),
        "condition nodes per second": measure_conditions(size),
        "action nodes per second": measure_actions(size),
    }
    service = asyncio.run(measure_service(quick))
    compared: list[Compared] = []
    if args.part != "service":
        compared = asyncio.run(compare_all(quick))
        service |= asyncio.run(measure_interruptions(quick))
    loops = None if quick or args.part == "service" else measure_loops(quick=False, full=args.full)
    if args.json:
        rows = {
            "durable": [build_row(one) for one in compared],
            "loops": [asdict(one) for one in asyncio.run(collect(loops))] if loops else [],
        }
        print(json.dumps({"pure": pure, "service": service, **rows}, indent=2))
        return
    print_results(pure | service, compared)
    if loops:
        asyncio.run(print_loops(loops))


async def collect(costs: AsyncIterable[LoopCost]) -> list[LoopCost]:
    """Return all costs once they are measured."""
    return [one async for one in costs]


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


if __name__ == "__main__":
    atexit.register(time.sleep, 0.05)
    main()
