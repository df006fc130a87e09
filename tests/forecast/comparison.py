"""The forecast of a run beside what its histories have.

Workflow tasks are a range: how many results one of them takes depends on when they come. Where one thing happens after
the other the range has one number and the events are exact; where not, they are within 15 % beside the recorded tasks.
"""

from orchestrator.forecast.costs import ACTIVITY, CONTINUATION, TASK_BYTES, TASK_EVENTS
from orchestrator.forecast.forecast import sum_up
from orchestrator.forecast.passes import Spreader
from orchestrator.forecast.walk import FlowWalk, measure
from tests.forecast.recorded_runs import STACK_BYTES, Recorded

WITHIN_EVENTS = 0.15
WITHIN_BYTES = 0.2
NOT_FORECAST = {
    "migration-": "a forecast is for one version",
    "data-interaction-a-value-that-takes-too-much-work-fails-the-step": "it is not for what expressions cost",
    "persistent-trigger-early-events": "what a wait finds there already is neither waited for nor shown",
    "cancel-region-an-interval-counts-towards-the-timeout-of-its-loop": "the interval that is cut off is no step",
    "cancel-region-a-concurrent-loop-with-more-failures": "what is cancelled has begun and is no step",
    "cancel-region-failures-count-over-all-iterations": "what is cancelled has begun and is no step",
    "cancel-region-failures-that-are-too-many-together": "what is cancelled has begun and is no step",
    "live-repair-the-wait-of-a-node-without-an-edge": "a repair that is refused leaves a workflow task and no event",
    "escalation-a-parallel-that-an-operator-retries": "branches that an operator has run again are off the record",
    "deferred-choice-an-approval-that-nobody-decides": "how often people are reminded depends on when they decide",
}
"""Runs that the steps on record do not describe, by the beginning of their names, and why."""
OUTSIDE_BYTES = 200
"""Of an event about a child workflow: that it is cancelled, or sent an event."""
UPDATE_BYTES = 600
"""Of a decision or a repair by an operator, with its workflow task."""
UNDONE_BYTES = 650
"""What a compensation is sent and returns."""


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

    def list_differences(self) -> list[str]:
        """Return where the forecast is further from the run than it may be."""
        recorded, found = self.recorded, []
        tasks = self.tasks if recorded.is_in_order else recorded.tasks
        if not self.fewest <= recorded.tasks <= self.most:
            found.append(f"{recorded.tasks} workflow tasks, forecast {self.fewest:g} to {self.most:g}")
        size, events = self.count_bytes(tasks), self.count_events(tasks)
        if abs(size - recorded.bytes) > WITHIN_BYTES * recorded.bytes:
            found.append(f"{recorded.bytes} bytes, forecast {size:.0f}")
        if abs(events - recorded.events) > (0.01 if recorded.is_in_order else WITHIN_EVENTS * recorded.events):
            found.append(f"{recorded.events} events, forecast {events:g}")
        return found

    @property
    def is_exact(self) -> bool:
        """Whether every event is forecast."""
        tasks = self.tasks if self.recorded.is_in_order else self.recorded.tasks
        return abs(self.count_events(tasks) - self.recorded.events) < 0.01
