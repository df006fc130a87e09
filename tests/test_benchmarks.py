"""What the benchmarks print is as wide as a terminal, and nothing but text."""

import io

import pytest

from benchmarks.cases import Case, list_cases
from benchmarks.durable import Compared, Cost
from benchmarks.report import COLUMNS, print_results


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
