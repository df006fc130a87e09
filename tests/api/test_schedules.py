"""Schedules over HTTP: installed, paused, removed, backfilled and repaired."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from orchestrator.model.run import RunSummary
from orchestrator.service.services import Services
from orchestrator.store.tables import leases
from orchestrator.temporal.devserver import run_dev_server
from orchestrator.temporal.schedules.backfill import Backfill
from tests.api.support import CLIENT_SECONDS, EVERY_HOUR, create_workflow, serve_api, wait_for_end
from tests.temporal.world import World, make_definition, open_world, wait_until

pytestmark = pytest.mark.temporal
HOURLY_ON_A_DAY = {"type": "schedule", "cron": "0 * 1 3 *", "config": {"input": {"from": "schedule"}}}
"""Fires every hour of 1 March, and so by itself in no test, where one that fires every hour may."""


@pytest.fixture
async def hourly(api: httpx.AsyncClient) -> dict[str, Any]:
    """The schedule of the workflow `w` before it was activated."""
    definition = make_definition({"a": {"type": "set", "config": {"x": "{{ input.from }}"}}}, "trigger -> a")
    await api.post("/workflows", json=definition | {"id": "w", "trigger": HOURLY_ON_A_DAY})
    preview: dict[str, Any] = (await api.get("/workflows/w/schedule", params={"count": 3})).json()
    await api.post("/workflows/w/activate")
    return preview


async def test_activating_installs_the_schedule_that_was_shown_before(
    api: httpx.AsyncClient, hourly: dict[str, Any]
) -> None:
    installed = (await api.get("/workflows/w/schedule", params={"count": 3})).json()

    assert (hourly["installed"], installed["installed"]) == (False, True)
    assert hourly["next_times"] == installed["next_times"]


@pytest.mark.usefixtures("hourly")
async def test_a_schedule_is_triggered_by_hand(api: httpx.AsyncClient) -> None:
    answer = await api.post("/workflows/w/schedule/trigger")

    async def list_runs() -> list[Any]:
        return list((await api.get("/runs", params={"trigger": "schedule"})).json()["items"])

    (run,) = await wait_until(list_runs)
    assert answer.status_code == 202
    assert (await wait_for_end(api, run["id"]))["context"]["x"] == "schedule"


@pytest.mark.usefixtures("hourly")
async def test_two_triggers_in_one_second_start_two_runs(api: httpx.AsyncClient) -> None:
    """Temporal's own trigger starts one run in a second; the other was accepted and lost."""
    answers = await asyncio.gather(*(api.post("/workflows/w/schedule/trigger") for _ in range(3)))

    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 3
    assert {(await wait_for_end(api, run_id))["trigger_type"] for run_id in ids} == {"schedule"}


@pytest.mark.usefixtures("hourly")
async def test_pausing_a_workflow_pauses_its_schedule(api: httpx.AsyncClient) -> None:
    await api.post("/workflows/w/pause")

    assert (await api.get("/workflows/w/schedule")).json()["paused"] is True


@pytest.mark.usefixtures("hourly")
async def test_archiving_a_workflow_removes_its_schedule(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    await api.post("/workflows/w/archive")

    gone = await api.post("/workflows/w/schedule/trigger")

    assert gone.status_code == 409
    assert await services.reconciler.triggers.get(customer, "w") is None, "nothing is pending"


async def test_a_backfill_starts_what_was_missed(api: httpx.AsyncClient) -> None:
    definition = make_definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    await api.post("/workflows", json=definition | {"id": "w", "trigger": HOURLY_ON_A_DAY})
    await api.post("/workflows/w/activate")
    span = {"start_at": "2026-03-01T00:00:00Z", "end_at": "2026-03-01T03:00:00Z"}

    answers = await asyncio.gather(*(api.post("/workflows/w/schedule/backfill", json=span) for _ in range(4)))

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [202, 409, 409, 409], "who asks at the same time starts nothing twice"
    assert {"runs": 4} in [answer.json() for answer in answers]

    async def list_runs() -> bool:
        return len((await api.get("/runs", params={"trigger": "schedule"})).json()["items"]) == 4

    await wait_until(list_runs)


async def test_a_backfill_skips_runs_that_temporal_has_deleted(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    definition = make_definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    await api.post("/workflows", json=definition | {"id": "w", "trigger": HOURLY_ON_A_DAY})
    await api.post("/workflows/w/activate")
    first, last = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 1, 3, tzinfo=UTC)
    prefix = await Backfill(services.reconciler.schedules).find_run_prefix(customer, "w")
    kept = RunSummary(
        id=f"{prefix}2025-03-01T01:00:00Z", workflow_id="w", workflow_version=1, customer_id=customer,
        status="completed", trigger_type="schedule", started_at=first, completed_at=last, duration_ms=1,
    )  # fmt: skip
    by_hand = kept.model_copy(update={"id": f"{prefix}2025-03-01T01:59:00Z"})
    await services.operations.index.put([kept, by_hand])

    assert await services.schedules.backfill(customer, "w", first, last) == 3


async def test_a_backfill_of_too_many_times_reads_no_runs(
    api: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The ids of all runs of the period, which may be years, were read before its length was checked.
    definition = make_definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    await api.post("/workflows", json=definition | {"id": "w", "trigger": EVERY_HOUR})
    await api.post("/workflows/w/activate")
    monkeypatch.delattr(services.schedules.index.__class__, "list_ids_between")
    span = {"start_at": "2020-01-01T00:00:00Z", "end_at": "2025-01-01T00:00:00Z"}
    answer = await api.post("/workflows/w/schedule/backfill", json=span)

    assert answer.status_code == 409, answer.text
    assert "more than 1,000 times" in answer.json()["detail"]


@pytest.mark.slow
async def test_a_backfill_keeps_its_lease_for_as_long_as_it_takes(
    api: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another one would find the same times not yet started.
    definition = make_definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    await api.post("/workflows", json=definition | {"id": "w", "trigger": HOURLY_ON_A_DAY})
    await api.post("/workflows/w/activate")
    monkeypatch.setattr("orchestrator.store.leases.RENEWALS", 120)  # of a lease of a minute
    finish = asyncio.Event()

    async def wait_for_finish(*_: Any) -> list[str]:
        await finish.wait()
        return []

    async def read_end() -> datetime | None:
        async with services.database.read_transaction() as connection:
            held = (leases.c.name.startswith("backfill:"), leases.c.until > datetime.now(UTC))
            query = select(func.max(leases.c.until)).where(*held)
            end: datetime | None = await connection.scalar(query)
        return end

    monkeypatch.setattr(services.schedules.index, "list_ids_between", wait_for_finish)
    span = {"start_at": "2026-03-01T00:00:00Z", "end_at": "2026-03-01T01:00:00Z"}
    slow = asyncio.create_task(api.post("/workflows/w/schedule/backfill", json=span))
    first_end = await wait_until(read_end)

    async def is_renewed_again() -> bool:
        end = await read_end()
        return end is not None and end > first_end + timedelta(seconds=1)

    await wait_until(is_renewed_again)
    refused = await api.post("/workflows/w/schedule/backfill", json=span)
    finish.set()

    assert (refused.status_code, (await slow).json()) == (409, {"runs": 2})


async def test_the_reconciler_repairs_missing_and_orphaned_schedules(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    definition = make_definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    for name in ("lost", "gone"):
        await api.post("/workflows", json=definition | {"id": name, "trigger": EVERY_HOUR})
        await api.post(f"/workflows/{name}/activate")

    async def list_installed() -> set[str]:
        return {
            each.workflow_id
            async for each in services.reconciler.schedules.list_installed()
            if each.customer_id == customer
        }

    await wait_until(lambda: _equals_one_of(list_installed, {"lost", "gone"}))
    await services.reconciler.schedules.remove(customer, "lost")
    # What a crash leaves between the two writes: the row says `removed`, the schedule is there.
    await services.workflows.definitions.delete(customer, "gone", None)
    await wait_until(lambda: _equals_one_of(list_installed, {"gone"}, {"lost", "gone"}, set()))

    async def is_repaired() -> bool:
        await services.reconciler.repair()
        await services.reconciler.run_once()
        return await list_installed() == {"lost"}

    await wait_until(is_repaired)
    assert (await api.get("/workflows/lost/schedule")).json()["installed"] is True


async def _equals_one_of(ask: Any, *wanted: set[str]) -> bool:
    return await ask() in wanted


@pytest.mark.slow
async def test_schedules_of_another_store_are_left_alone(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        run_dev_server(tmp_path / "temporal") as server,
        open_world(server) as alone,
        serve_api(alone, tmp_path / "one") as (_, address),
        _open_client(address) as api,
    ):
        await create_workflow(api, "mine", EVERY_HOUR)
        await api.post("/workflows/mine/activate")
        async with serve_api(alone, tmp_path / "two") as (other, there), _open_client(there) as second:
            for _ in range(3):
                assert await other.reconciler.repair() == 0
            await create_workflow(second, "mine", EVERY_HOUR)
            taken = await second.post("/workflows/mine/activate")
        shown = (await api.get("/workflows/mine/schedule")).json()

    assert (taken.status_code, "another database" in taken.json()["detail"]) == (409, True)
    assert len([record for record in caplog.records if "installed from another database" in record.message]) == 1
    assert shown["installed"] is True


def _open_client(address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=CLIENT_SECONDS)


async def test_a_schedule_that_was_removed_by_hand_is_installed_again(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    await create_workflow(api, "w", EVERY_HOUR)
    await api.post("/workflows/w/activate")
    await services.reconciler.schedules.remove(customer, "w")

    answer = await api.get("/workflows/w/schedule")

    assert (answer.status_code, answer.json()["installed"]) == (200, False)
    await services.reconciler.schedules.remove(customer, "w")
    await api.post("/workflows/w/activate")
    assert (await api.get("/workflows/w/schedule")).json()["installed"] is True


async def test_a_schedule_that_cannot_be_installed_does_not_block_others(
    api: httpx.AsyncClient, services: Services, customer: str
) -> None:
    """A plan that this program never writes causes an unexpected error."""
    await create_workflow(api, "bad", EVERY_HOUR)
    await create_workflow(api, "good", EVERY_HOUR)
    stored = await services.workflows.definitions.get(customer, "bad")
    await services.workflows.definitions.publish(stored, stored.definition, {"scope": 7}, by="a fault")
    await api.post("/workflows/good/activate")
    await services.reconciler.schedules.remove(customer, "good")

    async def is_repaired() -> bool:
        await services.reconciler.repair()
        return bool((await api.get("/workflows/good/schedule")).json()["installed"])

    assert await wait_until(is_repaired)
    assert (await api.delete("/workflows/bad")).status_code == 204
