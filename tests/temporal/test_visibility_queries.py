"""Every shape of query that is sent to Temporal's visibility is one that the server understands."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.temporal.client.failing_tasks import list_failing
from orchestrator.temporal.client.visibility import TEMPORAL_STATUSES
from tests.api.support import WAIT
from tests.temporal.world import World, make_plan, wait_until

pytestmark = pytest.mark.temporal
QUOTED = {"workflow_id": "it's", "customer_id": 'a "b" \\', "trigger_type": "manual"}


@pytest.mark.parametrize("status", [None, *TEMPORAL_STATUSES])
@pytest.mark.parametrize("more", [{}, QUOTED], ids=["any", "with quotes"])
async def test_runs_are_listed_by_status_workflow_customer_trigger_and_start(
    world: World, status: str | None, more: dict[str, str]
) -> None:
    """A new query converter of the server refused queries that the one before had taken."""
    since = datetime.now(UTC) - timedelta(days=1)
    found = await world.runs.visibility.list_runs(status=status, since=since, limit=5, **more)

    assert len(found) <= 5


async def test_changed_moved_running_and_failing_runs_are_listed(world: World) -> None:
    customer, _ = world.script()
    began = datetime.now(UTC) - timedelta(minutes=1)
    run_id = await world.start(make_plan({"a": WAIT}, "trigger -> a", customer=customer))
    visibility = world.runs.visibility

    async def is_listed() -> bool:
        changed = [run.id async for run in visibility.list_changed(began, {})]
        everything = [run.id async for run in visibility.list_changed(None, {})]
        moved = [name async for name, _ in visibility.list_moved(began)]
        running = [name async for name in visibility.list_running()]
        return all(run_id in names for names in (changed, everything, moved, running))

    await wait_until(is_listed)
    assert run_id not in {each.workflow_id for each in await list_failing(world.client)}
    await world.runs.terminate(run_id)
