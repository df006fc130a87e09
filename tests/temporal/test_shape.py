"""How runs appear in Temporal, in the Web UI and other tools: names, summaries, attributes, policies."""

import asyncio
import json
import re
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from orchestrator.temporal.search_attributes import CUSTOMER_ID, TRIGGER, VERSION, WORKFLOW_ID
from tests.golden import read_definition
from tests.temporal.world import SECONDS, World, make_definition, make_plan, wait_until

pytestmark = pytest.mark.temporal


async def events(world: World, workflow_id: str, kind: str) -> list[HistoryEvent]:
    """Return the events of a type, named by the end of its name."""
    history = await world.client.get_workflow_handle(workflow_id).fetch_history()
    return [event for event in history.events if EventType.Name(event.event_type) == f"EVENT_TYPE_{kind}"]


async def summary(world: World, event: HistoryEvent) -> Any:
    (text,) = await world.client.data_converter.decode([event.user_metadata.summary])
    return text


def seconds(duration: Duration) -> float:
    return duration.ToTimedelta().total_seconds()


async def test_a_run_is_found_by_its_attributes_and_named_after_its_workflow(world: World) -> None:
    customer, _ = world.script()
    plan = make_plan({"a": "work"}, "trigger -> a", customer=customer).model_copy(
        update={"name": "Nice name", "version": 7}
    )
    run = await world.run(plan, trigger_type="event", trigger={"id": 1})
    described = await world.client.get_workflow_handle(run.id).describe()
    attributes = described.typed_search_attributes

    assert await described.static_summary() == "Nice name"
    assert (attributes[WORKFLOW_ID], attributes[VERSION]) == ("short", 7)
    assert (attributes[CUSTOMER_ID], attributes[TRIGGER]) == (customer, "event")
    assert described.raw_description.workflow_execution_info.priority.fairness_key == customer


async def test_an_activity_is_of_the_actions_type_with_the_steps_id_and_the_nodes_name(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "each": {"type": "loop", "collection": 1, "body": ["send"]},
        "send": {"type": "action", "action": "email.send", "name": "Send the mail", "task_queue": "tests"},
    }
    run = await world.run(make_plan(nodes, "trigger -> each", customer=customer))
    (event,) = await events(world, run.id, "ACTIVITY_TASK_SCHEDULED")
    scheduled = event.activity_task_scheduled_event_attributes

    assert (scheduled.activity_type.name, scheduled.activity_id) == ("email.send", "each[0]/send")
    assert await summary(world, event) == "Send the mail"


async def test_an_activity_is_sent_its_parameters_and_a_small_context_alone(world: World) -> None:
    customer, script = world.script()
    nodes = {
        "a": {"type": "set", "config": {"large": "x" * 1000}},
        "b": {"type": "action", "action": "work", "config": {"n": "{{ input.n }}"}},
    }
    run = await world.run(make_plan(nodes, "trigger -> a", "a -> b", customer=customer), {"n": 3})
    (call,) = script.calls

    assert call["parameters"] == {"n": 3}
    assert call["context"] == {
        "run_id": run.id,
        "workflow_id": "short",
        "customer_id": customer,
        "node_id": "b",
        "idempotency_key": call["context"]["idempotency_key"],
    }
    assert set(call) == {"action", "node_id", "attempt", "parameters", "context"}


async def test_history_contains_names_of_secrets_only(world: World) -> None:
    customer, script = world.script()
    nodes = {"a": {"type": "action", "action": "work", "config": {"auth": "Bearer {{ secrets.token }}", "n": 1}}}
    await world.run(make_plan(nodes, "trigger -> a", customer=customer))
    (call,) = script.calls

    assert call["parameters"]["n"] == 1
    assert call["secrets"]["/auth"][0] == "Bearer "


async def test_retries_and_timeouts_are_temporals_own(world: World) -> None:
    customer, _ = world.script()
    retry = {
        "maximum_attempts": 4,
        "initial_interval": 0.5,
        "maximum_interval": 8,
        "backoff_coefficient": 3,
        "retry_on": ["action_error"],
    }
    nodes = {"a": {"type": "action", "action": "work", "retry": retry, "timeout_seconds": 70}}
    run = await world.run(make_plan(nodes, "trigger -> a", customer=customer))
    (event,) = await events(world, run.id, "ACTIVITY_TASK_SCHEDULED")
    scheduled = event.activity_task_scheduled_event_attributes
    policy = scheduled.retry_policy

    assert seconds(scheduled.start_to_close_timeout) == 70
    assert (policy.maximum_attempts, seconds(policy.initial_interval), seconds(policy.maximum_interval)) == (4, 0.5, 8)
    assert policy.backoff_coefficient == 3
    assert set(policy.non_retryable_error_types) == {
        "validation_error",
        "execution_error",
        "condition_error",
        "timeout_error",
        "unknown",
        "TemporalTimeout:StartToClose",
        "TemporalTimeout:Heartbeat",
    }


async def test_an_attempt_that_takes_too_long_is_a_timeout_error(world: World) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    nodes = {"a": {"type": "action", "action": "work", "timeout_seconds": 0.3, "retry": {"maximum_attempts": 1}}}
    run = await world.run(make_plan(nodes, "trigger -> a", customer=customer))
    script.gates["a"].set()

    assert run.failure is not None
    assert (run.failure["error_type"], run.failure["message"]) == ("timeout_error", "work took longer than 0.3 s")


async def test_timers_and_children_carry_the_nodes_name(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "nap": {"type": "delay", "name": "Take a nap", "delay_seconds": 0.01},
        "ask": {"type": "wait", "name": "Ask them", "config": {"event": "x", "timeout_seconds": 0.01}},
        "fork": {"type": "parallel", "name": "Both", "branches": [["a"], ["b"]]},
        "a": "work",
        "b": "work",
        "call": {"type": "workflow", "name": "Call the other", "config": {"workflow_id": "other"}},
    }
    other = read_definition({"nodes": {"c": "work"}, "edges": ["trigger -> c"]}, "other", "other")
    edges = ("trigger -> nap", "nap -> ask", "ask -timeout-> fork", "fork -> call")
    run = await world.run(make_plan(nodes, *edges, customer=customer, workflows={"other": other}))
    timers = await events(world, run.id, "TIMER_STARTED")
    children = await events(world, run.id, "START_CHILD_WORKFLOW_EXECUTION_INITIATED")
    called = children[2].start_child_workflow_execution_initiated_event_attributes

    assert run.status == "completed"
    assert [await summary(world, event) for event in timers] == ["Take a nap", "Ask them"]
    assert [await summary(world, event) for event in children] == ["Both [0]", "Both [1]", "Call the other"]
    assert [event.start_child_workflow_execution_initiated_event_attributes.workflow_id for event in children[:2]] == [
        f"{run.id}/fork[0]",
        f"{run.id}/fork[1]",
    ]
    assert (await world.runs.reader.read_document(called.workflow_id)).parent_run_id == run.id


async def test_details_show_the_current_step(world: World) -> None:
    customer, _ = world.script()
    nodes = {"a": "work", "ask": {"type": "wait", "config": {"event": "answer"}}}
    run_id = await world.start(make_plan(nodes, "trigger -> a", "a -> ask", customer=customer))
    await world.wait_for_waiting(run_id, "event")
    handle = world.client.get_workflow_handle(run_id)
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    await world.runs.cancel(run_id)

    assert metadata.current_details.splitlines() == [
        "**short**: running, 1 step done",
        "",
        "- **ask** (`ask`) waiting for the event `answer`",
    ]


async def test_details_name_nodes_attempts_and_what_branches_wait_for(world: World) -> None:
    # A step was only its id, and of branches the run said nothing.
    customer, script = world.script({"charge": {"error": {"message": "declined", "error_type": "action_error"}}})
    script.gates["slow"] = asyncio.Event()
    retry = {"maximum_attempts": 2, "initial_interval": 0.01}
    nodes: dict[str, Any] = {
        "fork": {"type": "parallel", "name": "Both", "branches": [["slow"], ["charge"], ["ask"]]},
        "slow": {"type": "action", "action": "work", "name": "Slow one", "config": {}},
        "charge": {"type": "action", "action": "charge", "name": "Charge", "retry": retry, "on_error": "pause"},
        "ask": {"type": "wait", "name": "Ask", "config": {"event": "answer"}},
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))
    await world.wait_for_waiting(run_id, "operator")
    await world.wait_for_waiting(run_id, "event")

    async def are_all_running() -> bool:
        return "slow" in script.list_nodes()

    await wait_until(are_all_running)
    details = [await read_details(world, f"{run_id}{of}") for of in ("", "/fork[0]", "/fork[1]")]
    await world.runs.cancel(run_id)
    await world.wait_for_end(run_id)

    assert details[0] == [
        "**short**: running, 0 steps done",
        "",
        "- **Both** (`fork`) running",
        "- branch **Both [0]** (`fork[0]`) running",
        "- branch **Both [1]** (`fork[1]`) running",
        "- branch **Both [2]** (`fork[2]`) running, can wait for the event `answer`",
    ]
    assert details[1] == [
        f"**short**, branch `fork[0]` of `{run_id}`: running, 0 steps done",
        "",
        "- **Slow one** (`fork[0]/slow`) running, up to 3 attempts",
    ]
    assert details[2][2] == "- **Charge** (`fork[1]/charge`) waiting for an operator after 2 attempts: declined"


async def read_details(world: World, workflow_id: str) -> list[str]:
    handle = world.client.get_workflow_handle(workflow_id)
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details.splitlines()


async def test_types_and_ids_name_the_workflow(world: World) -> None:
    """Temporal's list showed `Run` for every run, and a UUID."""
    customer, _ = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["a"], ["b"]]},
        "a": "work",
        "b": {"type": "workflow", "config": {"workflow_id": "other"}},
    }
    other = make_definition({"c": "work"}, "trigger -> c") | {"id": "other"}
    plan = make_plan(nodes, "trigger -> fork", customer=customer, workflows={"other": other})
    run = await world.run(plan, {"order": 7})
    called = next(step.output_data["run_id"] for step in run.steps if step.node_id == "b")
    described = {
        name: await world.client.get_workflow_handle(name).describe() for name in (run.id, f"{run.id}/fork[0]", called)
    }
    (started,) = await events(world, run.id, "WORKFLOW_EXECUTION_STARTED")
    sent = started.workflow_execution_started_event_attributes.input.payloads

    assert re.fullmatch(r"short-[0-9a-hjkmnp-tv-z]{16}", run.id)
    assert re.fullmatch(r"other-[0-9a-hjkmnp-tv-z]{16}", called)
    assert [each.workflow_type for each in described.values()] == ["short", "short/branch", "other"]
    # A branch says whose it is, and is not in lists of runs.
    assert [each.typed_search_attributes.get(CUSTOMER_ID) for each in described.values()] == [customer] * 3
    assert [each.typed_search_attributes.get(WORKFLOW_ID) for each in described.values()] == ["short", "short", "other"]
    assert [each.typed_search_attributes.get(TRIGGER) for each in described.values()] == ["manual", None, "workflow"]
    # Temporal's page shows what was sent first, without the plan around it.
    assert json.loads(sent[0].data) == {"order": 7}
    assert json.loads(sent[2].data)["id"] == "short"


async def test_a_foreign_workflow_on_the_queue_fails_at_once_with_a_sentence(world: World) -> None:
    handle = await world.client.start_workflow("SendNewsletter", {}, id="newsletter", task_queue=world.queue)

    with pytest.raises(WorkflowFailureError) as caught:
        async with asyncio.timeout(SECONDS):
            await handle.result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.message == (
        "task queue 'tests' runs workflows of the orchestrator only, and this one, of type 'SendNewsletter', has no"
        " search attribute OrchestratorWorkflowId: start runs through the orchestrator, and other workflows on another"
        " task queue"
    )


async def test_names_are_not_markup_in_temporals_page(world: World) -> None:
    # Names are written by customers, and the page of all customers renders summaries and details as Markdown.
    customer, _ = world.script()
    name, shown = "[open](https://evil.example) \u202e", "[open\\](https\\://evil.example) \\\\u202e"
    nodes = {
        "a": {"type": "action", "action": "work", "name": name, "config": {}},
        "nap": {"type": "delay", "delay_seconds": 0.01, "name": name},
        "ask": {"type": "wait", "name": name, "config": {"event": "answer`now", "timeout_seconds": 600}},
    }
    edges = ("trigger -> a", "a -> nap", "nap -> ask")
    plan = make_plan(nodes, *edges, customer=customer).model_copy(update={"name": name})
    run_id = await world.start(plan)
    await world.wait_for_waiting(run_id, "event")
    handle = world.client.get_workflow_handle(run_id)
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    summaries = [
        await summary(world, event)
        for kind in ("ACTIVITY_TASK_SCHEDULED", "TIMER_STARTED")
        for event in await events(world, run_id, kind)
    ]
    started = await (await handle.describe()).static_summary()
    await world.runs.cancel(run_id)

    assert [started, *summaries] == [shown] * 4
    line = metadata.current_details.splitlines()[2]
    assert metadata.current_details.splitlines()[0] == f"**{shown}**: running, 2 steps done"
    assert line.startswith(f"- **{shown}** (`ask`) waiting for the event `answer'now`, until 2")


async def test_pure_nodes_leave_nothing_in_history(world: World) -> None:
    customer, _ = world.script()
    nodes: dict[str, Any] = {f"n{number}": {"type": "set", "config": {"x": number}} for number in range(50)}
    nodes["check"] = {"type": "condition", "condition": {"field": "x", "value": 49}}
    edges = ["trigger -> n0", *(f"n{number} -> n{number + 1}" for number in range(49)), "n49 -> check"]
    run = await world.run(make_plan(nodes, *edges, customer=customer))
    history = await world.client.get_workflow_handle(run.id).fetch_history()

    assert run.steps_completed == 51
    assert [EventType.Name(event.event_type)[11:] for event in history.events] == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_COMPLETED",
    ]


async def test_local_actions_are_markers(world: World) -> None:
    flaky = [{"error": {"message": "busy"}}, {"output": {"n": "{{ attempt }}"}}]
    customer, script = world.script({"quick": flaky})
    nodes = {
        "a": {"type": "action", "action": "quick", "execution": "local", "retry": {"initial_interval": 0.01}},
        "b": {"type": "action", "action": "other", "execution": "local"},
    }
    plan = make_plan(nodes, "trigger -> a", "a -> b", customer=customer, settings={"fuse": False})
    run = await world.run(plan)

    assert len(await events(world, run.id, "MARKER_RECORDED")) == 2
    assert await events(world, run.id, "ACTIVITY_TASK_SCHEDULED") == []
    assert [(step.id, step.retry_count, step.output_data) for step in run.steps] == [
        ("a", 1, {"n": 2}),
        ("b", 0, {"node": "b"}),
    ]
    assert [call["attempt"] for call in script.calls] == [1, 2, 1]


async def test_a_failed_local_action_has_the_same_error(world: World) -> None:
    customer, _ = world.script({"quick": {"error": {"message": "busy", "error_type": "action_error"}}})
    retry = {"maximum_attempts": 2, "initial_interval": 0.01}
    nodes = {"a": {"type": "action", "action": "quick", "execution": "local", "retry": retry}}
    run = await world.run(make_plan(nodes, "trigger -> a", customer=customer))

    assert run.failure is not None
    assert run.failure["error_type"] == "retry_exhausted"
    assert run.failure["details"]["attempts"] == 2
    assert run.steps[0].retry_count == 1


@pytest.mark.slow  # a cancellation arrives with the heartbeat of the workflow task: after 8 s
async def test_a_local_action_stops_when_it_is_cancelled(world: World) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    nodes = {"a": {"type": "action", "action": "quick", "execution": "local"}}
    run_id = await world.start(make_plan(nodes, "trigger -> a", customer=customer))

    async def has_called() -> bool:
        return script.list_nodes() == ["a"]

    await wait_until(has_called)
    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert (run.status, [step.status for step in run.steps], script.cancelled) == ("cancelled", ["cancelled"], ["a"])


async def test_a_failed_run_fails_in_temporal_with_the_type_and_the_document(world: World) -> None:
    failing = {"message": "no stock", "error_type": "action_error", "recoverable": False, "details": {"n": 1}}
    customer, _ = world.script({"buy": {"error": failing}})
    run_id = await world.start(make_plan({"a": "buy"}, "trigger -> a", customer=customer))

    with pytest.raises(WorkflowFailureError) as caught:
        await world.client.get_workflow_handle(run_id).result()

    cause = caught.value.cause
    run = await world.runs.reader.read_document(run_id)
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message, cause.non_retryable) == ("action_error", "a: no stock", True)
    assert cause.details[0] == run.failure
    assert run.failure is not None
    assert (run.failure["node_id"], run.failure["details"]) == ("a", {"n": 1})


async def test_the_failure_of_a_branch_begins_with_the_node_and_its_cause(world: World) -> None:
    """It began with the number of the branch."""
    customer, _ = world.script({"buy": {"error": {"message": "no stock", "recoverable": False}}})
    nodes = {
        "fork": {"type": "parallel", "name": "Both", "branches": [["a"], ["b"]]},
        "a": {"type": "action", "action": "buy", "name": "Buy it", "config": {}},
        "b": "work",
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))

    with pytest.raises(WorkflowFailureError) as caught:
        await world.client.get_workflow_handle(run_id).result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.message == "Buy it: no stock"
    assert caught.value.cause.details[0]["message"] == "branch 0 of Both failed: no stock"
