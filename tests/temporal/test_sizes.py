"""Runs with much data continue as new: nothing that a run may start with loses it later."""

import random
from collections.abc import AsyncIterator

import pytest

from orchestrator.model.run import Run
from orchestrator.temporal.devserver import run_dev_server
from tests.temporal.test_continue_as_new import make_loop, measure_lengths
from tests.temporal.world import World, make_plan, open_world

pytestmark = pytest.mark.temporal

SUGGESTED_AT = 60


@pytest.fixture(scope="module")
async def short(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A server whose histories are short."""
    config = (f"limit.historyCount.suggestContinueAsNew={SUGGESTED_AT}",)
    home = tmp_path_factory.mktemp("sizes")
    async with run_dev_server(home, dynamic_config=config) as server, open_world(server) as world:
        yield world


def make_text(size: int) -> str:
    """Return text that hardly compresses: half its size is left."""
    return random.Random(size).randbytes(size // 2).hex()


async def assert_short_executions(world: World, run: Run) -> None:
    lengths = await measure_lengths(world, run.id)

    assert len(lengths) >= 2
    assert max(lengths) < SUGGESTED_AT * 2


async def test_a_loop_over_a_list_of_a_megabyte_continues_as_new(short: World) -> None:
    """The list is in the input, a variable, the frame of the loop, the undo log and the output of a step."""
    customer, script = short.script()
    rows = [{"id": number, "text": make_text(20_000)} for number in range(50)]
    nodes = {
        "copy": {"type": "set", "config": {"rows": "{{ input.rows }}"}},
        "each": make_loop("{{ rows }}", "row", "note", collect="{{ row }}"),
        "note": {"type": "action", "action": "work", "config": {"id": "{{ row.id }}"}},
        "forget": {"type": "set", "config": {"rows": [], "last": "{{ row }}"}},
        "end": {"type": "end", "config": {"output": "{{ steps.each.output.items | length }}"}},
    }
    plan = make_plan(nodes, "trigger -> copy", "copy -> each", "note -> forget", "each -> end", customer=customer)
    run = await short.run(plan, {"rows": rows})

    assert (run.status, run.output) == ("completed", 50)
    assert [call["parameters"]["id"] for call in script.calls] == list(range(50))
    await assert_short_executions(short, run)


async def test_plan_and_state_that_fit_a_start_fit_a_continuation(short: World) -> None:
    """The variables are in the plan and in the state; together they are 3.2 MB."""
    customer, _ = short.script()
    nodes = {"each": make_loop(30, "n", "note"), "note": "work"}
    plan = make_plan(nodes, "trigger -> each", customer=customer, variables={"text": make_text(1_400_000)})
    run = await short.run(plan, {"text": make_text(400_000)})

    assert run.status == "completed"
    await assert_short_executions(short, run)
