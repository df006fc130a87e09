"""Data over a limit is refused with a clear error; large data below it works."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import TerminateWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError

from orchestrator.errors import OperationRefused
from orchestrator.model.run import Run
from orchestrator.temporal.client import runs as runs_module
from orchestrator.temporal.closing_event import SERVER_IDENTITY
from orchestrator.temporal.requests import build_run_request, encode_request
from orchestrator.temporal.search_attributes import WORKFLOW_ID
from tests.temporal.world import NONE, QUEUE, World, make_plan, run_scripted_worker, wait_until

pytestmark = pytest.mark.temporal

MEGABYTE = 1_000_000


def failure(run: Run) -> tuple[str, str]:
    assert run.failure is not None
    return run.failure["error_type"], run.failure["message"]


async def test_parameters_that_are_too_large_fail_the_step(world: World) -> None:
    customer, script = world.script()
    nodes = {
        "a": {"type": "action", "action": "work", "config": {"text": ["{{ input.text }}", "{{ input.text }}"]}},
        "repair": {"type": "set", "config": {"why": "{{ steps.a.error.details }}"}},
    }
    plan = make_plan(nodes, "trigger -> a", "a -error-> repair", customer=customer)
    run = await world.run(plan, {"text": "x" * MEGABYTE})

    assert run.status == "completed"
    assert run.output["why"] == {"bytes": run.output["why"]["bytes"], "limit": 1_900_000}
    assert run.output["why"]["bytes"] > 2 * MEGABYTE
    assert script.calls == []


async def test_an_output_that_is_too_large_fails_the_run(world: World) -> None:
    customer, _ = world.script()
    plan = make_plan(
        {"end": {"type": "end", "config": {"output": ["{{ input.text }}", "{{ input.text }}"]}}},
        "trigger -> end",
        customer=customer,
    )
    run = await world.run(plan, {"text": "x" * MEGABYTE})

    assert run.status == "failed"
    assert failure(run)[0] == "execution_error"
    assert failure(run)[1].startswith("the output of the run is 2,000,0")


async def test_an_input_too_large_for_a_branch_fails_the_parallel(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "big": {"type": "set", "config": {"big": ["{{ input.text }}", "{{ input.text }}"]}},
        "fork": {"type": "parallel", "branches": [["a"]]},
        "a": {"type": "set", "config": {"n": "{{ big | length }}"}},
    }
    run = await world.run(
        make_plan(nodes, "trigger -> big", "big -> fork", customer=customer), {"text": "x" * MEGABYTE}
    )

    assert failure(run)[0] == "execution_error"
    assert failure(run)[1].startswith("the input of branch 'fork [0]' is 2,000,")


async def test_a_document_of_megabytes_is_whole(world: World) -> None:
    """It was the answer to a query, at most 2 MiB: the oldest steps lost their data."""
    customer, _ = world.script({"work": {"output": {"text": "{{ params.text }}"}}})
    nodes = {
        name: {"type": "action", "action": "work", "config": {"text": "{{ input.text }}", "name": name}}
        for name in "abcde"
    }
    plan = make_plan(nodes, "trigger -> a", "a -> b", "b -> c", "c -> d", "d -> e", customer=customer)
    text = "x" * (MEGABYTE // 2)
    run = await world.run(plan, {"text": text})

    assert [step.output_data for step in run.steps] == [{"text": text}] * 5


async def test_several_large_activities_at_once_share_workflow_tasks(world: World) -> None:
    """A gRPC message holds 4 MiB: four of 1 MB each are started in two tasks."""
    customer, script = world.script()
    nodes = {
        "each": {"type": "loop", "collection": 4, "body": ["a"], "config": {"max_concurrency": 4}},
        "a": {"type": "action", "action": "work", "config": {"text": "{{ input.text }}"}},
    }
    run = await world.run(make_plan(nodes, "trigger -> each", customer=customer), {"text": "x" * MEGABYTE})

    assert (run.status, len(script.calls)) == ("completed", 4)


@pytest.mark.parametrize("runner", ["sandbox", "none"])
async def test_thousands_of_pure_nodes_in_a_row_run(world: World, runner: str) -> None:
    customer, _ = world.script()
    nodes = {
        "each": {"type": "loop", "collection": 6_000, "body": ["add"]},
        "add": {"type": "set", "config": {"total": "{{ item }}"}},
        "check": {"type": "condition", "condition": {"field": "total", "operator": "greater_than", "value": 1}},
    }
    plan = make_plan(nodes, "trigger -> each", "add -> check", customer=customer)
    if runner == "none":
        apart = World(world.client, world.runs, world.scripts, queue="apart")
        settings = world.runs.settings
        async with run_scripted_worker(apart, NONE):
            world.runs.settings = settings.model_copy(update={"task_queue": "apart"})
            run_id = await world.start(plan)
            world.runs.settings = settings
            run = await world.wait_for_end(run_id)
    else:
        run = await world.run(plan)
    history = await world.client.get_workflow_handle(run.id).fetch_history()
    kinds = [EventType.Name(event.event_type) for event in history.events]

    assert (run.status, run.output, run.steps_completed) == ("completed", {"total": 5_999}, 12_001)
    assert "EVENT_TYPE_WORKFLOW_TASK_FAILED" not in kinds
    assert "EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT" not in kinds
    assert len(run.steps) == 500


async def test_the_step_log_keeps_the_newest(world: World) -> None:
    customer, _ = world.script()
    nodes = {"each": {"type": "loop", "collection": 20, "body": ["a"]}, "a": {"type": "set", "config": {"x": 1}}}
    run = await world.run(make_plan(nodes, "trigger -> each", customer=customer, settings={"step_log_limit": 5}))

    assert [step.id for step in run.steps] == ["each", *(f"each[{number}]/a" for number in range(16, 20))]
    assert (run.steps_completed, run.steps_total) == (21, 21)


async def test_the_same_run_id_starts_once(world: World) -> None:
    customer, script = world.script()
    plan = make_plan({"a": "work"}, "trigger -> a", customer=customer)
    first, *others = await asyncio.gather(
        *(world.runs.start(world.runs.prepare(plan, run_id=f"{customer}-once")) for _ in range(5))
    )
    run = await world.wait_for_end(first.id)
    again = await world.runs.start(world.runs.prepare(plan, run_id=run.id))

    assert {started.id for started in (first, *others, again)} == {run.id}
    assert [started.duplicate for started in (first, *others)].count(False) == 1
    assert again.duplicate
    assert len(script.calls) == 1


async def test_a_collision_of_run_ids_does_not_pass_for_a_duplicate_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two runs with the same ID, the second answered with the first one's result."""
    customer, _ = world.script()
    plan = make_plan({"a": "work"}, "trigger -> a", customer=customer)
    monkeypatch.setattr(runs_module, "draw_run_id", lambda workflow_id: f"{workflow_id}-0000000000000000")
    first = await world.runs.start(world.runs.prepare(plan, delivery_id="d1", run_id=f"{customer}-stored"))
    again = await world.runs.start(world.runs.prepare(plan, delivery_id="d1", run_id=first.id))
    await world.runs.start(world.runs.prepare(plan))

    assert (again.id, again.duplicate) == (first.id, True)
    for other in (
        world.runs.prepare(plan),  # a new ID, and the same input
        world.runs.prepare(plan, delivery_id="d2", run_id=first.id),
        world.runs.prepare(plan, run_id=first.id),
        world.runs.prepare(plan.model_copy(update={"id": "other"}), delivery_id="d1", run_id=first.id),
    ):
        with pytest.raises(OperationRefused, match="another run has the ID"):
            await world.runs.start(other)


@pytest.mark.parametrize(
    "request_",
    [[], [None], [None, {}, 1], [None, [], {"id": "x"}], [None, {"run": {"id": "x"}}, {"id": "x"}], ["text"] * 3],
    ids=["nothing", "null", "no plan", "no run", "half a plan", "text"],
)
async def test_a_request_that_cannot_be_read_fails_the_run_and_not_the_worker(
    world: World, request_: list[Any]
) -> None:
    handle = await world.client.start_workflow(
        "bad",
        args=request_,
        id=f"bad-{next(world.numbers)}",
        task_queue=QUEUE,
        search_attributes=TypedSearchAttributes([SearchAttributePair(WORKFLOW_ID, "bad")]),
    )

    with pytest.raises(WorkflowFailureError) as caught:
        async with asyncio.timeout(60):
            await handle.result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "validation_error"
    assert caught.value.cause.message.startswith("the plan of this run is invalid")


async def test_a_state_that_cannot_be_read_fails_the_run(world: World) -> None:
    customer, _ = world.script()
    prepared = world.runs.prepare(make_plan({"a": "work"}, "trigger -> a", customer=customer))
    request = {**build_run_request(prepared.plan, prepared.info), "state": {"context": 1}}
    started = await world.runs.start(replace(prepared, args=encode_request(request)))

    assert failure(await world.wait_for_end(started.id))[0] == "validation_error"


async def test_a_branch_whose_result_is_too_large_is_undone(world: World) -> None:
    """Its failure was raised without its compensations, so what it had booked stayed booked."""
    customer, script = world.script({"book": {"output": {"seat": "12A"}}, "undo": {"output": {}}})
    nodes = {
        "fork": {"type": "parallel", "branches": [["book", "big"]]},
        "book": {"type": "action", "action": "book", "compensate": {"action": "undo", "config": {}}},
        "big": {"type": "set", "config": {"big": ["{{ input.text }}", "{{ input.text }}"]}},
    }
    plan = make_plan(nodes, "trigger -> fork", "book -> big", customer=customer, settings={"compensate": "on_failure"})
    run = await world.run(plan, {"text": "x" * MEGABYTE})

    assert failure(run)[0] == "execution_error"
    assert "the result of the branch is 2,000," in failure(run)[1]
    assert [call["action"] for call in script.calls] == ["book", "undo"]


async def test_a_run_that_temporal_ended_is_listed_as_failed(world: World) -> None:
    """Its document said so, but lists, statistics and the index counted it as cancelled."""
    customer, _ = world.script()
    plan = make_plan({"a": {"type": "wait", "config": {"event": "go"}}}, "trigger -> a", customer=customer)
    by_person, by_server = [await world.start(plan) for _ in range(2)]
    request = TerminateWorkflowExecutionRequest(
        namespace=world.client.namespace, identity=SERVER_IDENTITY, reason="Workflow history size exceeds limit."
    )
    request.workflow_execution.workflow_id = by_server
    await world.client.workflow_service.terminate_workflow_execution(request, retry=True)
    await world.runs.terminate(by_person, "enough")

    async def list_ended() -> dict[str, str] | None:
        rows = {run.id: run.status for run in await world.runs.visibility.list_runs(customer_id=customer)}
        return rows if len(rows) == 2 and not {"running", "waiting"} & set(rows.values()) else None

    rows = await wait_until(list_ended)
    failed, cancelled = [
        [run.id for run in await world.runs.visibility.list_runs(customer_id=customer, status=status)]
        for status in ("failed", "cancelled")
    ]
    document = await world.runs.reader.read_document(by_server)

    assert rows == {by_person: "cancelled", by_server: "failed"}
    assert (failed, cancelled) == ([by_server], [by_person])
    assert failure(document) == ("execution_error", "Temporal ended the run: Workflow history size exceeds limit.")
    with pytest.raises(OperationRefused, match=r"has already ended \(failed\)"):
        await world.runs.cancel(by_server)
