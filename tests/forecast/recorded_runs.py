"""Recorded histories as what a forecast is for: the sizes that their runs had, and what they wrote."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.converter import DefaultPayloadConverter

from orchestrator.forecast.passes import is_fused
from orchestrator.forecast.sizes import Sizes
from orchestrator.model.plan import Action, AnyNode, Call, Delay, Loop, Parallel, Plan, RetryFrom, Scope, Wait
from orchestrator.model.plan_nodes import iterate_nodes, list_inner_scopes, list_scope_node_ids
from orchestrator.model.run import StepDocument
from orchestrator.temporal.history.activation_jobs import decode_marker
from orchestrator.temporal.history.reader import read_flow
from orchestrator.temporal.history.stream_events import LOCAL_ACTIVITY
from orchestrator.temporal.requests import read_plan, read_request
from orchestrator.temporal.segments.segment_run import MAX_SECONDS
from orchestrator.temporal.workflow.segments import SEGMENT

OUTSIDE = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
)
"""What people do to a run, and what follows for its children."""
STACK_BYTES = 900
"""Of a failure: its stack trace, which the recorded histories do not keep."""
DROPPED_BYTES = 43
"""Of each event: the fields that the recorded histories do not keep, such as identities and request ids."""


@dataclass(slots=True)
class Recorded:
    """The executions of a run, and of its branches and called workflows."""

    plan: Plan
    sizes: Sizes
    input: Any
    output_bytes: int = 0
    events: int = 0
    bytes: int = 0
    tasks: int = 0
    kinds: Counter[int] = field(default_factory=Counter)
    """Number of events, by type."""
    undone: int = 0
    """Compensations that it has run."""
    waits: int = 0
    """Waits that it has come to."""
    timeouts: int = 0
    """Those of them that no event has ended."""
    is_timed: bool = False
    """Timeouts, pauses between attempts, what was left of an interval, or a slow worker decided what it wrote."""
    is_in_order: bool = False
    """Everything happened in order and once, and no operator intervened."""
    continued: int = 0
    """Executions that have continued another one."""

    @property
    def outside(self) -> int:
        """Number of events that people have caused, other than those that waits are for."""
        return sum(self.kinds[kind] for kind in OUTSIDE)

    @property
    def updates(self) -> int:
        """Number of decisions and repairs by operators."""
        return self.kinds[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED]

    @property
    def failed_children(self) -> int:
        """Number of child workflows that have failed."""
        return self.kinds[EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED]

    @property
    def signals(self) -> int:
        """Number of events that it was sent."""
        return self.kinds[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED]


def read_recorded(executions: Sequence[WorkflowHistory]) -> Recorded:
    """Read a run from the histories of its executions, the run itself first."""
    requests = [_read_request(execution.events[0]) for execution in executions]
    readings = [read_flow(execution.workflow_id, execution.events).run for execution in executions]
    plan, _ = read_plan(requests[0])
    steps: dict[str, dict[str, StepDocument]] = defaultdict(dict)
    plans: dict[str, Plan] = {}
    results: dict[str, list[int]] = defaultdict(list)
    called: dict[str, Counter[str]] = defaultdict(Counter)
    for execution, request, run in zip(executions, requests, readings, strict=True):
        steps[run.id] |= {step.id: step for step in run.steps}
        if "branch" not in request:
            plans.setdefault(run.id, read_plan(request)[0])
        for step_id, size in _measure_results(execution.events):
            results[find_node(step_id)].append(size)
        called[run.id].update(_list_called_nodes(execution.events))
    counts: dict[str, dict[str, float]] = {"items": {}, "times": {}, "seconds": {}}
    for run_id, each in reversed(plans.items()):
        done = [step for step in steps[run_id].values() if not is_compensation(step)]
        _Counting(done, called[run_id], counts).count_scope(each.scope, 1)
    longest = max(_find_longest_timer(execution.events) for execution in executions)
    for each in plans.values():
        for node in iterate_nodes(each.scope):
            if isinstance(node, Delay | Loop):
                counts["seconds"].setdefault(node.id, longest)
    averages = {name: sum(sizes) / len(sizes) for name, sizes in results.items()}
    everything = [step for own in steps.values() for step in own.values()]
    recorded = Recorded(plan, Sizes(**counts, results=averages, default_result=20), requests[0].get("input"))
    waits = {node.id for each in plans.values() for node in iterate_nodes(each.scope) if isinstance(node, Wait)}
    recorded.waits = sum(_has_run(step) for step in everything if step.node_id in waits)
    recorded.timeouts = sum(_has_timed_out(step) for step in everything if step.node_id in waits)
    recorded.undone = sum(map(is_compensation, everything))
    recorded.output_bytes = _measure_end(executions[0].events[-1])
    for execution in executions:
        _add_execution(recorded, execution.events)
    is_irregular = any(map(_is_irregular, everything))
    nodes = [node for each in plans.values() for node in iterate_nodes(each.scope)]
    # What is undone at once ends a segment in the middle, and whether it was undone at once is not on record.
    is_cut = recorded.undone > 0 and any(map(is_fused, nodes))
    recorded.is_in_order = not (recorded.outside or recorded.signals or is_irregular or is_cut)
    recorded.is_in_order &= not any(map(_is_concurrent, nodes))
    recorded.is_timed = is_irregular or any(isinstance(node, Loop) and node.interval_seconds for node in nodes)
    recorded.is_timed |= any(_has_slow_task(execution.events) for execution in executions)
    return recorded


def _has_timed_out(step: StepDocument) -> bool:
    return _has_run(step) and "event" not in step.output_data


def _is_irregular(step: StepDocument) -> bool:
    """Return whether a step was tried again, cancelled, or raced against a timeout."""
    return step.retry_count > 0 or step.status == "cancelled" or (step.error or {}).get("error_type") == "timeout_error"


def _is_concurrent(node: AnyNode) -> bool:
    """Return whether paths of a node run side by side, or it may be gone back to.

    A called workflow does too: where it ends early, one workflow task takes its start and its end.
    """
    is_concurrent = isinstance(node, Call | Parallel) or (isinstance(node, Loop) and node.max_concurrency > 1)
    return is_concurrent or isinstance(node.on_error, RetryFrom)


def find_node(step_id: str) -> str:
    """Return the id of the node of a step."""
    return re.sub(r"[#~]\d+$", "", step_id.removesuffix("/compensate").rpartition("/")[2])


def is_compensation(step: StepDocument) -> bool:
    """Return whether a step has undone another one."""
    return step.id.endswith("/compensate")


def _read_request(event: HistoryEvent) -> dict[str, Any]:
    started = event.workflow_execution_started_event_attributes
    return dict(read_request(DefaultPayloadConverter().from_payloads(started.input.payloads)))


def _measure_results(events: Sequence[HistoryEvent]) -> Iterator[tuple[str, int]]:
    """Yield the ids of the steps of activities, and the bytes of their results or failures."""
    for event in events:
        yield from _measure_local_results(event)
        completed, failed = event.activity_task_completed_event_attributes, event.activity_task_failed_event_attributes
        scheduled = completed.scheduled_event_id or failed.scheduled_event_id
        if scheduled:
            activity = events[scheduled - 1].activity_task_scheduled_event_attributes
            started = events[(completed.started_event_id or failed.started_event_id) - 1]
            earlier = started.activity_task_started_event_attributes.last_failure.ByteSize()
            failure = failed.failure.ByteSize()
            traces = STACK_BYTES * (bool(earlier) + bool(failure))
            yield activity.activity_id, completed.result.ByteSize() + earlier + failure + traces


def _measure_local_results(event: HistoryEvent) -> Iterator[tuple[str, int]]:
    """Yield the steps of a local activity, or of a segment, and the bytes of their results or failures."""
    if event.marker_recorded_event_attributes.marker_name != LOCAL_ACTIVITY:
        return
    marker = event.marker_recorded_event_attributes
    details = decode_marker(marker.details["data"].payloads[0])
    if marker.HasField("failure"):
        yield details["activity_id"], marker.failure.ByteSize() + STACK_BYTES
    elif details["activity_type"] != SEGMENT:
        yield details["activity_id"], marker.details["result"].payloads[0].ByteSize()
    else:
        for step in _read_segment(event):
            yield step["id"], len(json.dumps(step.get("error", step.get("output")), separators=(",", ":")))


def _read_segment(event: HistoryEvent) -> list[dict[str, Any]]:
    """Return the steps of a segment, as they are recorded."""
    payloads = event.marker_recorded_event_attributes.details["result"].payloads
    return list(json.loads(payloads[0].data)["steps"]) if payloads else []


def _list_called_nodes(events: Sequence[HistoryEvent]) -> Iterator[str]:
    """Yield the nodes whose actions were called: the steps of those that were gone back to are off the record."""
    for event in events:
        scheduled = event.activity_task_scheduled_event_attributes.activity_id
        for step_id in [scheduled] if scheduled else [name for name, _ in _measure_local_results(event)]:
            if not step_id.endswith("/compensate") and "/notify" not in step_id:
                yield find_node(step_id)


def _find_longest_timer(events: Sequence[HistoryEvent]) -> float:
    """Return the seconds of the longest timer."""
    timers = [event.timer_started_event_attributes.start_to_fire_timeout for event in events]
    return max(timer.ToTimedelta().total_seconds() for timer in timers)


def _measure_end(event: HistoryEvent) -> int:
    completed, failed = (
        event.workflow_execution_completed_event_attributes,
        event.workflow_execution_failed_event_attributes,
    )
    return completed.result.ByteSize() + failed.failure.ByteSize()


def _add_execution(recorded: Recorded, events: Sequence[HistoryEvent]) -> None:
    known = rest = 0
    lost = _find_lost_tasks(events)
    for event in events:
        rest += event.ByteSize() + DROPPED_BYTES
        if size := event.workflow_task_started_event_attributes.history_size_bytes:
            known, rest = size, event.ByteSize() + DROPPED_BYTES
    recorded.events += len(events) - len(lost)
    recorded.bytes += known + rest - sum(events[lost_id - 1].ByteSize() + DROPPED_BYTES for lost_id in lost)
    recorded.kinds.update(event.event_type for event in events)
    recorded.tasks = recorded.kinds[EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
    recorded.continued += bool(events[0].workflow_execution_started_event_attributes.continued_execution_run_id)


def _find_lost_tasks(events: Sequence[HistoryEvent]) -> set[int]:
    """Return the ids of the events of workflow tasks that were made again: a slow worker, or events that came first."""
    lost = set()
    for event in events:
        failed, timed_out = event.workflow_task_failed_event_attributes, event.workflow_task_timed_out_event_attributes
        scheduled = failed.scheduled_event_id or timed_out.scheduled_event_id
        if scheduled:
            lost |= {event.event_id, scheduled, failed.started_event_id or timed_out.started_event_id} - {0}
    return lost


def _has_slow_task(events: Sequence[HistoryEvent]) -> bool:
    """Return whether a workflow task took as long as a segment in it may, which may then be cut, or was made again."""
    if _find_lost_tasks(events):
        return True
    for event in events:
        if started := event.workflow_task_completed_event_attributes.started_event_id:
            taken = event.event_time.ToDatetime() - events[started - 1].event_time.ToDatetime()
            if taken.total_seconds() > 0.9 * MAX_SECONDS:
                return True
    return False


class _Counting:
    """Turns the steps of a run into how often each node has run in a pass of its scope."""

    def __init__(
        self, steps: Sequence[StepDocument], called: Counter[str], counts: dict[str, dict[str, float]]
    ) -> None:
        self.steps = steps
        self.called = called
        self.counts = counts
        self.done = Counter(step.node_id for step in steps if _has_run(step))

    def count_scope(self, scope: Scope, passes: int) -> None:
        """Count the nodes of a scope that ran this many times."""
        for node in scope.nodes:
            done = self._count_done(node)
            self.counts["times"][node.id] = done / passes if passes else 0
            if isinstance(node, Loop):
                iterations = self._count_iterations(node)
                self.counts["items"][node.id] = iterations * (node.batch_size or 1) / done if done else 0
                self.count_scope(node.body, iterations)
            elif isinstance(node, Parallel):
                for branch in node.branches:
                    self.count_scope(branch.scope, done)
        for step in self.steps:
            if slept := step.output_data.get("slept_seconds"):
                self.counts["seconds"][step.node_id] = slept

    def _count_done(self, node: AnyNode) -> int:
        if isinstance(node, Action):
            return self.called[node.id]
        if isinstance(node, Delay | Parallel) and not self._has_begun(node):
            return 0
        return self.done[node.id]

    def _has_begun(self, node: Delay | Parallel) -> bool:
        """Return whether a delay or a parallel has not failed before it has done anything."""
        statuses = {step.status for step in self.steps if step.node_id == node.id}
        inside = {name for scope in list_inner_scopes(node) for name in list_scope_node_ids(scope)}
        return statuses != {"failed"} or any(step.node_id in inside for step in self.steps)

    def _count_iterations(self, node: Loop) -> int:
        inside = set(list_scope_node_ids(node.body))
        form = re.compile(rf"(?:.*/)?{re.escape(node.id)}(?:#\d+)?(?:~\d+)?\[\d+\]")
        found = {match[0] for step in self.steps if step.node_id in inside if (match := form.match(step.path))}
        return len(found)


def _has_run(step: StepDocument) -> bool:
    """Return whether a step has done something: with a false `when`, or until a time that was past, it has not."""
    is_skipped = step.status == "skipped" and step.error is None
    return not is_skipped and step.output_data.get("slept_seconds") != 0
