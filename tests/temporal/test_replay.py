"""Every recorded history replays on the current code."""

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from orchestrator.temporal.replay import replay
from orchestrator.temporal.workflow.run_workflow import RunWorkflow
from tests.histories import HISTORIES, read_events, read_histories
from tests.temporal.delicate_runs import BATCH, DELICATE, Delicate, find_problems, read_type
from tests.temporal.golden_runs import make_slug
from tests.temporal.world import NONE
from tests.written_keys import collect_payload_keys, find_message_keys, find_state_keys, watch_writers

pytestmark = pytest.mark.temporal

NAMES = sorted(path.stem for path in HISTORIES.glob("*.json"))
STRICT_CASES = (
    "persistent-trigger-early-events-are-buffered-in-order",
    pytest.param("recursion-a-parallel-in-a-loop-in-a-branch-keeps-its-paths", marks=pytest.mark.slow),
    pytest.param("rollback-an-operator-goes-back-to-an-earlier-node", marks=pytest.mark.slow),
    pytest.param("example-saga-booking-cancels-what-was-booked", marks=pytest.mark.slow),
)


async def find_mismatches(executions: Iterable[WorkflowHistory]) -> dict[str, Exception]:
    """Replay histories; return the failures by run id."""

    async def compare_each() -> AsyncIterator[WorkflowHistory]:
        for execution in executions:
            yield execution

    # Without deadlock detection, which goes by the clock of a busy machine.
    replayer = Replayer(workflows=[RunWorkflow], workflow_runner=NONE, debug_mode=True)
    return dict((await replayer.replay_workflows(compare_each(), raise_on_replay_failure=False)).replay_failures)


TASK = "WORKFLOW_TASK_COMPLETED"
RESUMED = "race-the-resumption-of-a-run-that-ends-at-once-and-a-cancellation"
BOUND_TO_THEIR_ORDER = {
    False: {
        f"{RESUMED}-in-one-batch",
        "race-a-cancellation-before-an-event-in-one-batch",
        "race-an-event-before-a-cancellation-in-one-batch",
    },
    True: {
        f"{RESUMED}-one-by-one",
        "race-a-cancellation-before-an-event-one-by-one",
        "race-an-event-before-a-cancellation-one-by-one",
        "deferred-choice-branches-wait-and-sleep-while-another-one-works",
        "escalation-an-operator-decides-in-an-iteration-while-other-iterations-work",
        "continued-a-map-of-loops-ended-by-one-of-its-items",
        "continued-an-event-that-one-branch-has-read-and-another-one-has-not",
        "continued-inline-branches-of-which-two-have-to-end",
        "continued-inline-branches-with-an-open-wait-and-an-open-delay",
    },
}
"""Histories that replay differently without the flag, or with it. A signal is handled before a cancellation without it;
where several paths are resumed in one task, one may end before the others are told, which cannot be with it, and the
end of a wait is shown before the cancellation. Each run keeps the flags that it began with, so all replay as they
were."""
UNWRITTEN = {
    "WORKFLOW_EXECUTION_TIMED_OUT": "runs have no timeout of Temporal's",
    "CHILD_WORKFLOW_EXECUTION_TIMED_OUT": "nor have branches and called runs",
    "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED": "only for a child that was deleted",
    "WORKFLOW_PROPERTIES_MODIFIED": "and so is the memo",
    "WORKFLOW_PROPERTIES_MODIFIED_EXTERNALLY": "reserved",
    "ACTIVITY_PROPERTIES_MODIFIED_EXTERNALLY": "reserved",
    "WORKFLOW_EXECUTION_UPDATE_ADMITTED": "only after a reset",
    "WORKFLOW_EXECUTION_UPDATE_REJECTED": "rejected updates are not recorded",
    "WORKFLOW_EXECUTION_OPTIONS_UPDATED": "workers have no deployment versions",
    "WORKFLOW_EXECUTION_PAUSED": "the interpreter pauses, not the server",
    "WORKFLOW_EXECUTION_UNPAUSED": "the same",
    "WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED": "only on test servers",
    "UNSPECIFIED": "never written",
}
"""Types of events that no run has, and why; those of Nexus, which nothing uses, are left out."""

UNRECORDED = {
    "_open_to_json: kind=busy",
    "RunState.to_json: log",
    "RunState.to_json: undone",
    "ParallelFrame.to_json: children",
    "LoopFrame.to_json: batches",
    *(f"Batches.to_json: {name}" for name in ("ended", "children")),
    *(f"BatchEnd.to_json: [{position}]" for position in range(8)),
    *(f"Step.to_json: {name}" for name in ("completed_at", "output", "reused", "warnings")),
}
"""What no run writes: the state of one that has ended, and what a rerun or its branches begin with, steps included."""


@dataclass(frozen=True)
class Replays:
    """The replays of all histories."""

    failures: dict[str, list[str]]
    """By name of the history."""
    written: set[str]
    """What state writers have written meanwhile; see `find_state_keys`."""


@pytest.fixture(scope="session")
async def replays() -> Replays:
    cases = dict(read_histories())
    written: set[str] = set()
    with watch_writers(written):
        mismatches = await find_mismatches(execution for executions in cases.values() for execution in executions)
    failures = {
        name: [str(mismatches[execution.run_id]) for execution in executions if execution.run_id in mismatches]
        for name, executions in cases.items()
    }
    return Replays(failures, written)


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_history_still_replays(name: str, replays: Replays) -> None:
    assert replays.failures[name] == []


def has_batch_flag(execution: WorkflowHistory) -> bool:
    """Whether a history was recorded with the SDK's flag."""
    tasks = [event.workflow_task_completed_event_attributes for event in execution.events]
    return any(int(BATCH) in task.sdk_metadata.lang_used_flags for task in tasks)


def set_batch_flag(execution: WorkflowHistory, *, enabled: bool) -> WorkflowHistory:
    """Return a history as if it was recorded with the SDK's flag, or without."""
    events = json.loads(execution.to_json())
    tasks = [event["workflowTaskCompletedEventAttributes"] for event in events["events"] if read_type(event) == TASK]
    for number, task in enumerate(tasks):
        metadata = task.setdefault("sdkMetadata", {})
        flags = [flag for flag in metadata.get("langUsedFlags", ()) if flag != int(BATCH)]
        metadata["langUsedFlags"] = [*flags, int(BATCH)] if enabled and number == 0 else flags
    return WorkflowHistory.from_json(execution.workflow_id, events)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("enabled", [False, True])
async def test_histories_replay_in_either_order_of_a_cancellation_and_another_event(enabled: bool) -> None:
    """The SDK has a flag, off for now, that changes the order within a workflow task; it is recorded with each run."""
    cases = dict(read_histories())
    mismatches = await find_mismatches(
        set_batch_flag(execution, enabled=enabled)
        for executions in cases.values()
        for execution in executions
        if has_batch_flag(execution) != enabled
    )
    failed = {name for name, executions in cases.items() if any(each.run_id in mismatches for each in executions)}

    assert failed == BOUND_TO_THEIR_ORDER[enabled]


@pytest.mark.parametrize("case", DELICATE, ids=lambda case: case.name)
def test_a_delicate_run_is_recorded_with_what_makes_it_delicate(case: Delicate) -> None:
    assert find_problems(case, read_events(make_slug(case.name))) == []


@pytest.fixture(scope="session")
def recorded_keys() -> set[str]:
    """Return the keys with content in the payloads of all histories."""
    return {key for name in NAMES for _, events in read_events(name) for key in collect_payload_keys(events)}


def test_each_key_of_the_state_is_in_some_history(replays: Replays, recorded_keys: set[str]) -> None:
    """Without one, a change of how it is read would not be noticed; add a case to `delicate_runs`, or record again."""
    wanted = find_state_keys() - UNRECORDED

    assert sorted(wanted - replays.written) == []
    # A replay writes a new key as well, which the recorded state does not have.
    names = {name.partition(": ")[2] for name in wanted}
    assert sorted(name for name in names - recorded_keys if name.isidentifier()) == []


def test_each_key_of_requests_results_and_messages_is_in_some_history(recorded_keys: set[str]) -> None:
    assert sorted(find_message_keys() - recorded_keys) == []


def test_each_type_of_event_is_in_some_history() -> None:
    found = {read_type(event) for name in NAMES for _, events in read_events(name) for event in events}
    known = {name.removeprefix("EVENT_TYPE_") for name in EventType.keys()}  # noqa: SIM118 - not a dictionary

    assert {name for name in known - UNWRITTEN.keys() if "NEXUS" not in name} == found


@pytest.mark.parametrize("name", STRICT_CASES)
async def test_a_workflow_does_nothing_that_the_sandbox_forbids(name: str) -> None:
    executions = dict(read_histories())[name]

    mismatches = [await replay(execution.workflow_id, execution.to_json()) for execution in executions]

    assert mismatches == [None] * len(executions)


async def test_a_history_that_does_not_replay_is_detected() -> None:
    (execution,) = dict(read_histories())["sequence-nodes-run-in-order"]
    other = json.loads(execution.to_json().replace('"activityId": "b"', '"activityId": "x"'))

    mismatches = await find_mismatches([WorkflowHistory.from_json(execution.workflow_id, other)])

    assert [type(error).__name__ for error in mismatches.values()] == ["NondeterminismError"]
