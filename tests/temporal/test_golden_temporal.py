"""Every golden case on a real Temporal server."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client, WorkflowHistory

from tests.forecast.comparison import NOT_FORECAST, Comparison
from tests.forecast.recorded_runs import read_recorded
from tests.golden import Case, fuse_actions, list_differences, spread_loops
from tests.histories import strip
from tests.temporal.golden_runs import SLOWED, Golden, list_cases, make_slug, slow_down
from tests.temporal.record_histories import list_executions
from tests.temporal.world import World

pytestmark = pytest.mark.temporal

SPREAD = [spread for case in list_cases() if (spread := spread_loops(case)) is not None]
FUSED = [fused for case in list_cases() if (fused := fuse_actions(case)) is not None]
FORECAST = [
    case
    for case in FUSED
    if not (case.events or case.resolutions or case.repairs or case.move)
    and not make_slug(case.name).startswith(tuple(NOT_FORECAST))
]
"""Nothing depends on when people act."""


@pytest.fixture(scope="module")
async def golden(world: World, request: pytest.FixtureRequest) -> AsyncIterator[Golden]:
    """Start the runs of all selected cases at once."""
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    names = {
        case.name for params in chosen for case in params.get("cases", [params.get("case")]) if isinstance(case, Case)
    }
    runs = Golden(world)
    runs.begin([case for case in [*list_cases(), *FUSED, *SPREAD] if case.name in names])
    yield runs
    await runs.close()


@pytest.mark.parametrize("beginning", SLOWED)
def test_what_is_slowed_down_is_a_case(beginning: str) -> None:
    named = [case for case in [*list_cases(), *SPREAD] if case.name.partition(": ")[2].startswith(beginning)]

    assert named
    assert all(slow_down(case) != case for case in named)


@pytest.mark.parametrize("case", list_cases(), ids=lambda case: case.name)
async def test_temporal_runs_it_as_expected(case: Case, golden: Golden) -> None:
    run = await golden.run_to_end(case)

    assert list_differences(case, run.model_dump(mode="json"), virtual=False) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", FUSED, ids=lambda case: case.name)
async def test_fused_actions_change_nothing(case: Case, golden: Golden) -> None:
    run = await golden.run_to_end(case)

    assert list_differences(case, run.model_dump(mode="json"), virtual=False) == []


@pytest.mark.slow
@pytest.mark.parametrize("cases", [FORECAST], ids=["all"])
async def test_fused_actions_write_what_is_forecast(cases: list[Case], golden: Golden) -> None:
    """Of the runs that a machine is fast enough for: on a busy one these may be few."""
    differences, held = {}, []
    for case in cases:
        run = await golden.run_to_end(case)
        recorded = await asyncio.to_thread(read_recorded, await read_executions(golden.world.client, run.id))
        if recorded.is_timed:
            continue
        held.append(comparison := Comparison(recorded))
        if found := comparison.list_differences():
            differences[case.name] = found

    exact = sum(comparison.is_exact for comparison in held)
    print(f"{len(held)} of {len(FUSED)} fused cases held: {exact} exact, {len(held) - exact} within")
    assert differences == {}


@pytest.mark.parametrize("case", SPREAD, ids=lambda case: case.name)
async def test_batches_of_a_loop_change_nothing(case: Case, golden: Golden) -> None:
    run = await golden.run_to_end(case)

    assert list_differences(case, run.model_dump(mode="json"), virtual=False) == []


async def read_executions(client: Client, run_id: str) -> list[WorkflowHistory]:
    """Return the executions of a run, as `tests/histories` has them."""
    executions = await list_executions(client, run_id)
    return [WorkflowHistory.from_json(name, {"events": strip(json.loads(text)["events"])}) for name, text in executions]
