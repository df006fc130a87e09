"""Shapes that once hung or were ended by size run to their end, on a server with its own limits.

`pytest -m slow -s tests/temporal/test_scale.py` prints the events, bytes and memory of each.
"""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.model.plan import Plan
from orchestrator.temporal.devserver import run_dev_server
from tests.scale import scale
from tests.temporal.record_histories import list_executions
from tests.temporal.test_continue_as_new import make_loop
from tests.temporal.test_sizes import make_text
from tests.temporal.world import World, make_plan, open_world

pytestmark = [pytest.mark.temporal, pytest.mark.slow]

SECONDS = 900
LOCAL = {"type": "action", "action": "work", "execution": "local"}


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with run_dev_server(tmp_path_factory.mktemp("scale")) as server, open_world(server) as world:
        yield world


def make_fan_out(count: int) -> tuple[dict[str, Any], list[str]]:
    """Return nodes that all become active at once."""
    names = [f"n{number}" for number in range(count)]
    return {name: dict(LOCAL) for name in names}, [f"trigger -> {name}" for name in names]


def make_chain(count: int) -> tuple[dict[str, Any], list[str]]:
    names = [f"n{number}" for number in range(count)]
    edges = [f"{source} -> {target}" for source, target in zip(["trigger", *names], names, strict=False)]
    return {name: dict(LOCAL) for name in names}, edges


async def measure(world: World, plan: Plan, given: Any = None) -> tuple[str, int]:
    """Run a plan and print its size; return its status and the number of its executions."""
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(SECONDS):
        run = await world.runs.reader.wait_for_result(await world.start(plan, given))
    seconds = asyncio.get_running_loop().time() - started
    histories = [json.loads(history)["events"] for _, history in await list_executions(world.client, run.id)]
    events = [len(history) for history in histories]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\n{run.status}: {sum(events):,} events in {len(events)} executions, {len(json.dumps(histories)):,} bytes,")
    print(f"{run.steps_completed:,} steps in {seconds:.1f} s, {memory:,} MiB of memory at most")
    return run.status, len(events)


@pytest.mark.long
async def test_a_loop_over_a_list_of_a_megabyte(world: World) -> None:
    customer, _ = world.script()
    rows = [{"id": number, "text": make_text(1_000)} for number in range(1_000)]
    nodes = {
        "copy": {"type": "set", "config": {"rows": "{{ input.rows }}"}},
        "each": make_loop("{{ rows }}", "row", "note"),
        "note": {"type": "action", "action": "work", "config": {"id": "{{ row.id }}"}},
        "end": {"type": "end", "config": {"output": "done"}},
    }
    plan = make_plan(nodes, "trigger -> copy", "copy -> each", "each -> end", customer=customer)

    status, executions = await measure(world, plan, {"rows": rows})

    assert status == "completed"
    assert executions >= 2


# On a busy machine the SDK interrupts the first attempt at a workflow task, in whatever function runs at that moment.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("make", "count"), [(make_fan_out, scale(2_500)), (make_chain, scale(2_500))])
async def test_thousands_of_action_nodes(world: World, make: Any, count: int) -> None:
    customer, script = world.script()
    nodes, edges = make(count)

    status, _ = await measure(world, make_plan(nodes, *edges, customer=customer))

    assert status == "completed"
    assert len(script.calls) >= count


@pytest.mark.long
async def test_plan_and_state_near_the_limit(world: World) -> None:
    customer, _ = world.script()
    nodes = {"each": make_loop(800, "n", "note"), "note": "work", "end": {"type": "end", "config": {"output": "done"}}}
    plan = make_plan(
        nodes, "trigger -> each", "each -> end", customer=customer, variables={"text": make_text(1_400_000)}
    )

    status, executions = await measure(world, plan, {"text": make_text(400_000)})

    assert status == "completed"
    assert executions >= 2


@pytest.mark.long
async def test_a_map_whose_iterations_hold_long_loops(world: World) -> None:
    """Nothing inside a concurrent iteration could be written down: with 13,000 passes it failed at 45,000 events."""
    times = scale(800)
    customer, script = world.script()
    nodes = {
        "rows": make_loop(4, "row", "each", max_concurrency=4, collect="{{ steps.each.output.count }}"),
        "each": make_loop(times, "n", "note"),
        "note": dict(LOCAL),
    }
    plan = make_plan(nodes, "trigger -> rows", customer=customer, settings={"fuse": False})

    status, executions = await measure(world, plan)

    assert status == "completed"
    assert executions >= 4 * times // 1_000
    assert len(script.calls) >= 4 * times
