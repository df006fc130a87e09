"""Wide loops in batches: what people see and do is the same as in a loop of one workflow."""

import asyncio
import os
from typing import Any

import pytest

from orchestrator.model.plan import BATCH_ITERATIONS, Plan
from tests.golden import limit_batches
from tests.temporal.world import World, make_plan, wait_until

pytestmark = pytest.mark.temporal

LOCKED = {"error": {"message": "locked", "recoverable": False}}
ITEMS = int(os.environ.get("WIDE_LOOP_ITEMS", "2000"))


def make_wide_plan(nodes: dict[str, Any], *edges: str, customer: str, batch: int = 2, **more: Any) -> Plan:
    return limit_batches(make_plan(nodes, *edges, customer=customer, **more), batch)


def wide(collection: Any, *body: str, **config: Any) -> dict[str, Any]:
    return {"type": "loop", "collection": collection, "body": list(body), "config": {"max_concurrency": 4, **config}}


@pytest.mark.slow
async def test_thousands_of_items_cost_the_run_a_few_events_for_each_batch(world: World) -> None:
    customer, _ = world.script({"work": {"output": {"n": "{{ params.n }}"}}})
    nodes = {
        "each": wide(ITEMS, "a", max_concurrency=50, collect="{{ steps.a.output.n }}"),
        "a": {"type": "action", "action": "work", "config": {"n": "{{ item }}"}, "execution": "local"},
    }
    run_id = await world.start(make_plan(nodes, "trigger -> each", customer=customer))
    run = await world.wait_for_end(run_id)
    history = await world.client.get_workflow_handle(run_id).fetch_history()
    (each,) = (step for step in run.steps if step.id == "each")

    assert (run.status, run.steps_completed) == ("completed", ITEMS + 1)
    assert each.output_data == {
        "count": ITEMS, "succeeded": ITEMS, "failed": 0, "errors": [], "items": list(range(ITEMS))
    }  # fmt: skip
    assert len(history.events) < 20 + 12 * -(-ITEMS // BATCH_ITERATIONS)


async def test_a_wide_loop_that_is_cancelled_cancels_its_batches_and_undoes_what_they_have_done(world: World) -> None:
    customer, script = world.script()
    nodes = {
        "each": wide(6, "a"),
        "a": {"type": "action", "action": "charge", "compensate": {"action": "refund", "config": {"n": "{{ item }}"}}},
        "ask": {"type": "delay", "delay_seconds": 3600},
    }
    settings = {"compensate": "on_cancel"}
    plan = make_wide_plan(nodes, "trigger -> each", "a -> ask", customer=customer, settings=settings)
    run_id = await world.start(plan)

    async def has_charged() -> bool:
        run = await world.runs.reader.read_document(run_id)
        return sum(1 for step in run.steps if step.node_id == "ask") == 4

    await wait_until(has_charged)
    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert run.status == "cancelled"
    assert sorted(call["parameters"]["n"] for call in script.list_calls("refund")) == [0, 1, 2, 3]
    assert {step.status for step in run.steps if step.node_id == "ask"} == {"cancelled"}


async def test_operators_reach_the_items_of_a_batch(world: World) -> None:
    customer, script = world.script({"broken": [LOCKED, LOCKED, {"output": {"n": 9}}]})
    nodes = {
        "each": wide(4, "c", collect="{{ steps.a.output.n ?? x }}"),
        "c": {"type": "condition", "condition": {"field": "item", "operator": "in", "value": [1, 2]}},
        "a": {"type": "action", "action": "broken", "on_error": "pause"},
        "b": {"type": "set", "config": {"x": "{{ item }}"}},
    }
    edges = ("trigger -> each", "c -true-> a", "c -false-> b")
    run_id = await world.start(make_wide_plan(nodes, *edges, customer=customer))

    async def are_both_waiting() -> bool:
        run = await world.runs.reader.read_document(run_id)
        return sum(1 for wait in run.waiting_for if wait["kind"] == "operator") == 2

    await wait_until(are_both_waiting)
    assert await world.runs.resolve(run_id, "each[2]/a", "retry") == "each[2]/a"
    await world.runs.repair(run_id, {"kind": "set_result", "step_id": "each[1]/a", "result": {"n": 7}}, by="Ada")
    run = await world.wait_for_end(run_id)

    assert run.status == "completed"
    assert next(step.output_data for step in run.steps if step.id == "each")["items"] == [0, 7, 9, 3]
    assert [(each.kind, each.step_id) for each in run.interventions] == [
        ("resolve", "each[2]/a"), ("set_result", "each[1]/a")
    ]  # fmt: skip
    assert len(script.list_calls("broken")) == 3


async def test_an_event_with_a_key_reaches_its_item(world: World) -> None:
    customer, _ = world.script()
    wait = {"type": "wait", "config": {"event": "paid", "key": "order={{ item }}"}}
    nodes = {"each": wide(4, "ask", collect="{{ steps.ask.output.payload }}"), "ask": wait}
    run_id = await world.start(make_wide_plan(nodes, "trigger -> each", customer=customer))
    await world.wait_for_waiting(run_id, "event")
    for number in (3, 1, 0, 2):
        await world.runs.send_event(run_id, "paid", number * 10, event_key=f"order={number}")
    run = await world.wait_for_end(run_id)

    assert next(step.output_data for step in run.steps if step.id == "each")["items"] == [0, 10, 20, 30]


async def test_a_paused_run_begins_no_further_batch(world: World) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    nodes = {"each": wide(8, "a", max_concurrency=2), "a": "work"}
    run_id = await world.start(make_wide_plan(nodes, "trigger -> each", customer=customer))

    async def has_called() -> bool:
        return len(script.calls) == 2

    await wait_until(has_called)
    await world.runs.pause(run_id)
    script.gates["a"].set()
    paused = await world.wait_for_waiting(run_id, "paused")
    calls = len(script.calls)
    await world.runs.resume(run_id)
    run = await world.wait_for_end(run_id)

    assert (paused.status, calls) == ("waiting", 2)
    assert (run.status, len(script.calls)) == ("completed", 8)
