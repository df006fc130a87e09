"""Reports of very many problems."""

import time
from collections.abc import Iterable

import pytest

from orchestrator.errors import Problem
from orchestrator.jsontools.suggestions import find_closest
from orchestrator.planner.planner import check
from orchestrator.planner.report import MAX_COMPARISONS, Report
from tests.temporal.world import make_definition

SECONDS = 10.0
"""Well above what is needed, and well below what a quadratic check takes."""


def test_problems_below_many_unreadable_values_are_left_out() -> None:
    """Each problem was once compared with each unreadable value: a minute for 20,000 of both."""
    report = Report()
    for number in range(20_000):
        report.add_wrong_type(f"/nodes/{number}", "must be an object")
        report.add_warning("unknown_key", f"/nodes/{number}/x", "unknown key")
    report.add_warning("unknown_key", "/x", "unknown key")
    before = time.process_time()

    problems = report.list_problems()

    assert {problem.code for problem in problems} == {"wrong_type", "too_many_problems"}
    assert time.process_time() - before < SECONDS


@pytest.mark.thorough
def test_the_closest_of_the_known_keys_is_looked_for_a_limited_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """90,000 unknown keys once took 10 s."""
    sought: list[str] = []

    def record_key(key: str, known: Iterable[str], similarity: float) -> str | None:
        sought.append(key)
        return find_closest(key, known, similarity)

    monkeypatch.setattr("orchestrator.planner.report.find_closest", record_key)
    definition = make_definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    before = time.process_time()

    verdict = check(definition | {f"nodez{number}": 1 for number in range(90_000)})

    assert verdict.problems[0] == Problem(
        "error", "unknown_key", "/nodez0", "unknown key 'nodez0'", "did you mean `nodes`?"
    )
    assert 0 < len(sought) <= MAX_COMPARISONS
    assert time.process_time() - before < SECONDS
