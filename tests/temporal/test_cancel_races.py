"""An action that completes while its branch or run is being cancelled is recorded, and undone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.model.plan import Plan
from orchestrator.model.run import Run
from tests.temporal.answers import Script
from tests.temporal.world import World, add_heartbeats, make_plan, wait_for_call

pytestmark = pytest.mark.temporal

CHARGE = {"type": "action", "action": "charge", "compensate": {"action": "refund", "config": {}}}
BROKEN = {"broken": {"error": {"message": "no", "recoverable": False}}}
MODES = pytest.mark.parametrize("mode", ["child", "inline"])
ASK = {"type": "wait", "config": {"event": "go"}}
LIMIT_SECONDS = 15
"""Time limits that pass while the other tests run; until then, `pay` has to be called."""
LimitedRuns = dict[str, "asyncio.Task[tuple[Run, Script]]"]
"""Runs that exceed a time limit: of the run, or of a parallel in it."""


async def run_race(world: World, nodes: dict[str, Any], *edges: str, **more: Any) -> tuple[Run, Script]:
    """Run a plan whose node `pay` completes only when it is cancelled; the event `go` comes once it is called."""
    run_id, script = await start_race(world, nodes, *edges, **more)
    await wait_for_call(script, "charge")
    await world.runs.send_event(run_id, "go")
    return await world.wait_for_end(run_id), script


async def start_race(world: World, nodes: dict[str, Any], *edges: str, **more: Any) -> tuple[str, Script]:
    customer, script = world.script(BROKEN)
    script.gates["charge"] = asyncio.Event()
    script.stubborn = frozenset({"pay"})
    plan = make_plan({"pay": CHARGE, **nodes}, *edges, customer=customer, **more)
    return await world.start(Plan.model_validate(add_heartbeats(plan.to_json(), "charge"))), script


@pytest.fixture(scope="module", autouse=True)
async def limited_runs(world: World) -> AsyncIterator[LimitedRuns]:
    """Start the runs with the first test of this module; the last tests wait for them."""
    limit = {"timeout_seconds": LIMIT_SECONDS}
    tasks: LimitedRuns = {"run, none": asyncio.create_task(run_race(world, {}, "trigger -> pay", settings=limit))}
    for mode in ("child", "inline"):
        edge, node = "trigger -> fork", fork(mode, ["pay"])
        tasks[f"run, {mode}"] = asyncio.create_task(run_race(world, {"fork": node}, edge, settings=limit))
        tasks[f"parallel, {mode}"] = asyncio.create_task(run_race(world, {"fork": {**node, **limit}}, edge))
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


def collect_statuses(run: Run) -> dict[str, str]:
    return {step.id: step.status for step in run.steps}


def fork(mode: str, *branches: list[str], **config: Any) -> dict[str, Any]:
    return {"type": "parallel", "branches": list(branches), "config": {"mode": mode, **config}}


@MODES
async def test_fail_fast(world: World, mode: str) -> None:
    """The result is ready when the cancelled branch has nothing left to await: its task must not end as cancelled."""
    nodes = {
        "fork": fork(mode, ["ask"], ["pay"]),
        "ask": ASK,
        "bad": "broken",
    }
    run, script = await run_race(world, nodes, "trigger -> fork", "ask -> bad")

    assert run.status == "failed"
    assert len(script.list_calls("refund")) == 1
    assert collect_statuses(run)["fork[1]/pay"] == "completed"
    assert collect_statuses(run)["fork[1]/pay/compensate"] == "completed"


@MODES
async def test_no_further_node_of_the_cancelled_branch_starts(world: World, mode: str) -> None:
    nodes = {
        "fork": fork(mode, ["ask"], ["pay"]),
        "ask": ASK,
        "bad": "broken",
        "note": {"type": "set", "config": {"charged": True}},
        "ship": "ship",
    }
    run, script = await run_race(world, nodes, "trigger -> fork", "ask -> bad", "pay -> note", "note -> ship")

    assert len(script.list_calls("refund")) == 1
    assert collect_statuses(run).keys() & {"fork[1]/note", "fork[1]/ship"} == set()


@MODES
async def test_a_loser_of_a_race_is_undone_when_the_run_fails(world: World, mode: str) -> None:
    nodes = {
        "fork": fork(mode, ["ask"], ["pay"], join="any"),
        "ask": ASK,
        "bad": "broken",
    }
    run, script = await run_race(world, nodes, "trigger -> fork", "fork -> bad")

    assert (run.status, len(script.list_calls("refund"))) == ("failed", 1)
    assert [entry["status"] for entry in run.steps[0].output_data["branches"]] == ["completed", "cancelled"]
    assert collect_statuses(run)["fork[1]/pay"] == "completed"


@pytest.mark.parametrize("mode", ["child", "inline", "none"])
@pytest.mark.parametrize("last", [True, False])
async def test_the_cancellation_of_a_run(world: World, mode: str, last: bool) -> None:
    """A cancellation that was accepted never ends as completed."""
    nodes = {} if mode == "none" else {"fork": fork(mode, ["pay"])}
    first = "pay" if mode == "none" else "fork"
    edges = [f"trigger -> {first}", *([] if last else [f"{first} -> ship"])]
    nodes |= {} if last else {"ship": "ship"}
    run_id, script = await start_race(world, nodes, *edges, settings={"compensate": "both"})
    await wait_for_call(script, "charge")
    await world.runs.cancel(run_id)
    run = await world.wait_for_end(run_id)

    assert (run.status, [call["action"] for call in script.calls]) == ("cancelled", ["charge", "refund"])


@MODES
async def test_a_join_that_is_reached_does_not_wait_for_its_losers(world: World, mode: str) -> None:
    """They end before the run does."""
    customer, script = world.script()
    gate = script.gates["after"] = asyncio.Event()
    script.gates["charge"] = asyncio.Event()
    script.stubborn, script.is_silent = frozenset({"pay"}), True
    nodes = {
        "pay": CHARGE,
        "fork": fork(mode, ["ask"], ["pay"], join="any"),
        "ask": ASK,
        "after": "after",
    }
    plan = make_plan(nodes, "trigger -> fork", "fork -> after", customer=customer)
    plan = Plan.model_validate(add_heartbeats(plan.to_json(), "charge"))
    run_id = await world.start(plan)
    await wait_for_call(script, "charge")
    await world.runs.send_event(run_id, "go")
    await wait_for_call(script, "after")
    cancelled_before = list(script.cancelled)
    script.is_silent = False
    gate.set()
    run = await world.wait_for_end(run_id)

    assert cancelled_before == []
    assert script.cancelled == ["pay"]
    assert (run.status, collect_statuses(run)["fork[1]/pay"]) == ("completed", "completed")


@MODES
async def test_the_time_limit_of_a_parallel(limited_runs: LimitedRuns, mode: str) -> None:
    run, script = await limited_runs[f"parallel, {mode}"]

    assert run.failure is not None
    assert (run.failure["error_type"], len(script.list_calls("refund"))) == ("timeout_error", 1)
    assert collect_statuses(run)["fork[0]/pay"] == "completed"


@pytest.mark.parametrize("mode", ["child", "inline", "none"])
async def test_the_time_limit_of_a_run(limited_runs: LimitedRuns, mode: str) -> None:
    run, script = await limited_runs[f"run, {mode}"]

    assert run.failure is not None
    assert (run.failure["error_type"], len(script.list_calls("refund"))) == ("timeout_error", 1)
