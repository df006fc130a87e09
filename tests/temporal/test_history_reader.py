"""The history reader comes to what the worker of a run knew, without a worker."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory
from temporalio.converter import DefaultPayloadConverter

from orchestrator.interpreter.state import RunState
from orchestrator.model.run import RunInfo
from orchestrator.reruns.restart import Changes, Rerun
from orchestrator.reruns.targets import Target
from orchestrator.temporal.history.reader import read_flow, read_flows
from orchestrator.temporal.history.recorded_execution import HistoryMismatch, RecordedExecution
from orchestrator.temporal.history.rerun_histories import RerunJob, plan_rerun_from_histories
from orchestrator.temporal.payloads import decode_shared
from tests.histories import read_histories
from tests.temporal.delicate_runs import make_loop
from tests.temporal.made_histories import make_loop_history
from tests.temporal.readings import find_differing_readings, is_ended_by_worker
from tests.temporal.world import make_plan

pytestmark = pytest.mark.temporal

WORK = {"type": "action", "action": "work"}


def list_ended_executions() -> Iterator[tuple[str, WorkflowHistory]]:
    """Yield all recorded executions that a worker has ended."""
    for name, executions in read_histories():
        for execution in executions:
            if is_ended_by_worker(execution):
                yield name, execution


@pytest.mark.slow
@pytest.mark.long
async def test_each_recorded_history_is_read_as_its_worker_knew_it() -> None:
    executions = [execution for _, execution in list_ended_executions()]

    assert await find_differing_readings(executions) == []
    assert len(executions) > 400


@pytest.mark.slow
def test_the_reader_decides_what_was_recorded() -> None:
    """It comes to the same output, and the same steps to continue with, as the worker that recorded them."""
    incomplete = set()
    for name, execution in list_ended_executions():
        recorded = RecordedExecution(execution.workflow_id, execution.events)
        try:
            recorded.read()
        except HistoryMismatch:
            incomplete.add(name)
        last, closing = execution.events[-1], recorded.closing
        recorded.close()
        assert closing is not None, name
        if last.HasField("workflow_execution_continued_as_new_event_attributes"):
            continued = last.workflow_execution_continued_as_new_event_attributes.input.payloads
            assert read_state(closing.continue_as_new_workflow_execution.arguments) == read_state(continued), name

    assert incomplete == set()


COMPARED = ("context", "changed", "compensations", "rewinds", "started", "completed", "dropped", "turns")
"""Of a state; today more is told of what its steps wait for, and of operators."""


def read_state(payloads: Sequence[Payload]) -> Any:
    """Return what a run has done when it continues."""
    state = decode_shared(DefaultPayloadConverter().from_payloads(payloads)[1])["state"]
    return {name: state[name] for name in COMPARED}


def test_a_history_of_14_000_events_is_read_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Reading takes less than two seconds on an idle machine; a worker took ten to replay as many."""
    plan = make_plan({"each": make_loop(2_333, "n", "work"), "work": WORK}, "trigger -> each", customer="long")
    history = make_loop_history(plan, RunInfo(id="long"), "each", "work", 2_333)
    began = time.process_time()
    (reading,) = read_flows([("long", history.SerializeToString())])
    seconds = time.process_time() - began
    with capsys.disabled():
        print(f"\n{len(history.events):,} events read in {seconds:.2f} s of processor time")

    assert len(history.events) > 14_000
    assert (reading.run.status, reading.run.complete) == ("completed", True)
    assert reading.run.steps_completed == 2_334


def test_what_does_not_fit_the_history_is_incomplete() -> None:
    """The interpreter comes to another step than the one that was recorded."""
    plan = make_plan({"each": make_loop(3, "n", "work"), "work": WORK}, "trigger -> each", customer="long")
    history = make_loop_history(plan, RunInfo(id="long"), "each", "work", 3)
    second = [event for event in history.events if event.HasField("activity_task_scheduled_event_attributes")][1]
    second.activity_task_scheduled_event_attributes.activity_id = "each[7]/work"
    reading = read_flow("long", history.events)

    assert not reading.run.complete
    assert [step.id for step in reading.run.steps] == ["each", "each[0]/work", "each[1]/work"]


def test_the_result_of_an_action_is_shown_before_a_worker_takes_it() -> None:
    plan = make_plan({"each": make_loop(3, "n", "work"), "work": WORK}, "trigger -> each", customer="long")
    history = make_loop_history(plan, RunInfo(id="long"), "each", "work", 3)
    taken = [event.event_id for event in history.events if event.HasField("activity_task_completed_event_attributes")]
    reading = read_flow("long", history.events[: taken[1]])

    assert [(step.id, step.status, step.output_data) for step in reading.run.steps] == [
        ("each", "running", {}),
        ("each[0]/work", "completed", {"done": 0}),
        ("each[1]/work", "completed", {"done": 1}),
    ]
    assert reading.run.complete


def test_the_state_before_a_step_is_found_by_walking_to_it() -> None:
    """A run that goes on from this state does the step and all that follow."""
    plan = make_plan({"each": make_loop(3, "n", "work"), "work": WORK}, "trigger -> each", customer="long")
    history = make_loop_history(plan, RunInfo(id="long"), "each", "work", 3).SerializeToString()
    changes = Changes(Target("work", "each[1]"))
    job = RerunJob("long", {"long": [("long", history)]}, changes, "again", datetime.now(UTC))
    rerun = plan_rerun_from_histories(job)

    assert isinstance(rerun, Rerun)
    state = RunState.from_json(plan, rerun.request["state"])
    assert [(step.id, step.reused) for step in state.log] == [("each", False), ("each[0]/work", True)]
    assert state.data.context["n"] == 1
    assert state.data.context["steps"] == {}
    assert rerun.begins_at == ["each[1]/work"]


@pytest.mark.parametrize("version", ["two", None, [1], 1.5])
def test_a_request_that_no_worker_could_read_is_described(version: Any) -> None:
    plan = make_plan({"each": make_loop(1, "n", "work"), "work": WORK}, "trigger -> each", customer="odd")
    history = make_loop_history(plan, RunInfo(id="odd"), "each", "work", 1)
    started = history.events[0].workflow_execution_started_event_attributes
    odd = {"id": "w", "version": version}
    started.input.payloads[-1].CopyFrom(DefaultPayloadConverter().to_payload(odd))

    run = read_flow("odd", history.events[:1]).run

    assert (run.id, run.workflow_id, run.workflow_version, run.status) == ("odd", "w", 1, "pending")
