"""What is undone on Temporal where a scope is given up, a run is cancelled, or both happen at once."""

import asyncio
from typing import Any

import pytest

from orchestrator.simulator.simulate import simulate
from tests.temporal.world import World, make_definition, make_plan, wait_for_call

pytestmark = pytest.mark.temporal

CHARGE = {"type": "action", "action": "charge", "compensate": {"action": "refund", "config": {"of": "{{ item }}"}}}
BROKEN = {"broken": {"error": {"message": "no", "recoverable": False}}}
SLEEP = {"type": "delay", "delay_seconds": 600}
SHOP_NODES = {"pay": CHARGE, "sleep": SLEEP}
RACE = {
    "fork": {"type": "parallel", "branches": [["nap"], ["order"]], "config": {"join": "any"}},
    "nap": {"type": "delay", "delay_seconds": 1},
    "order": {"type": "workflow", "config": {"workflow_id": "shop"}},
}


def make_shop(**settings: Any) -> dict[str, Any]:
    return make_definition(SHOP_NODES, "trigger -> pay", "pay -> sleep", settings=settings)


async def wait_until_shop_sleeps(world: World, run_id: str) -> None:
    """Wait until the called workflow has paid."""
    run = await world.wait_for_waiting(run_id, "child")
    shop = next(step.run_id for step in run.steps if step.node_id == "order")
    assert shop is not None
    await world.wait_for_waiting(shop, "delay")


@pytest.mark.parametrize("mode", ["child", "inline"])
async def test_a_called_workflow_in_a_scope_that_is_given_up_undoes_itself(world: World, mode: str) -> None:
    """No person has cancelled it: it is undone as after a failure, which is the default."""
    customer, script = world.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["ask"], ["order"]], "config": {"join": "any", "mode": mode}},
        "ask": {"type": "wait", "config": {"event": "go"}},
        "order": RACE["order"],
    }
    plan = make_plan(nodes, "trigger -> fork", customer=customer, workflows={"shop": make_shop()})
    run_id = await world.start(plan)
    await wait_until_shop_sleeps(world, run_id)
    await world.runs.send_event(run_id, "go")
    run = await world.wait_for_end(run_id)

    assert run.status == "completed"
    assert [call["action"] for call in script.calls] == ["charge", "refund"]


async def test_the_simulator_undoes_a_called_workflow_that_is_given_up() -> None:
    called: list[str] = []

    async def charge(parameters: Any) -> Any:
        called.append("charge")

    async def refund(parameters: Any) -> Any:
        called.append("refund")

    definition = make_definition(RACE, "trigger -> fork")
    run = simulate(definition, workflows={"shop": make_shop()}, actions={"charge": charge, "refund": refund})

    assert (run.status, called) == ("completed", ["charge", "refund"])


@pytest.mark.parametrize(("compensate", "undone"), [("on_failure", 0), ("on_cancel", 1), ("both", 1), ("never", 0)])
async def test_a_called_workflow_that_a_person_cancels_with_its_caller_follows_its_own_setting(
    world: World, compensate: str, undone: int
) -> None:
    customer, script = world.script()
    order = {"order": RACE["order"]}
    shop = make_shop(compensate=compensate)
    plan = make_plan(order, "trigger -> order", customer=customer, workflows={"shop": shop})
    run_id = await world.start(plan)
    await wait_until_shop_sleeps(world, run_id)
    await world.runs.cancel(run_id)

    assert (await world.wait_for_end(run_id)).status == "cancelled"
    assert len(script.list_calls("refund")) == undone


async def test_a_cancellation_waits_for_an_item_that_is_being_undone(world: World) -> None:
    """The compensation had been taken off what is to be undone: cancelled with the run, it would have been lost."""
    customer, script = world.script(BROKEN)
    gate = script.gates["refund"] = asyncio.Event()
    config = {"on_item_error": "continue"}
    nodes = {
        "each": {"type": "loop", "collection": 2, "body": ["pay"], "config": config},
        "pay": CHARGE,
        "bad": "broken",
    }
    settings = {"compensate": "both"}
    plan = make_plan(nodes, "trigger -> each", "pay -> bad", customer=customer, settings=settings)
    run_id = await world.start(plan)
    await wait_for_call(script, "refund")
    await world.runs.cancel(run_id)
    gate.set()
    run = await world.wait_for_end(run_id)

    assert run.status == "cancelled"
    assert [call["action"] for call in script.calls] == ["charge", "broken", "refund"]
    assert {step.id: step.status for step in run.steps}["each[0]/pay/compensate"] == "completed"


async def test_a_run_that_a_person_cancels_undoes_under_on_failure_only_what_was_given_up_before(world: World) -> None:
    customer, script = world.script(BROKEN)
    config = {"on_item_error": "continue"}
    nodes = {
        "each": {"type": "loop", "collection": 2, "body": ["pay"], "config": config},
        "pay": CHARGE,
        "first": {"type": "condition", "condition": {"field": "item", "operator": "equals", "value": 0}},
        "bad": "broken",
        "sleep": SLEEP,
    }
    edges = ("trigger -> each", "pay -> first", "first -true-> bad", "first -false-> sleep")
    run_id = await world.start(make_plan(nodes, *edges, customer=customer))
    await world.wait_for_waiting(run_id, "delay")
    await world.runs.cancel(run_id)

    assert (await world.wait_for_end(run_id)).status == "cancelled"
    assert [call["parameters"]["of"] for call in script.list_calls("refund")] == [0]
