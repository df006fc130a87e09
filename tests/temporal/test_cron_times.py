"""Our fire times are Temporal's, over several hundred expressions and both changes of clocks in many zones."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import pytest
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest

from orchestrator.model.definition import Trigger
from orchestrator.temporal.schedules.schedules import Schedules, build_schedule_id
from orchestrator.timing.fire_times import iterate_fire_times
from tests.crons import CLOCKS, EXPRESSIONS
from tests.temporal.world import World, make_plan

pytestmark = pytest.mark.temporal

ZONES = (
    ("UTC", "2026-12-31T23:00", "2028-02-28T22:00"),
    ("Europe/Vienna", "2026-03-29T01:00", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00", "2026-11-01T06:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30", "2026-04-04T15:00"),
    ("Asia/Kolkata", "2026-02-28T18:30", "2026-12-31T18:30"),
    ("America/St_Johns", "2026-03-08T05:30", "2026-11-01T04:30"),
    ("Europe/London", "2026-03-29T01:00", "2026-10-25T01:00"),
    ("America/Havana", "2026-03-08T05:00", "2026-11-01T05:00"),
    ("Pacific/Chatham", "2026-09-26T14:00", "2026-04-04T14:00"),
    ("Antarctica/Troll", "2026-03-29T01:00", "2026-10-25T01:00"),
    ("America/Sao_Paulo", "2018-11-04T03:00", "2018-02-18T02:00"),
    ("Asia/Kathmandu", "2026-02-28T18:15", "2027-02-28T18:15"),
)
"""Time zones, each with the times (UTC) of a clock change or of the end of a month or year."""
MOST = 1_000
"""Maximum times in one answer of Temporal."""
AT_ONCE = 8


def cases() -> list[tuple[str, str, tuple[datetime, ...]]]:
    """Pair each expression with two zones."""
    pairs = []
    for at, expression in enumerate(EXPRESSIONS):
        for place in (at + at // 11, at + at // 11 + 5):
            zone, *moments = ZONES[place % len(ZONES)]
            pairs.append((expression, zone, tuple(datetime.fromisoformat(text + "Z") for text in moments)))
    return pairs


def make_window(expression: str, moment: datetime) -> tuple[datetime, datetime]:
    """Return a span around a moment: days for times of day, weeks for dates."""
    return moment - timedelta(hours=5), moment + timedelta(days=1 if expression in CLOCKS else 36)


async def list_matching_times(world: World, name: str, after: datetime, until: datetime) -> list[datetime]:
    request = ListScheduleMatchingTimesRequest(namespace=world.client.namespace, schedule_id=name)
    request.start_time.FromDatetime(after)
    request.end_time.FromDatetime(until)
    answer = await world.client.workflow_service.list_schedule_matching_times(request, retry=True)
    return [moment.ToDatetime(UTC) for moment in answer.start_time]


def list_fire_times(expression: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    return list(islice(takewhile(lambda moment: moment <= until, iterate_fire_times(expression, after, zone)), MOST))


@pytest.mark.slow
@pytest.mark.long
async def test_fire_times_are_those_of_temporal(world: World) -> None:
    customer, _ = world.script()
    schedules = Schedules(world.client, world.runs.settings)
    plan = make_plan({"a": "work"}, "trigger -> a", customer=customer)
    gate = asyncio.Semaphore(AT_ONCE)
    compared, wrong = 0, []

    async def compare(number: int, expression: str, zone: str, moments: tuple[datetime, ...]) -> None:
        nonlocal compared
        own = plan.model_copy(update={"id": f"times-{number}"})
        async with gate:
            trigger = Trigger(type="schedule", cron=expression, config={"timezone": zone})
            await schedules.install(own, trigger, paused=True)
            for after, until in (make_window(expression, moment) for moment in moments):
                theirs = await list_matching_times(world, build_schedule_id(customer, own.id), after, until)
                compared += len(theirs)
                if theirs != list_fire_times(expression, zone, after, until):
                    wrong.append((expression, zone, after.isoformat()))
            await schedules.remove(customer, own.id)

    await asyncio.gather(*(compare(number, *case) for number, case in enumerate(cases())))

    assert wrong == []
    assert compared > 20_000
