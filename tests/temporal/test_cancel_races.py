"""An action that completes while its branch or run is being cancelled is recorded, and undone."""

import asyncio
from typing import Any

import pytest

from orchestrator.model.plan import Plan
from orchestrator.model.run import Run
from tests.temporal.answers import Script
from tests.temporal.world import World, add_heartbeats, make_plan, wait_until

pytestmark = pytest.mark.temporal

CHARGE = {"type": "action", "action": "charge", "compensate": {"action": "refund", "config": {}}}
BROKEN = {"broken": {"error": {"message": "no", "recoverable": False}}}
MODES = pytest.mark.parametrize("mode", ["child", "inline"])


async def run_race(world: World, nodes: dict[str, Any], *edges: str, **more: Any) -> tuple[Run, Script]:
    """Run a plan whose node `pay` completes only when it is cancelled."""
    run_id, script = await start_race(world, nodes, *edges, **more)
    return await world.wait_for_end(run_id), script


async def start_race(world: World, nodes: dict[str, Any], *edges: str, **more: Any) -> tuple[str, Script]:
    customer, script = world.script(BROKEN)
    script.gates["charge"] = asyncio.Event()
    script.stubborn = frozenset({"pay"})
    plan = make_plan({"pay": CHARGE, **nodes}, *edges, customer=customer, **more)
    return await world.start(Plan.model_validate(add_heartbeats(plan.to_json(), "charge"))), script


def collect_statuses(run: Run) -> dict[str, str]:
    return {step.id: step.status for step in run.steps}


def fork(mode: str, *branches: list[str], **config: Any) -> dict[str, Any]:
    return {"type": "parallel", "branches": list(branches), "config": {"mode": mode, **config}}


@MODES
async def test_fail_fast(world: World, mode: str) -> None:
    """The result is ready when the cancelled branch has nothing left to await: its task must not end as cancelled."""
    nodes = {
        "fork": fork(mode, ["nap"], ["pay"]),
        "nap": {"type": "delay", "delay_seconds": 0.3},
        "bad": "broken",
    }
    run, script = await run_race(world, nodes, "trigger -> fork", "nap -> bad")

    assert run.status == "failed"
    assert len(script.list_calls("refund")) == 1
    assert collect_statuses(run)["fork[1]/pay"] == "completed"
    assert collect_statuses(run)["fork[1]/pay/compensate"] == "completed"


@MODES
async def test_no_further_node_of_the_cancelled_branch_starts(world: World, mode: str) -> None:
    nodes = {
        "fork": fork(mode, ["nap"], ["pay"]),
        "nap": {"type": "delay", "delay_seconds": 0.3},
        "bad": "broken",
        "note": {"type": "set", "config": {"charged": True}},
        "ship": "ship",
    }
    run, script = await run_race(world, nodes, "trigger -> fork", "nap -> bad", "pay -> note", "note -> ship")

    assert len(script.list_calls("refund")) == 1
    assert collect_statuses(run).keys() & {"fork[1]/note", "fork[1]/ship"} == set()


@MODES
async def test_a_loser_of_a_race_is_undone_when_the_run_fails(world: World, mode: str) -> None:
    nodes = {
        "fork": fork(mode, ["nap"], ["pay"], join="any"),
        "nap": {"type": "delay", "delay_seconds": 0.3},
        "bad": "broken",
    }
    run, script = await run_race(world, nodes, "trigger -> fork", "fork -> bad")

    assert (run.status, len(script.list_calls("refund"))) == ("failed", 1)
    assert [entry["status"] for entry in run.steps[0].output_data["branches"]] == ["completed", "cancelled"]
    assert collect_statuses(run)["fork[1]/pay"] == "completed"


@MODES
async def test_the_time_limit_of_a_parallel(world: World, mode: str) -> None:
    nodes = {"fork": {**fork(mode, ["pay"]), "timeout_seconds": 0.5}}
    run, script = await run_race(world, nodes, "trigger -> fork")

    assert run.failure is not None
    assert (run.failure["error_type"], len(script.list_calls("refund"))) == ("timeout_error", 1)
    assert collect_statuses(run)["fork[0]/pay"] == "completed"


@pytest.mark.parametrize("mode", ["child", "inline", "none"])
async def test_the_time_limit_of_a_run(world: World, mode: str) -> None:
    nodes = {} if mode == "none" else {"fork": fork(mode, ["pay"])}
    first = "pay" if mode == "none" else "fork"
    run, script = await run_race(world, nodes, f"trigger -> {first}", settings={"timeout_seconds": 0.5})

    assert run.failure is not None
    assert (run.failure["error_type"], len(script.list_calls("refund"))) == ("timeout_error", 1)


@pytest.mark.parametrize("mode", ["child", "inline", "none"])
@pytest.mark.parametrize("last", [True, False])
async def test_the_cancellation_of_a_run(world: World, mode: str, last: bool) -> None:
    """A cancellation that was accepted never ends as completed."""
    nodes = {} if mode == "none" else {"fork": fork(mode, ["pay"])}
    first = "pay" if mode == "none" else "fork"
    edges = [f"trigger -> {first}", *([] if last else [f"{first} -> ship"])]
    nodes |= {} if last else {"ship": "ship"}
    run_id, script = await start_race(world, nodes, *edges, settings={"compensate": "both"})

    async def has_called() -> bool:
        return bool(script.calls)

    await wait_until(has_called)
    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert (run.status, [call["action"] for call in script.calls]) == ("cancelled", ["charge", "refund"])


@MODES
async def test_a_join_that_is_reached_does_not_wait_for_its_losers(world: World, mode: str) -> None:
    """They end before the run does."""
    customer, script = world.script()
    gate = script.gates["after"] = asyncio.Event()
    script.gates["charge"] = asyncio.Event()
    script.stubborn = frozenset({"pay"})
    nodes = {
        "pay": CHARGE,
        "fork": fork(mode, ["nap"], ["pay"], join="any"),
        "nap": {"type": "delay", "delay_seconds": 0.2},
        "after": "after",
    }
    plan = make_plan(nodes, "trigger -> fork", "fork -> after", customer=customer)
    plan = Plan.model_validate(add_heartbeats(plan.to_json(), "charge"))
    run_id = await world.start(plan)

    async def is_after() -> bool:
        return bool(script.list_calls("after"))

    await wait_until(is_after)
    calls_before_the_loser_learned = list(script.cancelled)
    gate.set()
    run = await world.wait_for_end(run_id)

    assert calls_before_the_loser_learned == []
    assert script.cancelled == ["pay"]
    assert (run.status, collect_statuses(run)["fork[1]/pay"]) == ("completed", "completed")
