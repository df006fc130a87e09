"""Schedules on a real server: installed, fired, changed, removed, and their times."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import ScheduleActionStartWorkflow

from orchestrator.definition import Trigger
from orchestrator.errors import OperationRefused
from orchestrator.plan import Plan
from orchestrator.run import Run, timestamp
from orchestrator.schedules import Installed, Schedules, schedule_id
from tests.temporal.world import World, planned, until

pytestmark = pytest.mark.temporal

NEVER_SOON = Trigger(type="schedule", cron="0 0 29 2 *")
DAILY = Trigger(type="schedule", cron="0 8 * * *", config={"timezone": "Europe/Vienna"})


@pytest.fixture
def schedules(world: World) -> Schedules:
    return Schedules(world.client, world.runs.settings)


def simple(customer: str, **more: Any) -> Plan:
    return planned({"a": "work"}, "trigger -> a", customer=customer, **more)


async def runs_of(world: World, customer: str, count: int) -> list[Run]:
    """Wait for runs of a customer, the oldest first, and for their ends."""

    async def listed() -> list[str] | None:
        found = await world.runs.list(customer_id=customer)
        return [summary.id for summary in reversed(found)] if len(found) >= count else None

    return [await world.ended(run_id) for run_id in await until(listed)]


async def listed(schedules: Schedules, customer: str) -> list[Installed]:
    return [found async for found in schedules.installed() if found.customer_id == customer]


async def test_a_run_that_a_schedule_starts_knows_its_id_and_its_time(world: World, schedules: Schedules) -> None:
    customer, script = world.script()
    trigger = NEVER_SOON.model_copy(update={"config": {"input": {"n": 7}}})
    plan = simple(customer)
    before = datetime.now(UTC).replace(microsecond=0)
    await schedules.install(plan, trigger, paused=False)

    await schedules.trigger(customer, plan.id)
    (run,) = await runs_of(world, customer, 1)

    assert (run.status, run.trigger_type, run.customer_id, run.input_data) == (
        "completed",
        "schedule",
        customer,
        {"n": 7},
    )
    assert run.id.startswith(f"{plan.id}-")
    assert set(run.trigger_data) == {"type", "scheduled_at"}
    assert run.trigger_data["scheduled_at"].endswith("Z")
    assert before <= datetime.fromisoformat(run.trigger_data["scheduled_at"]) <= datetime.now(UTC)
    assert [call["context"]["run_id"] for call in script.calls] == [run.id]
