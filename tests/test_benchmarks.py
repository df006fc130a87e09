"""What the benchmarks print is as wide as a terminal, and nothing but text."""

import asyncio
import io
from collections.abc import AsyncIterator

import pytest

from benchmarks.cases import Case, list_cases
from benchmarks.durable import Compared, Cost
from benchmarks.long_loops import FUSED, REGULAR, LoopCost, Memory
from benchmarks.report import COLUMNS, print_loops, print_results


def compare(case: Case) -> Compared:
    return Compared(case, Cost(123.4567, 12_345, 9_999_999), Cost(123.4567, 12_345, 99_999), 12.345)


@pytest.mark.parametrize("quick", [True, False])
def test_results_fit_into_a_terminal(quick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    monkeypatch.setattr("sys.stdout", printed)
    monkeypatch.setenv("FORCE_COLOR", "1")
    compared = [compare(case) for case in list_cases(quick)]
    print_results({"action nodes per second": 26_259.0, "planning (s)": 1.5, "start": "1 ms [bare]"}, compared)
    text = printed.getvalue()

    assert max(map(len, text.splitlines())) <= COLUMNS
    assert "\x1b" not in text
    # One line for each case, with a summary of each kind: nothing is wrapped or cut.
    assert [sum(line.startswith(f"{one.case.name} ") for line in text.splitlines()) for one in compared] == [1] * len(
        compared
    )
    assert "Fused steps, compared with one local activity for all: 12.35 to 12.35 times" in text.splitlines()
    assert text.splitlines()[-3:] == ["action nodes per second: 26,259", "planning (s): 1.50", "start: 1 ms [bare]"]


def test_the_cost_of_a_loop_is_printed_before_the_next_loop_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    monkeypatch.setattr("sys.stdout", printed)
    memory = Memory(131.4, 1_234.5, 12_345.6)

    async def measure() -> AsyncIterator[LoopCost]:
        yield LoopCost(REGULAR, 100_000, 2_000.0, memory, 1_100_123, 138_700_000)
        assert printed.getvalue().splitlines()[1:] == [
            "regular   100,000       50   131 1,234 12,346 1,100,123      1,387"
        ]
        yield LoopCost(FUSED, 1_000_000, 130.2, memory, 9_999, 90_600_000)

    asyncio.run(print_loops(measure()))

    title, _, fused = printed.getvalue().splitlines()
    assert title == "loop       passes a second    MB  half   end    events bytes each"
    assert fused == "fused   1,000,000    7,680   131 1,234 12,346     9,999         91"
