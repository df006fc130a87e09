"""Run the benchmarks: `python -m benchmarks [--quick | --full] [PART] [--json]`.

PART is one of `--service`, `--fairness`, `--lists`, `--archive`, `--loops` and `--wide`. `--full` adds loops of 100,000
steps and of a million fused ones; `--quick` without a PART leaves out all loops of that length.

They fail only on wrong results, never on times.
"""

import asyncio
import atexit
import json
import sys
import time
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


def main() -> None:
    """Run and print all measurements, or one part of them."""
    quick, full = "--quick" in sys.argv, "--full" in sys.argv
    if "--fairness" in sys.argv:
        print_results(asyncio.run(measure_fairness(quick)), [])
    elif "--archive" in sys.argv:
        print_results(asyncio.run(measure_archive(quick)), [])
    elif "--wide" in sys.argv:
        print_results(asyncio.run(measure_wide_loops(quick)), [])
    elif "--lists" in sys.argv:
        print_lists(asyncio.run(measure_lists(quick)))
    elif "--loops" in sys.argv:
        print_loops(asyncio.run(measure_loops(quick=quick, full=full)))
    else:
        measure_all(quick=quick, full=full, service_only="--service" in sys.argv)


def measure_all(*, quick: bool, full: bool, service_only: bool) -> None:
    """Run and print the measurements that are no part of their own."""
    size, planned = (2_000, 1_000) if quick else (100_000, 10_000)
    pure = {
        f"planning {planned:,} nodes (s)": measure_planning(planned),
        "condition nodes per second": measure_conditions(size),
        "action nodes per second": measure_actions(size),
    }
    service = asyncio.run(measure_service(quick))
    compared: list[Compared] = []
    loops: list[LoopCost] = []
    if not service_only:
        compared = asyncio.run(compare_all(quick))
        service |= asyncio.run(measure_interruptions(quick))
        loops = [] if quick else asyncio.run(measure_loops(quick=False, full=full))
    if "--json" in sys.argv:
        rows = {"durable": [build_row(one) for one in compared], "loops": [asdict(one) for one in loops]}
        print(json.dumps({"pure": pure, "service": service, **rows}, indent=2))
    else:
        print_results(pure | service, compared)
        print_loops(loops)


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
