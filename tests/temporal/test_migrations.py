"""A run in progress moves to another version of its definition, at its next node boundary."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from temporalio.client import WorkflowHistory

from orchestrator.errors import OperationRefused, ServerUnavailable
from orchestrator.interpreter.migration import MigrationRequest
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run
from orchestrator.reruns.restart import Changes
from orchestrator.reruns.targets import Target
from orchestrator.temporal.client import updates
from tests.temporal.answers import Script
from tests.temporal.record_histories import list_executions
from tests.temporal.test_repairs import ASK, DOOR, LOCKED, NAP
from tests.temporal.test_replay import find_mismatches
from tests.temporal.world import World, make_definition, make_plan, run_scripted_worker, wait_until

pytestmark = pytest.mark.temporal


def make_version(version: int, nodes: Mapping[str, Any], *edges: str, customer: str, **more: Any) -> Plan:
    return make_plan(nodes, *edges, customer=customer, **more).model_copy(update={"version": version})


async def move(world: World, run_id: str, plan: Plan, **more: Any) -> dict[str, Any]:
    """Ask for a move, and wait until the run has moved."""
    renamed = more.pop("renamed", {})
    done = await world.runs.migrate(run_id, MigrationRequest(plan, renamed), **more)
    await wait_for_version(world, run_id, plan.version)
    return done


async def wait_for_version(world: World, run_id: str, version: int) -> Run:
    async def has_moved() -> Run | None:
        run = await world.runs.reader.read_document(run_id)
        return run if run.workflow_version == version and run.steps else None

    found: Run = await wait_until(has_moved)
    return found


async def require_same_replay(world: World, run_id: str) -> None:
    """Fail where an execution of a run does not replay."""
    executions = await list_executions(world.client, run_id)

    assert len(executions) > 1
    assert await find_mismatches([WorkflowHistory.from_json(name, history) for name, history in executions]) == {}


class Moved(NamedTuple):
    """A run that has moved while it was asleep."""

    run_id: str
    script: Script
    done: dict[str, Any]
    before: Run
    after: Run


@pytest.fixture(scope="module", autouse=True)
async def asleep(world: World) -> Moved:
    """Move a run before the first test of this module; its delay passes until the last one."""
    customer, script = world.script()
    nodes = {"a": "work", "nap": {**NAP, "delay_seconds": 20}}
    old = make_version(1, nodes, "trigger -> a", "a -> nap", customer=customer)
    new = make_version(
        2,
        {"a": "work", "nap": NAP, "b": {"type": "action", "action": "work", "config": {"rate": "{{ rate }}"}}},
        "trigger -> a", "a -> nap", "nap -> b", customer=customer, variables={"rate": 2},
    )  # fmt: skip
    run_id = await world.start(old)
    before = await world.wait_for_waiting(run_id, "delay")
    done = await move(world, run_id, new, by="Ada", reason="b was missing")
    return Moved(run_id, script, done, before, await world.wait_for_waiting(run_id, "delay"))


async def test_a_run_keeps_an_event_that_came_early(world: World) -> None:
    customer, _ = world.script()
    first = {"type": "wait", "config": {"event": "first"}, "outputs": ["payload"]}
    old = make_version(1, {"one": first}, "trigger -> one", customer=customer)
    late = {"two": {**ASK, "outputs": ["payload"]}}
    new = make_version(2, {"one": first, **late}, "trigger -> one", "one -> two", customer=customer)
    run_id = await world.start(old)
    await world.wait_for_waiting(run_id, "event")
    await world.runs.send_event(run_id, "go", {"n": 1})
    await move(world, run_id, new)
    await world.runs.send_event(run_id, "first", {"n": 2})
    run = await world.wait_for_end(run_id)

    assert [step.output_data["payload"] for step in run.steps] == [{"n": 2}, {"n": 1}]


async def test_a_paused_run_stays_paused_and_leaves_the_last_node_by_the_new_edges(world: World) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    old = make_version(1, {"a": "work", "c": "work"}, "trigger -> a", "a -> c", customer=customer)
    nodes = {"a": "work", "b": "work", "c": "work"}
    new = make_version(2, nodes, "trigger -> a", "a -> b", "b -> c", customer=customer)
    run_id = await world.start(old)
    await wait_until(lambda: has_called(script, "a"))
    await world.runs.pause(run_id)
    script.gates["a"].set()
    await world.wait_for_waiting(run_id, "paused")
    await move(world, run_id, new)
    paused = await world.wait_for_waiting(run_id, "paused")
    await world.runs.resume(run_id)
    run = await world.wait_for_end(run_id)

    assert [wait["node_id"] for wait in paused.waiting_for] == ["b"]
    assert script.list_nodes() == ["a", "b", "c"]
    assert [each.kind for each in run.interventions] == ["pause", "migrate", "resume"]
    await require_same_replay(world, run_id)


async def has_called(script: Any, *nodes: str) -> bool:
    return set(nodes) <= set(script.list_nodes())


async def test_a_run_at_work_moves_when_its_action_has_ended(world: World) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    old = make_version(1, {"a": "work", "gone": "work"}, "trigger -> a", "a -> gone", customer=customer)
    new = make_version(2, {"a": "work", "b": "work"}, "trigger -> a", "a -> b", customer=customer)
    run_id = await world.start(old)
    await wait_until(lambda: has_called(script, "a"))
    await world.runs.migrate(run_id, MigrationRequest(new))
    pending = await world.runs.reader.read_document(run_id)
    with pytest.raises(OperationRefused, match="the run is about to move to version 2"):
        await world.runs.migrate(run_id, MigrationRequest(new))
    script.gates["a"].set()
    run = await world.wait_for_end(run_id)

    assert (pending.workflow_version, pending.moving_to) == (1, 2)
    assert (run.workflow_version, run.moving_to, script.list_nodes()) == (2, None, ["a", "b"])
    await require_same_replay(world, run_id)


async def test_a_run_between_two_attempts_moves_when_the_action_has_ended(world: World) -> None:
    customer, script = world.script({"flaky": [LOCKED, {"output": {}}]})
    first, second = asyncio.Event(), asyncio.Event()
    flaky = {"type": "action", "action": "flaky", "retry": {"initial_interval": 2}}
    old = make_version(1, {"a": flaky}, "trigger -> a", customer=customer)
    new = make_version(2, {"a": flaky, "b": "work"}, "trigger -> a", "a -> b", customer=customer)
    script.gates["a"] = first
    run_id = await world.start(old)
    await wait_until(lambda: has_called(script, "a"))
    script.gates["a"] = second
    first.set()

    async def has_failed_once() -> bool:
        run = await world.runs.reader.read_document(run_id)
        return run.status == "retrying" or len(script.calls) == 2

    await wait_until(has_failed_once)
    await world.runs.migrate(run_id, MigrationRequest(new))
    second.set()
    run = await world.wait_for_end(run_id)

    assert [(step.id, step.retry_count) for step in run.steps] == [("a", 1), ("b", 0)]


async def test_a_loop_goes_on_in_its_iteration_with_the_new_body(world: World) -> None:
    customer, script = world.script()
    loop = {"type": "loop", "collection": 3, "config": {"collect": "{{ item }}"}}
    body = {"ask": ASK, "b": "work"}
    old = make_version(1, {"each": {**loop, "body": ["ask"]}, **body}, "trigger -> each", "ask -> b", customer=customer)
    new = make_version(
        2,
        {"all": {**loop, "body": ["ask"]}, **body, "c": "work"},
        "trigger -> all", "ask -> b", "b -> c", customer=customer,
    )  # fmt: skip
    run_id = await world.start(old)
    await world.runs.send_event(run_id, "go")

    async def is_in_second() -> bool:
        run = await world.runs.reader.read_document(run_id)
        return any(wait["step_id"] == "each[1]/ask" for wait in run.waiting_for)

    await wait_until(is_in_second)
    with pytest.raises(OperationRefused, match="'each' is in progress, and version 2 has no such node"):
        await world.runs.migrate(run_id, MigrationRequest(new))
    await move(world, run_id, new, renamed={"each": "all"})
    for _ in range(2):
        await world.runs.send_event(run_id, "go")
    run = await world.wait_for_end(run_id)

    assert script.list_nodes() == ["b", "b", "c", "b", "c"]
    loop_step = next(step for step in run.steps if step.id == "each")
    assert (loop_step.node_id, loop_step.status) == ("all", "completed")
    assert loop_step.output_data["items"] == [0, 1, 2]
    assert [step.id for step in run.steps if step.node_id == "c"] == ["each[1]/c", "each[2]/c"]
    await require_same_replay(world, run_id)


async def test_inline_branches_and_concurrent_iterations_move_together(world: World) -> None:
    customer, script = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["each"], ["left"]], "config": {"mode": "inline"}},
        "each": {"type": "loop", "collection": 3, "body": ["ask"], "config": {"max_concurrency": 3}},
        "ask": ASK,
        "left": "work",
        "nap": NAP,
    }
    edges = ["trigger -> fork", "left -> nap"]
    old = make_version(1, nodes, *edges, customer=customer)
    added = {"b": "work", "end": "work", "right": "work", "more": {"type": "set", "config": {"right": "x"}}}
    nodes["fork"] = {**nodes["fork"], "branches": [["each"], ["left"], ["more"]]}
    new = make_version(2, {**nodes, **added}, *edges, "ask -> b", "nap -> right", "fork -> end", customer=customer)
    run_id = await world.start(old)
    await world.wait_for_waiting(run_id, "event")
    await world.wait_for_waiting(run_id, "delay")
    await move(world, run_id, new)
    await world.runs.send_event(run_id, "go")
    await world.runs.send_event(run_id, "go")
    await world.runs.send_event(run_id, "go")
    await world.runs.repair(run_id, {"kind": "skip_wait", "node_id": "nap"})
    run = await world.wait_for_end(run_id)

    assert run.status == "completed"
    assert sorted(script.list_nodes()) == ["b", "b", "b", "end", "left", "right"]
    assert run.output == {"right": "x"}
    await require_same_replay(world, run_id)


async def test_a_step_that_waits_for_an_operator_keeps_its_id_and_its_key_under_another_name(world: World) -> None:
    customer, script = world.script({"door": [LOCKED, {"output": {}}]})
    old = make_version(1, {"open": DOOR}, "trigger -> open", customer=customer)
    new = make_version(2, {"unlock": DOOR, "b": "work"}, "trigger -> unlock", "unlock -> b", customer=customer)
    run_id = await world.start(old)
    await world.wait_for_waiting(run_id, "operator")
    await move(world, run_id, new, renamed={"open": "unlock"})
    await world.runs.resolve(run_id, "unlock", "retry")
    run = await world.wait_for_end(run_id)

    assert [(step.id, step.node_id, step.status) for step in run.steps] == [
        ("open", "unlock", "completed"),
        ("b", "b", "completed"),
    ]
    keys = [call["context"]["idempotency_key"] for call in script.list_calls("door")]
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_compensations_that_are_owed_are_called_in_the_new_version(world: World) -> None:
    customer, _script = world.script({"break": LOCKED})
    pay = {"type": "action", "action": "work", "compensate": {"action": "work", "config": {"undo": 1}}}
    old = make_version(1, {"pay": pay, "ask": ASK}, "trigger -> pay", "pay -> ask", customer=customer)
    broken = {"type": "action", "action": "break", "retry": {"maximum_attempts": 1}}
    new = make_version(2, {"ask": ASK, "broken": broken}, "trigger -> ask", "ask -> broken", customer=customer)
    run_id = await world.start(old)
    await world.wait_for_waiting(run_id, "event")
    await move(world, run_id, new)
    await world.runs.send_event(run_id, "go")
    run = await world.wait_for_end(run_id)

    assert run.status == "failed"
    assert [step.id for step in run.steps] == ["pay", "ask", "broken", "pay/compensate"]


async def test_a_run_that_has_moved_is_rerun_from_a_step_since_but_not_from_one_before(world: World) -> None:
    customer, script = world.script({"flaky": [LOCKED, {"output": {}}]})
    nodes = {"a": "work", "ask": ASK}
    old = make_version(1, nodes, "trigger -> a", "a -> ask", customer=customer)
    flaky = {"type": "action", "action": "flaky", "retry": {"maximum_attempts": 1}}
    new = make_version(
        2, {**nodes, "b": "work", "c": flaky}, "trigger -> a", "a -> ask", "ask -> b", "b -> c", customer=customer
    )
    run_id = await world.start(old)
    await world.wait_for_waiting(run_id, "event")
    await move(world, run_id, new)
    await world.runs.send_event(run_id, "go")
    failed = await world.wait_for_end(run_id)
    plan = world.runs.reader.reruns.plan
    with pytest.raises(OperationRefused, match="it was of version 1 then, and has moved to version 2 since"):
        await plan(customer, run_id, Changes(Target("a")), "again-a")
    with pytest.raises(OperationRefused, match="a run cannot begin at 'd': it did not run"):
        await plan(customer, run_id, Changes(Target("d")), "again-d")
    again = await world.runs.start(world.runs.prepare_rerun(await plan(customer, run_id, Changes(), f"{run_id}-again")))
    run = await world.wait_for_end(again.id)

    assert (failed.status, run.status, run.workflow_version) == ("failed", "completed", 2)
    assert script.list_nodes() == ["a", "b", "c", "c"]
    assert [step.id for step in run.steps if step.reused] == ["ask", "b"]
    assert [step.id for step in failed.steps] == ["a", "ask", "b", "c"]


async def test_a_move_that_does_not_fit_is_refused_with_all_reasons(world: World) -> None:
    customer, _ = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["a"], ["b"], ["each"]], "config": {"mode": "inline"}},
        "a": ASK,
        "b": NAP,
        "each": {"type": "loop", "collection": 2, "body": ["c"], "config": {"max_concurrency": 2}},
        "c": ASK,
    }
    old = make_version(1, nodes, "trigger -> fork", customer=customer)
    other = {
        **nodes,
        "a": {"type": "wait", "config": {"event": "other"}},
        "b": ASK,
        "each": {**nodes["each"], "body": ["d"], "item_variable": "row"},
        "d": "work",
        "c": ASK,
    }
    new = make_version(2, other, "trigger -> fork", "fork -> c", customer=customer, settings={"timeout_seconds": 0.01})
    run_id = await world.start(old)

    async def are_waiting() -> bool:
        return len((await world.runs.reader.read_document(run_id)).waiting_for) == 4

    await wait_until(are_waiting)
    with pytest.raises(OperationRefused) as refusal:
        await world.runs.migrate(run_id, MigrationRequest(new, {"x": "y"}))
    assert "no node 'x' to rename; version 2 has no node 'y'" in str(refusal.value)
    with pytest.raises(OperationRefused) as refusal:
        await world.runs.migrate(run_id, MigrationRequest(new))
    for reason in (
        "the run has lasted longer than the 0.01 s that version 2 allows",
        "'a' in fork[0] is in progress, and its `event` differs",
        "'b' in fork[1] is in progress, and its type is `delay`, and `wait` in version 2",
        "'each' in fork[2] is in progress, and its `item_variable` differs",
    ):
        assert reason in str(refusal.value)
    preview = await world.runs.reader.migrations.preview(customer, run_id, MigrationRequest(new))
    assert len(preview.problems) == 4
    await world.runs.cancel(run_id)


async def test_branches_in_child_workflows_have_to_end_first(world: World) -> None:
    customer, _ = world.script()
    nodes = {"fork": {"type": "parallel", "branches": [["a"], ["b"]]}, "a": ASK, "b": "work"}
    old = make_version(1, nodes, "trigger -> fork", customer=customer)
    new = make_version(2, {**nodes, "c": "work"}, "trigger -> fork", "fork -> c", customer=customer)
    run_id = await world.start(old)
    await world.wait_for_waiting(run_id, "event")
    with pytest.raises(OperationRefused, match="its branches are under way as child workflows: let them end first"):
        await world.runs.migrate(run_id, MigrationRequest(new))
    await world.runs.send_event(run_id, "go")
    await world.wait_for_end(run_id)


async def test_a_called_workflow_is_not_touched_and_the_run_moves_after_it(world: World) -> None:
    customer, script = world.script()
    callee = make_definition_of_callee(customer)
    nodes = {"call": {"type": "workflow", "config": {"workflow_id": "callee"}}}
    old = make_version(1, nodes, "trigger -> call", customer=customer, workflows={"callee": callee})
    new = make_version(
        2, {**nodes, "b": "work"}, "trigger -> call", "call -> b", customer=customer, workflows={"callee": callee}
    )
    run_id = await world.start(old)
    child = (await world.wait_for_waiting(run_id, "child")).waiting_for[0]["run_id"]
    await world.wait_for_waiting(child, "event")
    await world.runs.migrate(run_id, MigrationRequest(new))
    assert (await world.runs.reader.read_document(run_id)).moving_to == 2
    await world.runs.send_event(child, "go")
    run = await world.wait_for_end(run_id)

    assert (run.workflow_version, script.list_nodes()) == (2, ["b"])
    await require_same_replay(world, run_id)


def make_definition_of_callee(customer: str) -> dict[str, Any]:
    return make_definition({"ask": ASK}, "trigger -> ask") | {"id": "callee", "customer_id": customer}


async def test_a_run_that_has_come_to_where_it_no_longer_fits_stays_and_says_so(world: World) -> None:
    """A called workflow holds the move up, and the other path goes on to a node that the version lacks."""
    customer, script = world.script()
    callee = make_definition_of_callee(customer)
    nodes = {
        "fork": {"type": "parallel", "branches": [["call"], ["first"]], "config": {"mode": "inline"}},
        "call": {"type": "workflow", "config": {"workflow_id": "callee"}},
        "first": ASK,
        "second": {"type": "wait", "config": {"event": "last"}},
        "end": "work",
    }
    edges = ["trigger -> fork", "first -> second", "fork -> end"]
    old = make_version(1, nodes, *edges, customer=customer, workflows={"callee": callee})
    nodes = {name: node for name, node in nodes.items() if name != "second"}
    edges = ["trigger -> fork", "fork -> end"]
    new = make_version(2, nodes, *edges, customer=customer, workflows={"callee": callee})
    run_id = await world.start(old)
    child = next(w for w in (await world.wait_for_waiting(run_id, "child")).waiting_for if w["kind"] == "child")
    await world.wait_for_waiting(child["run_id"], "event")
    await world.runs.migrate(run_id, MigrationRequest(new), by="Ada")
    await world.runs.send_event(run_id, "go")

    async def is_at_second() -> bool:
        run = await world.runs.reader.read_document(run_id)
        return any(wait["node_id"] == "second" for wait in run.waiting_for)

    await wait_until(is_at_second)
    await world.runs.send_event(child["run_id"], "go")

    async def has_stayed() -> bool:
        run = await world.runs.reader.read_document(run_id)
        return bool(run.interventions[0].refused)

    await wait_until(has_stayed)
    await world.runs.send_event(run_id, "last")
    run = await world.wait_for_end(run_id)

    assert (run.status, run.workflow_version, run.moving_to) == ("completed", 1, None)
    assert run.interventions[0].refused == ["'second' in fork[1] is in progress, and version 2 has no such node"]
    assert script.list_nodes() == ["end"]


async def test_a_run_that_ends_before_its_move_says_that_it_has_not_moved(world: World) -> None:
    customer, script = world.script({"break": LOCKED})
    script.gates["a"] = asyncio.Event()
    nodes = {"a": {"type": "action", "action": "break", "retry": {"maximum_attempts": 1}}}
    old = make_version(1, nodes, "trigger -> a", customer=customer)
    run_id = await world.start(old)
    await wait_until(lambda: has_called(script, "a"))
    await world.runs.migrate(run_id, MigrationRequest(old.model_copy(update={"version": 2})))
    script.gates["a"].set()
    run = await world.wait_for_end(run_id)

    assert (run.status, run.workflow_version, run.moving_to) == ("failed", 1, None)
    assert run.interventions[0].refused == ["the run has ended"]


async def test_a_cancelled_run_does_not_move(world: World) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    pay = {"type": "action", "action": "work", "compensate": {"action": "work", "config": {}}}
    nodes = {"pay": pay, "a": "work"}
    settings = {"compensate": "both"}
    old = make_version(1, nodes, "trigger -> pay", "pay -> a", customer=customer, settings=settings)
    run_id = await world.start(old)
    await wait_until(lambda: has_called(script, "a"))
    await world.runs.migrate(run_id, MigrationRequest(old.model_copy(update={"version": 2})))
    await world.runs.cancel(run_id)
    script.gates["a"].set()
    run = await world.wait_for_end(run_id)

    assert (run.status, run.workflow_version) == ("cancelled", 1)
    assert run.interventions[0].refused == ["the run was cancelled"]
    assert "pay/compensate" in [step.id for step in run.steps]


async def test_fused_actions_move_at_the_boundary(world: World) -> None:
    customer, script = world.script()
    settings = {"execution": "local"}
    nodes = {"each": {"type": "loop", "collection": 400, "body": ["a"]}, "a": "work", "nap": NAP}
    old = make_version(1, nodes, "trigger -> each", "each -> nap", customer=customer, settings=settings)
    new = make_version(
        2, {**nodes, "b": "work"}, "trigger -> each", "a -> b", "each -> nap", customer=customer, settings=settings
    )
    run_id = await world.start(old)
    await wait_until(lambda: has_called(script, "a"))
    await world.runs.migrate(run_id, MigrationRequest(new))
    await wait_for_version(world, run_id, 2)
    await world.wait_for_waiting(run_id, "delay")
    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert run.workflow_version == 2
    assert script.list_nodes().count("a") == 400
    await require_same_replay(world, run_id)


async def test_without_a_worker_a_run_does_not_move_and_does_not_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "UPDATE_SECONDS", 1.5)
    monkeypatch.setattr(updates, "TAKEN_SECONDS", 1.0)
    settings = world.runs.settings.model_copy(update={"task_queue": "moves alone"})
    lonely = replace(world, runs=type(world.runs)(world.client, settings), queue="moves alone")
    customer, script = lonely.script()
    old = make_version(1, {"ask": ASK}, "trigger -> ask", customer=customer)
    new = make_version(2, {"ask": ASK, "b": "work"}, "trigger -> ask", "ask -> b", customer=customer)
    async with run_scripted_worker(lonely):
        run_id = await lonely.start(old)
        await lonely.wait_for_waiting(run_id, "event")
    with pytest.raises(ServerUnavailable, match="no worker answers"):
        await lonely.runs.migrate(run_id, MigrationRequest(new))
    async with run_scripted_worker(lonely):
        await lonely.runs.send_event(run_id, "go")
        run = await lonely.wait_for_end(run_id)

    assert (run.workflow_version, run.interventions, script.list_nodes()) == (1, [], [])


async def test_a_run_asleep_keeps_the_end_of_its_delay_and_runs_a_node_that_was_added_behind(
    world: World, asleep: Moved
) -> None:
    run_id, script, done, before, after = asleep
    run = await world.wait_for_end(run_id)
    summary = await world.runs.visibility.read_summary(run_id)

    assert (done["kind"], done["version"], done["by"], done["reason"]) == ("migrate", 2, "Ada", "b was missing")
    assert after.waiting_for[0]["until"] == before.waiting_for[0]["until"]
    assert (after.moving_to, after.workflow_version, summary.workflow_version) == (None, 2, 2)
    assert (run.status, [step.id for step in run.steps]) == ("completed", ["a", "nap", "b"])
    assert script.list_nodes() == ["a", "b"]
    assert run.steps[2].input_data == {"rate": 2}
    assert [(each.kind, each.version, each.refused) for each in run.interventions] == [("migrate", 2, [])]
    await require_same_replay(world, run_id)
