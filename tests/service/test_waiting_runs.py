"""Lists say what a run waits for, from a search attribute that the run itself sets."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.service.services import Services
from orchestrator.store.run_filter import RunFilter
from orchestrator.temporal.workflow import shown_waits
from tests.api.support import WAIT, serve_api
from tests.service.rows import wait_for_row
from tests.temporal.world import World, make_plan, wait_until

pytestmark = pytest.mark.temporal
DAY = {"type": "delay", "delay_seconds": 86_400}
ASK = {"type": "action", "action": "pay", "on_error": "pause", "retry": {"maximum_attempts": 1}}
DECLINED = {"pay": {"error": {"message": "declined", "error_type": "action_error"}}}


@pytest.fixture
async def services(world: World, tmp_path: Path) -> AsyncIterator[Services]:
    async with serve_api(world, tmp_path) as (services, _):
        yield services


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ({"a": DAY}, ("delay", "a")),
        ({"a": WAIT}, ("event", "a")),
        ({"a": ASK}, ("operator", "a")),
        ({"fork": {"type": "parallel", "branches": [["a"], ["b"]]}, "a": DAY, "b": ASK}, ("operator", "b")),
        (
            {
                "fork": {"type": "parallel", "branches": [["a"], ["b"]], "config": {"mode": "inline"}},
                "a": DAY,
                "b": WAIT,
            },
            ("event", "b"),
        ),
    ],
    ids=["delay", "event", "operator", "branches", "inline branches"],
)
async def test_a_list_says_what_a_run_waits_for(
    world: World, services: Services, nodes: dict[str, Any], expected: tuple[str, str]
) -> None:
    customer, _ = world.script(DECLINED)
    first = next(iter(nodes))
    run_id = await world.start(make_plan(nodes, f"trigger -> {first}", customer=customer))

    row = await wait_for_row(services, run_id, "waiting", *expected)

    assert row.waiting_for[0]["node_id"] == expected[1]
    assert "since" in row.waiting_for[0]
    (found,) = await services.operations.index.list_runs(customer, RunFilter(statuses=("waiting",), reason=row.reason))
    assert found.id == run_id
    await world.runs.terminate(run_id)


@pytest.mark.slow
async def test_a_paused_run_waits_and_continues(world: World, services: Services) -> None:
    customer, script = world.script()
    nodes = {"a": WAIT, "b": WAIT}
    run_id = await world.start(make_plan(nodes, "trigger -> a", "a -> b", customer=customer))
    assert (await wait_for_row(services, run_id, "waiting", "event", "a")).waiting_for[0]["event"] == "go"
    await world.runs.pause(run_id)

    async def is_paused() -> bool:
        return (await wait_for_row(services, run_id, "waiting")).reason == "paused"

    await wait_until(is_paused)
    document = await services.operations.get_document(customer, run_id)
    assert [wait["kind"] for wait in document.waiting_for] == ["event", "paused"]
    await world.runs.send_event(run_id, "go")
    await world.runs.resume(run_id)

    async def waits_at_b() -> bool:
        return (await wait_for_row(services, run_id, "waiting")).node_id == "b"

    await wait_until(waits_at_b)
    await world.runs.send_event(run_id, "go")
    ended = await wait_for_row(services, run_id, "completed")
    assert (ended.reason, ended.waiting_for, script.calls) == (None, [], [])


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["child", "inline"])
async def test_a_run_that_works_beside_a_wait_is_running_and_says_what_waits(
    world: World, services: Services, mode: str
) -> None:
    """Nobody saw in a list that a person was waited for while another branch worked."""
    customer, script = world.script()
    script.gates["work"] = asyncio.Event()
    nodes = {
        "fork": {"type": "parallel", "branches": [["a"], ["b"]], "config": {"mode": mode}},
        "a": WAIT,
        "b": {"type": "action", "action": "work"},
    }
    run_id = await world.start(make_plan(nodes, "trigger -> fork", customer=customer))

    async def is_shown() -> bool:
        row = await services.operations.index.get(None, run_id)
        return row is not None and (row.status, row.reason, row.node_id) == ("running", "event", "a")

    await wait_until(is_shown)
    script.gates["work"].set()

    assert (await wait_for_row(services, run_id, "waiting")).node_id == "a"
    await world.runs.terminate(run_id)


async def count_changes(world: World, run_id: str) -> int:
    """Return how many events of a history set search attributes."""
    history = await world.client.get_workflow_handle(run_id).fetch_history()
    return sum(each.HasField("upsert_workflow_search_attributes_event_attributes") for each in history.events)


async def test_a_loop_of_waits_writes_a_bounded_number_of_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown_waits, "MAX_CHANGES", 2)
    customer, _ = world.script()
    loop = {"type": "loop", "collection": "{{ 8 }}", "body": ["hear"]}
    run_id = await world.start(make_plan({"each": loop, "hear": WAIT}, "trigger -> each", customer=customer))
    for number in range(8):
        await world.runs.send_event(run_id, "go", number)
        await wait_until(partial(has_completed, world, run_id, number + 1))

    assert (await world.wait_for_end(run_id)).status == "completed"
    assert (
        await count_changes(world, run_id) <= 4
    )  # two as they came, one without the time, and the last that clears it


async def has_completed(world: World, run_id: str, number: int) -> bool:
    return (await world.runs.reader.read_document(run_id)).steps_completed >= number


@pytest.mark.slow
async def test_a_loop_that_polls_writes_a_bounded_number_of_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its passes wrote two."""
    monkeypatch.setattr(shown_waits, "MAX_CHANGES", 1)
    customer, _ = world.script()
    loop = {"type": "loop", "collection": "{{ 4 }}", "body": ["ask"], "config": {"interval_seconds": 1.1}}
    run = await world.run(make_plan({"each": loop, "ask": "work"}, "trigger -> each", customer=customer))

    assert run.status == "completed"
    assert await count_changes(world, run.id) <= 2


KEYS = {"order": "{{ input.order_id }}", "shop": "north", "none": "{{ input.missing }}", "long": "{{ input.text }}"}


async def test_runs_are_found_by_their_business_keys(world: World, services: Services) -> None:
    """Support had an order number, and no way to the run that handles it."""
    customer, _ = world.script()
    plan = make_plan({"a": WAIT}, "trigger -> a", customer=customer, settings={"keys": KEYS})
    ids = [await world.start(plan, {"order_id": number, "text": "x" * 300}) for number in (7, 8)]

    async def find(*keys: tuple[str, str]) -> list[str]:
        return [run.id for run in await services.operations.index.list_runs(customer, RunFilter(keys=keys))]

    await wait_until(lambda: find(("order", "7")))
    run = await world.runs.reader.read_document(ids[0])
    assert await find(("order", "7"), ("shop", "north")) == [ids[0]]
    assert await find(("order", "9")) == await find(("order", "7"), ("shop", "south")) == []
    assert run.keys == {"order": "7", "shop": "north"}
    assert run.warnings == ["the key 'long' is left out: `name=value` is longer than 255 bytes"]
    row = await wait_for_row(services, ids[0], "waiting")
    assert row.keys == run.keys
    for run_id in ids:
        await world.runs.terminate(run_id)


async def test_a_short_wait_costs_no_event(world: World) -> None:
    """A wait that is over in the same workflow task, or within a second, is not worth an event."""
    customer, script = world.script()
    script.gates["first"] = asyncio.Event()
    short = {"a": {"type": "delay", "delay_seconds": 0.05}, "b": "work"}
    early = {"first": "work", "hear": WAIT, "then": "work"}
    quick = await world.run(make_plan(short, "trigger -> a", "a -> b", customer=customer))
    run_id = await world.start(make_plan(early, "trigger -> first", "first -> hear", "hear -> then", customer=customer))
    await world.runs.send_event(run_id, "go")
    script.gates["first"].set()
    await world.wait_for_end(run_id)

    for name in (quick.id, run_id):
        assert await count_changes(world, name) == 0, name
