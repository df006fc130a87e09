"""Every golden case on a real Temporal server."""

from collections.abc import AsyncIterator

import pytest

from tests.golden import Case, fuse_actions, list_differences, spread_loops
from tests.temporal.golden_runs import Golden, list_cases
from tests.temporal.world import World

pytestmark = pytest.mark.temporal

SPREAD = [spread for case in list_cases() if (spread := spread_loops(case)) is not None]
FUSED = [fused for case in list_cases() if (fused := fuse_actions(case)) is not None]


@pytest.fixture(scope="session")
async def golden(world: World, request: pytest.FixtureRequest) -> AsyncIterator[Golden]:
    """Start the runs of all selected cases at once."""
    chosen = [item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")]
    names = {case.name for case in chosen if isinstance(case, Case)}
    runs = Golden(world)
    runs.begin([case for case in [*list_cases(), *FUSED, *SPREAD] if case.name in names])
    yield runs
    await runs.close()


@pytest.mark.parametrize("case", list_cases(), ids=lambda case: case.name)
async def test_temporal_runs_it_as_expected(case: Case, golden: Golden) -> None:
    run = await golden.run_to_end(case)

    assert list_differences(case, run.model_dump(mode="json"), virtual=False) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", FUSED, ids=lambda case: case.name)
async def test_fused_actions_change_nothing(case: Case, golden: Golden) -> None:
    run = await golden.run_to_end(case)

    assert list_differences(case, run.model_dump(mode="json"), virtual=False) == []


@pytest.mark.parametrize("case", SPREAD, ids=lambda case: case.name)
async def test_batches_of_a_loop_change_nothing(case: Case, golden: Golden) -> None:
    run = await golden.run_to_end(case)

    assert list_differences(case, run.model_dump(mode="json"), virtual=False) == []
