"""Every shape of query that is sent to Temporal's visibility is one that the server understands."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.temporal.client.connection import require_attributes
from orchestrator.temporal.client.failing_tasks import list_failing
from orchestrator.temporal.client.visibility import TEMPORAL_STATUSES
from orchestrator.temporal.devserver import run_dev_server
from orchestrator.temporal.schedules.backfill import Backfill
from orchestrator.temporal.schedules.schedules import Schedules
from tests.api.support import WAIT
from tests.temporal.world import World, make_plan, open_world, wait_until

pytestmark = pytest.mark.temporal
CONVERTER = "system.visibilityEnableUnifiedQueryConverter"
"""Setting of the server that chooses between its new query converter and the old one."""
QUOTED = {"workflow_id": "it's", "customer_id": 'a "b" \\', "trigger_type": "manual"}


@pytest.fixture(
    scope="module",
    params=["default", pytest.param("true", marks=pytest.mark.slow), pytest.param("false", marks=pytest.mark.slow)],
)
async def listed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, world: World
) -> AsyncIterator[World]:
    """A server with the converter that it has by default, with the new one, and with the old one."""
    if request.param == "default":
        yield world
        return
    home = tmp_path_factory.mktemp(request.param) / "home"
    config = (f"{CONVERTER}={request.param}",)
    async with run_dev_server(home, dynamic_config=config) as server, open_world(server) as made:
        yield made


@pytest.mark.parametrize("status", [None, *TEMPORAL_STATUSES])
@pytest.mark.parametrize("more", [{}, QUOTED], ids=["any", "with quotes"])
async def test_runs_are_listed_by_status_workflow_customer_trigger_and_start(
    listed: World, status: str | None, more: dict[str, str]
) -> None:
    """A new query converter of the server refused queries that the one before had taken."""
    since = datetime.now(UTC) - timedelta(days=1)
    found = await listed.runs.visibility.list_runs(status=status, since=since, limit=5, **more)

    assert len(found) <= 5


async def test_changed_moved_running_and_failing_runs_are_listed(listed: World) -> None:
    customer, _ = listed.script()
    began = datetime.now(UTC) - timedelta(minutes=1)
    run_id = await listed.start(make_plan({"a": WAIT}, "trigger -> a", customer=customer))
    visibility = listed.runs.visibility

    async def is_listed() -> bool:
        changed = [run.id async for run in visibility.list_changed(began, {})]
        everything = [run.id async for run in visibility.list_changed(None, {})]
        moved = [name async for name, _ in visibility.list_moved(began)]
        running = [name async for name in visibility.list_running()]
        opened = [each.workflow_id for each in await visibility.list_executions(ended=False)]
        return all(run_id in names for names in (changed, everything, moved, running, opened))

    await wait_until(is_listed)
    assert run_id not in {each.workflow_id for each in await visibility.list_executions(ended=True)}
    assert run_id not in {each.workflow_id for each in await list_failing(listed.client)}
    await listed.runs.terminate(run_id)


async def test_the_attributes_of_runs_and_the_fire_times_of_schedules_are_found(listed: World) -> None:
    schedules = Schedules(listed.client, listed.runs.settings, "queries")
    times = [datetime.now(UTC)]

    await require_attributes(listed.client)
    assert await Backfill(schedules)._list_started_times("it's", 'a "b"', times[0] - timedelta(days=1), times) == set()
