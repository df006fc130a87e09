"""The forecast of each golden case, for the sizes that its recorded run had, against what that run has written.

Workflow tasks are a range: how many results one of them takes depends on when they come. Where one thing happens after
the other the range has one number and the events are exact; where not, they are within 15 % beside the recorded tasks.
"""

import pytest

from orchestrator.forecast.costs import ACTIVITY, CONTINUATION, TASK_BYTES, TASK_EVENTS
from orchestrator.forecast.forecast import sum_up
from orchestrator.forecast.passes import Spreader
from orchestrator.forecast.walk import FlowWalk, measure
from tests.forecast.recorded_runs import STACK_BYTES, Recorded, read_recorded
from tests.histories import HISTORIES, read_histories
from tests.temporal.golden_runs import list_recorded_cases, make_slug

pytestmark = [pytest.mark.temporal, pytest.mark.slow]

SEGMENTS = (
    "segments-a-chain-a-loop-and-branches",
    "segments-a-branch-that-its-join-cancels",
    "retries-of-a-local-action-below-the-threshold",
)
NOT_FORECAST = {
    "migration-": "a forecast is for one version",
    "data-interaction-a-value-that-takes-too-much-work-fails-the-step": "it is not for what expressions cost",
    "persistent-trigger-early-events": "what a wait finds there already is neither waited for nor shown",
    "cancel-region-an-interval-counts-towards-the-timeout-of-its-loop": "the interval that is cut off is no step",
    "cancel-region-a-concurrent-loop-with-more-failures": "what is cancelled has begun and is no step",
    "live-repair-the-wait-of-a-node-without-an-edge": "a repair that is refused leaves a workflow task and no event",
    "escalation-a-parallel-that-an-operator-retries": "branches that an operator has run again are off the record",
}
"""Runs that the steps on record do not describe, by the beginning of their names, and why."""
OUTSIDE_BYTES = 200
"""Of an event about a child workflow: that it is cancelled, or sent an event."""
UPDATE_BYTES = 600
"""Of a decision or a repair by an operator, with its workflow task."""
UNDONE_BYTES = 650
"""What a compensation is sent and returns."""
RECORDED = {path.stem for path in HISTORIES.glob("*.json")}
NAMES = sorted(RECORDED & {*(make_slug(case.name) for case in list_recorded_cases()), *SEGMENTS})
WANTED = [name for name in NAMES if not name.startswith(tuple(NOT_FORECAST))]


class Comparison:
    """A run, and its forecast together with what a forecast does not know: compensations and what people did."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        walk = FlowWalk(recorded.plan, "", recorded.sizes, Spreader())
        part = walk.walk(measure(recorded.plan.to_json()) + measure(recorded.input), recorded.output_bytes)
        total = sum_up(part)
        signals = recorded.signals - recorded.waits + recorded.timeouts
        self.operations = total.operations + recorded.undone * ACTIVITY.events
        self.operations += recorded.outside + recorded.signals - recorded.waits
        self.operations += recorded.continued * CONTINUATION.events
        more = recorded.undone + recorded.continued
        self.fewest = part.fewest_tasks + sum(fewest for _, fewest, _, _ in part.flows.values()) + more
        self.fewest = max(self.fewest - recorded.signals, 1)
        self.most = part.most_tasks + sum(most for _, _, most, _ in part.flows.values())
        self.most += more + recorded.outside + max(signals, 0)
        self.tasks = total.tasks + more + recorded.updates + max(signals, 0)
        self.bytes = total.bytes + recorded.undone * (ACTIVITY.bytes + UNDONE_BYTES)
        self.bytes += (recorded.outside - 2 * recorded.updates) * OUTSIDE_BYTES
        self.bytes += recorded.updates * UPDATE_BYTES + 2 * STACK_BYTES * recorded.failed_children

    def count_events(self, tasks: float) -> float:
        """Return the expected number of events, given the number of workflow tasks."""
        return self.operations + TASK_EVENTS * tasks

    def count_bytes(self, tasks: float) -> float:
        """Return the expected number of bytes, given the number of workflow tasks."""
        return self.bytes + TASK_BYTES * (tasks - self.tasks)


@pytest.fixture(scope="module")
def comparisons() -> dict[str, Comparison]:
    return {name: Comparison(read_recorded(each)) for name, each in read_histories() if name in WANTED}


@pytest.mark.parametrize("name", WANTED)
def test_a_forecast_is_what_the_recorded_run_has_written(name: str, comparisons: dict[str, Comparison]) -> None:
    forecast = comparisons[name]
    recorded = forecast.recorded
    tasks = forecast.tasks if recorded.is_in_order else recorded.tasks

    assert forecast.fewest <= recorded.tasks <= forecast.most
    assert forecast.count_bytes(tasks) == pytest.approx(recorded.bytes, rel=0.2)
    within = {"abs": 0.01} if recorded.is_in_order else {"rel": 0.15}
    assert forecast.count_events(tasks) == pytest.approx(recorded.events, **within)


def test_the_events_that_are_expected_of_all_other_runs_are_near_those_recorded(
    comparisons: dict[str, Comparison],
) -> None:
    others = [each for each in comparisons.values() if not each.recorded.is_in_order]

    expected = sum(each.count_events(each.tasks) for each in others)
    assert expected == pytest.approx(sum(each.recorded.events for each in others), rel=0.1)


def test_most_recorded_runs_are_forecast_exactly(comparisons: dict[str, Comparison]) -> None:
    in_order = [name for name, each in comparisons.items() if each.recorded.is_in_order]

    assert len(in_order) > len(WANTED) / 2
