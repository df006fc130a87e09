"""Steps show their attempts with times, the next one, and the run that they have called."""

import pytest

from orchestrator.model.run import Run, format_timestamp
from tests.temporal.world import World, make_definition, make_plan, wait_until

pytestmark = pytest.mark.temporal

BUSY = {"error": {"message": "busy"}}


async def test_a_step_shows_the_attempts_that_temporal_records(world: World) -> None:
    customer, _ = world.script({"flaky": [BUSY, BUSY, {"output": {}}]})
    node = {"type": "action", "action": "flaky", "retry": {"initial_interval": 0.01}}
    run = await world.run(make_plan({"a": node}, "trigger -> a", customer=customer))
    (step,) = run.steps
    second, third = step.attempts

    assert (second.number, second.error) == (2, {"message": "busy", "error_type": "action_error"})
    assert (third.number, third.error) == (3, None)
    assert third.started_at is not None
    assert third.ended_at is not None
    assert step.started_at <= third.started_at <= third.ended_at


async def test_a_failed_step_shows_why_its_last_attempt_failed(world: World) -> None:
    customer, _ = world.script({"flaky": BUSY})
    node = {"type": "action", "action": "flaky", "retry": {"maximum_attempts": 2, "initial_interval": 0.01}}
    run = await world.run(make_plan({"a": node}, "trigger -> a", customer=customer))

    assert [(attempt.number, attempt.error and attempt.error["message"]) for attempt in run.steps[0].attempts] == [
        (1, "busy"),
        (2, "busy"),
    ]


async def test_a_local_step_shows_all_attempts_that_a_timer_separates(world: World) -> None:
    customer, _ = world.script({"flaky": [BUSY, BUSY, {"output": {}}]})
    node = {"type": "action", "action": "flaky", "execution": "local", "retry": {"initial_interval": 0.6}}
    run = await world.run(make_plan({"a": node}, "trigger -> a", customer=customer))

    assert [(attempt.number, attempt.error is None) for attempt in run.steps[0].attempts] == [
        (1, False),
        (2, False),
        (3, True),
    ]


async def test_a_step_between_two_attempts_shows_when_the_next_one_is_due(world: World) -> None:
    customer, _ = world.script({"flaky": BUSY})
    node = {"type": "action", "action": "flaky", "retry": {"initial_interval": 60}}
    run_id = await world.start(make_plan({"a": node}, "trigger -> a", customer=customer))

    async def find_retrying() -> Run | None:
        run = await world.runs.reader.read_document(run_id)
        return run if run.steps and run.steps[0].status == "retrying" else None

    retrying = await wait_until(find_retrying)
    await world.runs.terminate(run_id)
    (step,) = retrying.steps
    (attempt,) = step.attempts

    assert retrying.status == "retrying"
    assert (attempt.number, attempt.error) == (1, {"message": "busy", "error_type": "action_error"})
    assert attempt.ended_at is not None
    assert step.next_attempt_at is not None
    assert step.next_attempt_at > attempt.ended_at
    assert retrying.waiting_for == [
        {
            "node_id": "a", "step_id": "a", "kind": "retry", "attempt": 2, "message": "busy",
            "error_type": "action_error", "since": format_timestamp(attempt.ended_at),
            "until": format_timestamp(step.next_attempt_at),
        }
    ]  # fmt: skip


async def test_a_run_that_waits_for_a_called_workflow_shows_its_run(world: World) -> None:
    customer, _ = world.script()
    callee = make_definition({"ask": {"type": "wait", "config": {"event": "go"}}}, "trigger -> ask")
    nodes = {"sub": {"type": "workflow", "config": {"workflow_id": "callee"}}}
    plan = make_plan(nodes, "trigger -> sub", customer=customer, workflows={"callee": callee})
    run_id = await world.start(plan)

    run = await world.wait_for_waiting(run_id, "child")
    (step,) = run.steps
    assert step.run_id is not None
    assert (run.status, step.status) == ("waiting", "waiting")
    since = format_timestamp(step.started_at)
    assert run.waiting_for == [
        {"node_id": "sub", "step_id": "sub", "kind": "child", "since": since, "run_id": step.run_id}
    ]
    await world.wait_for_waiting(step.run_id, "event")
    await world.runs.send_event(step.run_id, "go", 1)
    ended = await world.wait_for_end(run_id)

    assert (ended.steps[0].status, ended.steps[0].run_id) == ("completed", step.run_id)
