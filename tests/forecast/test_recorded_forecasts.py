"""The forecast of each golden case, for the sizes that its recorded run had, against what that run has written."""

import pytest

from tests.forecast.comparison import NOT_FORECAST, Comparison
from tests.forecast.recorded_runs import read_recorded
from tests.histories import HISTORIES, read_histories
from tests.temporal.golden_runs import list_recorded_cases, make_slug

pytestmark = [pytest.mark.temporal, pytest.mark.slow]

SEGMENTS = (
    "segments-a-chain-a-loop-and-branches",
    "segments-a-branch-that-its-join-cancels",
    "retries-of-a-local-action-below-the-threshold",
)
RECORDED = {path.stem for path in HISTORIES.glob("*.json")}
NAMES = sorted(RECORDED & {*(make_slug(case.name) for case in list_recorded_cases()), *SEGMENTS})
WANTED = [name for name in NAMES if not name.startswith(tuple(NOT_FORECAST))]


@pytest.fixture(scope="module")
def comparisons() -> dict[str, Comparison]:
    return {name: Comparison(read_recorded(each)) for name, each in read_histories() if name in WANTED}


@pytest.mark.parametrize("name", WANTED)
def test_a_forecast_is_what_the_recorded_run_has_written(name: str, comparisons: dict[str, Comparison]) -> None:
    assert comparisons[name].list_differences() == []


def test_the_events_that_are_expected_of_all_other_runs_are_near_those_recorded(
    comparisons: dict[str, Comparison],
) -> None:
    others = [each for each in comparisons.values() if not each.recorded.is_in_order]

    expected = sum(each.count_events(each.tasks) for each in others)
    assert expected == pytest.approx(sum(each.recorded.events for each in others), rel=0.1)


def test_most_recorded_runs_are_forecast_exactly(comparisons: dict[str, Comparison]) -> None:
    in_order = [name for name, each in comparisons.items() if each.recorded.is_in_order]

    assert len(in_order) > len(WANTED) / 2
