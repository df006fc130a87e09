"""Payloads above 64 kB are stored outside of Temporal; runs, readers and replay notice nothing of it.

In a folder, and in a bucket of S3.
"""

import json
from typing import Any

import pytest

from orchestrator.errors import ServerUnavailable
from orchestrator.temporal.devserver import DevServer
from orchestrator.temporal.payload_store.driver import build_data_converter, get_driver, open_objects
from orchestrator.temporal.payload_store.objects import Objects, encode_name
from orchestrator.temporal.replay import replay
from tests.temporal.world import STORES, World, make_plan, open_world

pytestmark = pytest.mark.temporal

MEGABYTES = 3
TEXT = "0123456789abcdef" * (MEGABYTES * 65_536)
FUSED = {"execution": "local"}
ACTION_INPUT, RESULT, OUTPUT = 2, 3, 5
"""Order of what a run with one action stores, whose first attempt dies: its input is 1, the second result 4."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "large" in metafunc.fixturenames:
        metafunc.parametrize("large", STORES, indirect=True, scope="module")


def open_store(world: World) -> Objects:
    return open_objects(str(world.runs.settings.payload_store))


def list_objects(world: World, run_id: str) -> list[str]:
    return [each.key for each in open_store(world).list_of("default", encode_name(run_id))]


async def read_history(world: World, workflow_id: str) -> str:
    """Return a history as Temporal stores it."""
    return (await world.client.get_workflow_handle(workflow_id).fetch_history()).to_json()


async def test_inputs_results_and_outputs_of_several_megabytes_pass_through_a_run(large: World) -> None:
    customer, script = large.script({"work": {"output": {"text": "{{ params.text }}"}}})
    nodes = {
        "one": {"type": "action", "action": "work", "config": {"text": "{{ input.text }}"}},
        "end": {"type": "end", "config": {"output": "{{ steps.one.output }}"}},
    }
    run = await large.run(make_plan(nodes, "trigger -> one", "one -> end", customer=customer), {"text": TEXT})

    assert (run.status, run.complete) == ("completed", True)
    assert run.output == {"text": TEXT}
    assert script.calls[0]["parameters"] == {"text": TEXT}
    assert run.steps[0].output_data == {"text": TEXT}
    assert len(await read_history(large, run.id)) < 20_000
    # The input of the run, that of the action, its result, and the output of the run; equal ones are stored once.
    assert len(list_objects(large, run.id)) == 3


async def test_a_history_is_exported_with_its_stored_payloads_and_replays(large: World) -> None:
    customer, _ = large.script({"work": {"output": {"text": "{{ params.text }}"}}})
    nodes = {"one": {"type": "action", "action": "work", "config": {"text": "{{ input.text }}"}}}
    run = await large.run(make_plan(nodes, "trigger -> one", customer=customer), {"text": TEXT[:100_000]})
    exported = await large.runs.reader.export_history(run.id)

    assert len(exported) > 100_000 > len(await read_history(large, run.id))
    assert await replay(run.id, exported) is None
    converter = build_data_converter(large.runs.settings)
    assert await replay(run.id, await read_history(large, run.id), converter) is None


async def test_the_input_of_local_activities_is_not_stored(large: World) -> None:
    """A loop of segments with 200 kB of context: only what is recorded is stored."""
    customer, script = large.script({"work": {"output": {"ok": True}}})
    nodes = {
        "each": {"type": "loop", "collection": 5, "body": ["inner", "rest"]},
        "inner": {"type": "action", "action": "work", "config": {"text": "{{ input.text }}"}},
        "rest": {"type": "delay", "delay_seconds": 0.01},
    }
    plan = make_plan(nodes, "trigger -> each", "inner -> rest", customer=customer, settings=FUSED)
    run = await large.run(plan, {"text": TEXT[:200_000]})

    assert (run.status, len(script.calls)) == ("completed", 5)
    assert len(list_objects(large, run.id)) == 1  # the input of the run


async def test_branches_store_under_their_run(large: World) -> None:
    customer, _ = large.script({"work": {"output": {"text": "{{ params.text }}"}}})
    action = {"type": "action", "action": "work", "config": {"text": "{{ input.text }}"}}
    nodes = {
        "fork": {"type": "parallel", "branches": [["left"], ["right"]], "config": {"mode": "child"}},
        "left": action,
        "right": action,
    }
    run = await large.run(make_plan(nodes, "trigger -> fork", customer=customer), {"text": TEXT})

    assert (run.status, run.complete) == ("completed", True)
    assert [step.output_data for step in run.steps if step.node_id == "left"] == [{"text": TEXT}]
    assert list_objects(large, run.id)
    assert not [name for name in open_store(large).list_owners("default") if "=2F" in name]


async def test_equal_data_of_two_customers_is_stored_twice(large: World) -> None:
    nodes = {"one": {"type": "set", "config": {"done": True}}}
    runs = [
        await large.run(make_plan(nodes, "trigger -> one", customer=large.script()[0]), {"text": TEXT})
        for _ in range(2)
    ]
    first, second = (list_objects(large, run.id) for run in runs)

    assert first
    assert second
    assert runs[0].id != runs[1].id


async def test_events_of_several_megabytes_reach_a_run(large: World) -> None:
    customer, _ = large.script()
    nodes = {
        "ask": {"type": "wait", "config": {"event": "data"}},
        "end": {"type": "end", "config": {"output": "{{ steps.ask.output }}"}},
    }
    run_id = await large.start(make_plan(nodes, "trigger -> ask", "ask -> end", customer=customer))
    await large.wait_for_waiting(run_id, "event")
    await large.runs.send_event(run_id, "data", {"text": TEXT}, key="one")
    run = await large.wait_for_end(run_id)

    assert run.status == "completed"
    assert TEXT in json.dumps(run.output)
    assert (await large.runs.find_event_sender(run_id, "data", {"text": TEXT})) is not None


class DyingObjects:
    """Objects of which some are stored and never reported, as by a process that dies in that moment."""

    def __init__(self, objects: Objects, deaths: tuple[int, ...]) -> None:
        self.objects = objects
        self.deaths = deaths
        """Which new contents are not reported the first time, counted from 1."""
        self.seen: list[str] = []
        self.read, self.list_owners = objects.read, objects.list_owners
        self.list_of, self.remove = objects.list_of, objects.remove

    def write(self, key: str, content: bytes) -> None:
        self.objects.write(key, content)
        if key not in self.seen:
            self.seen.append(key)
            if len(self.seen) in self.deaths:
                raise OSError("killed")


async def test_a_process_that_dies_after_storing_and_before_recording_loses_nothing(
    server: DevServer, large: World
) -> None:
    """The workflow task, or the attempt at the action, is made again; it stores the same objects."""
    nodes = {
        "one": {
            "type": "action",
            "action": "work",
            "config": {"text": "{{ input.text }}"},
            "retry": {"maximum_attempts": 3, "initial_interval": 0.05},
        },
        "end": {"type": "end", "config": {"output": {"text": "{{ steps.one.output.text }}", "all": True}}},
    }
    store = large.runs.settings.payload_store
    async with open_world(server, queue=f"{large.queue}-dying", payload_store=store) as dying:
        driver = get_driver(dying.client.data_converter)
        assert driver is not None
        driver.objects = objects = DyingObjects(open_store(large), (ACTION_INPUT, RESULT, OUTPUT))
        customer, script = dying.script({"work": {"output": {"text": "{{ params.text }}", "ok": True}}})
        plan = make_plan(nodes, "trigger -> one", "one -> end", customer=customer)
        run = await dying.run(plan, {"text": TEXT[:100_000]})

    assert (run.status, run.complete) == ("completed", True)
    assert run.output == {"text": TEXT[:100_000], "all": True}
    assert len(objects.seen) == len(list_objects(large, run.id)) == OUTPUT
    assert [call["attempt"] for call in script.calls] == [1, 2]


async def test_a_reader_without_the_store_says_what_it_lacks(large: World, world: World) -> None:
    customer, _ = large.script()
    nodes: dict[str, Any] = {"one": {"type": "set", "config": {"done": True}}}
    run = await large.run(make_plan(nodes, "trigger -> one", customer=customer), {"text": TEXT})

    with pytest.raises(ServerUnavailable, match="store that is not configured"):
        await world.runs.reader.read_document(run.id)


async def test_the_limit_that_is_left_is_named_at_the_start(large: World) -> None:
    customer, _ = large.script()
    nodes: dict[str, Any] = {"one": {"type": "set", "config": {"done": True}}}
    plan = make_plan(nodes, "trigger -> one", customer=customer)

    with pytest.raises(Exception, match="the limit for starting a run is 8,000,000"):
        large.runs.prepare(plan, input_data={"text": TEXT * 3})
