"""Schedules on a real server: installed, fired, changed, removed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from temporalio.client import ScheduleActionStartWorkflow, ScheduleDescription

from orchestrator.errors import OperationRefused
from orchestrator.model.definition import Trigger
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run
from orchestrator.temporal.devserver import run_dev_server
from orchestrator.temporal.schedules.backfill import Backfill
from orchestrator.temporal.schedules.schedules import Schedules, build_schedule_id, parse_schedule_id
from orchestrator.timing.schedule import list_fire_times
from tests.temporal.answers import Script
from tests.temporal.world import World, make_plan, open_world, wait_until

pytestmark = pytest.mark.temporal

RARE = Trigger(type="schedule", cron="0 0 29 2 *")
DAILY = Trigger(type="schedule", cron="0 8 * * *", config={"timezone": "Europe/Vienna"})
MINUTE = Trigger(type="schedule", cron="* * * * *")
SECOND = Trigger(type="schedule", interval_seconds=1)
YEAR = 365 * 86_400
LONG_AGO = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def schedules(world: World) -> Schedules:
    return Schedules(world.client, world.runs.settings)


def make_simple_plan(customer: str, **more: Any) -> Plan:
    return make_plan({"a": "work"}, "trigger -> a", customer=customer, **more)


async def describe(schedules: Schedules, plan: Plan) -> ScheduleDescription:
    return await schedules.client.get_schedule_handle(build_schedule_id(plan.customer_id, plan.id)).describe()


async def list_installed(schedules: Schedules, customer: str) -> list[tuple[str, int | None, bool, str]]:
    """Return the listed schedules of a customer."""
    found = [one async for one in schedules.list_installed() if one.customer_id == customer]
    return [(one.workflow_id, one.version, one.paused, one.note) for one in found]


async def wait_for_runs(world: World, customer: str, count: int) -> list[Run]:
    """Wait for runs of a customer, and for their ends."""

    async def list_ids() -> list[str] | None:
        summaries = await world.runs.visibility.list_runs(customer_id=customer)
        return [summary.id for summary in summaries] if len(summaries) >= count else None

    return [await world.wait_for_end(run_id) for run_id in await wait_until(list_ids)]


class Triggered(NamedTuple):
    """A run that a schedule started."""

    plan: Plan
    run: Run
    script: Script
    before: datetime


@pytest.fixture
async def triggered(world: World, schedules: Schedules) -> Triggered:
    customer, script = world.script()
    plan = make_simple_plan(customer)
    before = datetime.now(UTC).replace(microsecond=0)
    await schedules.install(plan, RARE.model_copy(update={"config": {"input": {"n": 7}}}), paused=False)
    await schedules.trigger(customer, plan.id)
    (run,) = await wait_for_runs(world, customer, 1)
    return Triggered(plan, run, script, before)


async def test_a_run_that_a_schedule_starts_gets_its_input(triggered: Triggered) -> None:
    plan, run = triggered.plan, triggered.run

    assert (run.status, run.trigger_type, run.customer_id) == ("completed", "schedule", plan.customer_id)
    assert run.input_data == {"n": 7}


async def test_a_run_that_a_schedule_starts_knows_its_id_and_its_time(world: World, triggered: Triggered) -> None:
    plan, run, script, before = triggered
    summary = await world.runs.visibility.read_summary(run.id)

    assert run.id.startswith(f"{plan.id}-")
    assert [call["context"]["run_id"] for call in script.calls] == [run.id]
    assert (summary.workflow_id, summary.workflow_version, summary.trigger_type) == (plan.id, 1, "schedule")
    assert set(run.trigger_data) == {"type", "scheduled_at"}
    assert run.trigger_data["scheduled_at"].endswith("Z")
    assert before <= datetime.fromisoformat(run.trigger_data["scheduled_at"]) <= datetime.now(UTC)


async def test_branches_and_idempotency_keys_belong_to_one_run(world: World, schedules: Schedules) -> None:
    customer, script = world.script()
    fork = {"type": "parallel", "branches": [["a"], ["b"]]}
    plan = make_plan({"fork": fork, "a": "work", "b": "work"}, "trigger -> fork", customer=customer)
    await schedules.install(plan, RARE, paused=True)
    await Backfill(schedules).start(
        customer, plan.id, datetime(2020, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    )

    runs = await wait_for_runs(world, customer, 2)

    assert {run.trigger_data["scheduled_at"] for run in runs} == {"2020-02-29T00:00:00Z", "2024-02-29T00:00:00Z"}
    assert [sorted(step.node_id for step in run.steps) for run in runs] == [["a", "b", "fork"]] * 2
    assert {call["context"]["run_id"] for call in script.calls} == {run.id for run in runs}
    assert len({call["context"]["idempotency_key"] for call in script.calls}) == 4


@pytest.mark.slow
async def test_scheduled_time_and_id_survive_continue_as_new(tmp_path: Path) -> None:
    config = ("limit.historyCount.suggestContinueAsNew=60",)
    async with run_dev_server(tmp_path / "short", dynamic_config=config) as server, open_world(server) as world:
        schedules = Schedules(world.client, world.runs.settings)
        customer, script = world.script()
        loop = {"type": "loop", "collection": 30, "item_variable": "n", "body": ["a"]}
        told = {"type": "set", "config": {"at": "{{ trigger.scheduled_at }}", "who": "{{ run.id }}"}}
        plan = make_plan({"l": loop, "a": "work", "told": told}, "trigger -> l", "l -> told", customer=customer)
        await schedules.install(plan, RARE, paused=True)

        await schedules.trigger(customer, plan.id)
        (run,) = await wait_for_runs(world, customer, 1)
        executions = [one async for one in world.client.list_workflows(f"WorkflowId = '{run.id}'")]

    assert len(executions) > 1
    assert (run.status, len(script.calls)) == ("completed", 30)
    assert run.context["who"] == run.id
    assert run.context["at"] == run.trigger_data["scheduled_at"]
    assert {call["context"]["run_id"] for call in script.calls} == {run.id}


@pytest.mark.slow
async def test_a_run_that_no_worker_has_taken_shows_its_time(world: World, schedules: Schedules) -> None:
    customer, _ = world.script()
    plan = make_simple_plan(customer)
    alone = Schedules(world.client, world.runs.settings.model_copy(update={"task_queue": "nobody"}))
    await alone.install(plan, RARE, paused=True)
    leap_day = datetime(2024, 2, 29, tzinfo=UTC)
    await Backfill(alone).start(customer, plan.id, leap_day, leap_day)

    async def find_started() -> Any:
        return await world.runs.visibility.list_runs(customer_id=customer)

    (summary,) = await wait_until(find_started)
    run = await world.runs.reader.read_document(summary.id)
    await world.runs.terminate(summary.id)

    assert (run.id, run.trigger_data) == (summary.id, {"type": "schedule", "scheduled_at": "2024-02-29T00:00:00Z"})


async def test_installing_again_changes_the_one_schedule(world: World, schedules: Schedules) -> None:
    customer, _ = world.script()
    plan = make_simple_plan(customer)
    await schedules.install(plan, RARE, paused=False, note="first")
    before = await describe(schedules, plan)
    newer = plan.model_copy(update={"version": 2, "name": "Newer"})

    await asyncio.gather(*(schedules.install(newer, DAILY, paused=True, note="second") for _ in range(4)))

    await wait_until(lambda: _equals(lambda: list_installed(schedules, customer), [(plan.id, 2, True, "second")]))
    after = await describe(schedules, plan)
    assert after.schedule.spec.time_zone_name == "Europe/Vienna"
    assert isinstance(before.schedule.action, ScheduleActionStartWorkflow)
    assert isinstance(after.schedule.action, ScheduleActionStartWorkflow)
    assert after.schedule.action.id == before.schedule.action.id
    await schedules.trigger(customer, plan.id)
    (run,) = await wait_for_runs(world, customer, 1)
    assert (run.workflow_version, run.workflow_name) == (2, "Newer")


async def _equals(what: Callable[[], Awaitable[Any]], wanted: Any) -> bool:
    return bool(await what() == wanted)


async def test_concurrent_installs_create_one_schedule(world: World, schedules: Schedules) -> None:
    customer, _ = world.script()
    plan = make_simple_plan(customer)

    await asyncio.gather(*(schedules.install(plan, DAILY, paused=True) for _ in range(6)))

    await wait_until(lambda: _equals(lambda: list_installed(schedules, customer), [(plan.id, 1, True, "")]))


@pytest.mark.slow
async def test_a_paused_schedule_starts_nothing_until_it_is_unpaused(world: World, schedules: Schedules) -> None:
    customer, _ = world.script()
    plan = make_simple_plan(customer)
    await schedules.install(plan, SECOND, paused=True)
    await wait_until(lambda: _equals(lambda: list_installed(schedules, customer), [(plan.id, 1, True, "")]))
    await asyncio.sleep(1.5)
    assert await world.runs.visibility.list_runs(customer_id=customer) == []

    await schedules.install(plan, SECOND, paused=False, note="go")
    runs = await wait_for_runs(world, customer, 2)
    await schedules.install(plan, SECOND, paused=True, note="enough")

    assert len({run.trigger_data["scheduled_at"] for run in runs}) == len(runs)
    await wait_until(lambda: _equals(lambda: list_installed(schedules, customer), [(plan.id, 1, True, "enough")]))
    await schedules.remove(customer, plan.id)


@pytest.mark.slow
async def test_a_start_is_skipped_while_the_last_run_is_running(world: World, schedules: Schedules) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    plan = make_simple_plan(customer)
    await schedules.install(plan, SECOND, paused=False)

    async def has_skipped() -> bool:
        return (await describe(schedules, plan)).info.num_actions_skipped_overlap >= 2

    await wait_until(has_skipped)
    await wait_until(lambda: _equals(lambda: _called_nodes(script), ["a"]))
    calls = len(script.calls)
    await schedules.remove(customer, plan.id)
    script.gates["a"].set()
    (run,) = await wait_for_runs(world, customer, 1)

    assert (calls, run.status) == (1, "completed")


async def test_removing_is_repeatable_and_leaves_runs_alone(world: World, schedules: Schedules) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    plan = make_simple_plan(customer)
    await schedules.install(plan, RARE, paused=False)
    await schedules.trigger(customer, plan.id)
    await wait_until(lambda: _equals(lambda: _called_nodes(script), ["a"]))

    await schedules.remove(customer, plan.id)
    await schedules.remove(customer, plan.id)
    script.gates["a"].set()

    assert [run.status for run in await wait_for_runs(world, customer, 1)] == ["completed"]
    await wait_until(lambda: _equals(lambda: list_installed(schedules, customer), []))
    await schedules.install(plan, RARE, paused=True)
    assert (await describe(schedules, plan)).schedule.state.paused


async def _called_nodes(script: Any) -> list[str]:
    nodes: list[str] = script.list_nodes()
    return nodes


async def backfill(
    schedules: Schedules, customer: str, plan: Plan, first: datetime, last: datetime, overlap: str = "buffer_all"
) -> int:
    """Request a backfill, again until the previous one has started all its runs."""

    async def request() -> tuple[int] | None:
        try:
            return (await Backfill(schedules).start(customer, plan.id, first, last, overlap),)
        except OperationRefused:  # the previous one is running
            return None

    return (await wait_until(request))[0]


@pytest.mark.slow
async def test_backfill_starts_each_time_once_with_both_ends(world: World, schedules: Schedules) -> None:
    customer, _ = world.script()
    plan = make_simple_plan(customer)
    await schedules.install(plan, MINUTE, paused=True)
    end = LONG_AGO + timedelta(minutes=2)

    assert await Backfill(schedules).start(customer, plan.id, LONG_AGO, end) == 3
    first = await wait_for_runs(world, customer, 3)
    assert await backfill(schedules, customer, plan, LONG_AGO, end) == 0
    assert await backfill(schedules, customer, plan, LONG_AGO, end + timedelta(minutes=1), "allow_all") == 1
    runs = await wait_for_runs(world, customer, 4)

    assert sorted(run.trigger_data["scheduled_at"] for run in runs) == [
        f"2024-05-01T12:0{minute}:00Z" for minute in range(4)
    ]
    assert {run.id for run in first} < {run.id for run in runs}
    assert len(await world.runs.visibility.list_runs(customer_id=customer)) == 4


@pytest.mark.slow
async def test_a_backfill_waits_for_the_previous_one(world: World, schedules: Schedules) -> None:
    customer, script = world.script()
    script.gates["a"] = asyncio.Event()
    plan = make_simple_plan(customer)
    await schedules.install(plan, MINUTE, paused=True)
    end = LONG_AGO + timedelta(minutes=29)

    assert await Backfill(schedules).start(customer, plan.id, LONG_AGO, end) == 30
    with pytest.raises(OperationRefused, match=r"a previous backfill is still running \(\d+ starts pending\)"):
        await Backfill(schedules).start(customer, plan.id, LONG_AGO, end)
    script.gates["a"].set()
    await wait_for_runs(world, customer, 30)

    assert await backfill(schedules, customer, plan, LONG_AGO, end) == 0
    assert len({run.id for run in await world.runs.visibility.list_runs(customer_id=customer)}) == 30
    assert len(await world.runs.visibility.list_runs(customer_id=customer)) == 30


@pytest.mark.slow
async def test_a_backfill_includes_times_moved_by_jitter(world: World, schedules: Schedules) -> None:
    customer, _ = world.script()
    plan = make_simple_plan(customer)
    moved = MINUTE.model_copy(update={"config": {"jitter_seconds": 40}})
    await schedules.install(plan, moved, paused=True)
    end = LONG_AGO + timedelta(minutes=4, seconds=59)

    by_hand = [LONG_AGO + timedelta(minutes=minute, seconds=3) for minute in range(5)]

    async def list_done(first: datetime, last: datetime) -> list[datetime]:
        return by_hand

    times: dict[str, Any] = {"list_done": list_done, "is_time": lambda time: time.second == 0}
    assert await Backfill(schedules).start(customer, plan.id, LONG_AGO, end, **times) == 5
    runs = await wait_for_runs(world, customer, 5)

    assert await backfill(schedules, customer, plan, LONG_AGO, end) == 0
    assert {run.trigger_data["scheduled_at"] for run in runs} == {f"2024-05-01T12:0{minute}:00Z" for minute in range(5)}
    assert len(await world.runs.visibility.list_runs(customer_id=customer)) == 5


async def test_a_backfill_starts_nothing_for_future_times(world: World, schedules: Schedules) -> None:
    customer, _ = world.script()
    plan = make_simple_plan(customer)
    await schedules.install(plan, Trigger(type="schedule", interval_seconds=YEAR), paused=True)
    last = datetime.fromtimestamp(datetime.now(UTC).timestamp() // YEAR * YEAR, UTC)

    assert await Backfill(schedules).start(customer, plan.id, last, last + timedelta(seconds=2 * YEAR)) == 1


async def test_a_backfill_of_more_than_a_thousand_times_is_refused(world: World, schedules: Schedules) -> None:
    customer, _ = world.script()
    plan = make_simple_plan(customer)
    await schedules.install(plan, MINUTE, paused=True)

    with pytest.raises(OperationRefused, match="more than 1,000 times"):
        await Backfill(schedules).start(customer, plan.id, LONG_AGO, LONG_AGO + timedelta(minutes=1000))
    with pytest.raises(OperationRefused, match="unknown overlap policy 'queue'"):
        await Backfill(schedules).start(customer, plan.id, LONG_AGO, LONG_AGO, "queue")

    nothing = await Backfill(schedules).start(customer, plan.id, LONG_AGO + timedelta(seconds=1), LONG_AGO)
    assert (nothing, await world.runs.visibility.list_runs(customer_id=customer)) == (0, [])


@pytest.mark.slow
async def test_a_backfill_skips_times_that_have_run(world: World, schedules: Schedules) -> None:
    customer, _ = world.script()
    plan = make_simple_plan(customer)
    await schedules.install(plan, MINUTE, paused=True)
    times = [LONG_AGO + timedelta(minutes=minute) for minute in range(5)]
    assert await Backfill(schedules).start(customer, plan.id, times[2], times[2]) == 1
    await wait_for_runs(world, customer, 1)

    assert await backfill(schedules, customer, plan, times[0], times[-1]) == 4
    runs = await wait_for_runs(world, customer, 5)

    assert sorted(datetime.fromisoformat(run.trigger_data["scheduled_at"]) for run in runs) == times


@pytest.mark.parametrize(
    "trigger",
    [
        DAILY,
        RARE,
        Trigger(type="schedule", interval_seconds=7200),
        Trigger(type="schedule", cron="0 9 1 * mon", config={"start_at": "2031-05-01", "timezone": "Asia/Kolkata"}),
        Trigger(type="schedule", cron="@yearly", config={"start_at": "2031-01-01", "end_at": "2033-01-01T00:00:00.7Z"}),
        Trigger(type="schedule", cron="@daily", config={"end_at": "2020-01-01"}),
    ],
    ids=lambda trigger: trigger.cron or "interval",
)
async def test_previewed_fire_times_are_those_of_temporal(world: World, schedules: Schedules, trigger: Trigger) -> None:
    customer, _ = world.script()
    plan = make_simple_plan(customer)
    before = list_fire_times(trigger, datetime.now(UTC), 13)
    await schedules.install(plan, trigger, paused=True)
    listed = await schedules.list_next_times(customer, plan.id, 13)
    shown = (await describe(schedules, plan)).info.next_action_times
    after = list_fire_times(trigger, datetime.now(UTC), 13)

    # A fire time may pass meanwhile.
    assert listed in (before, after)
    assert shown in (before[: len(shown)], after[: len(shown)])


async def test_operations_without_a_schedule_are_rejected(schedules: Schedules) -> None:
    operations: list[Awaitable[Any]] = [
        schedules.trigger("nobody", "nothing"),
        schedules.list_next_times("nobody", "nothing"),
        Backfill(schedules).start("nobody", "nothing", LONG_AGO, LONG_AGO + timedelta(hours=1)),
    ]
    for operation in operations:
        with pytest.raises(OperationRefused, match="workflow 'nothing' has no schedule"):
            await operation


def test_schedule_ids_are_unique_per_customer_and_readable() -> None:
    owners = [("a", "b:c"), ("a:b", "c"), ("", "a:b:c"), ("a%3Ab", "c"), ("ä/ö", "x y"), ("", "")]

    names = [build_schedule_id(*owner) for owner in owners]

    assert len(set(names)) == len(owners)
    assert [parse_schedule_id(name) for name in names] == owners
    assert [parse_schedule_id(name) for name in ("other", "other:a:b", "orchestrator:a", "orchestrator:a:b:c")] == [
        None
    ] * 4
