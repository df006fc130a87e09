"""Runs with much data continue as new: nothing that a run may start with loses it later."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from orchestrator.model.run import Run
from orchestrator.model.usage import Usage
from orchestrator.reruns.restart import Changes
from orchestrator.reruns.targets import Target
from orchestrator.temporal.devserver import DevServer, run_dev_server
from orchestrator.temporal.payload_store.objects import encode_name
from orchestrator.temporal.replay import replay
from orchestrator.temporal.workflow import effects
from tests.golden import read_definition
from tests.temporal.record_histories import list_executions
from tests.temporal.test_continue_as_new import make_loop, measure_lengths
from tests.temporal.world import World, make_plan, open_world, wait_until

pytestmark = pytest.mark.temporal

SUGGESTED_AT = 60


@pytest.fixture(scope="module")
async def short_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevServer]:
    """A server whose histories are short."""
    config = (f"limit.historyCount.suggestContinueAsNew={SUGGESTED_AT}",)
    async with run_dev_server(tmp_path_factory.mktemp("sizes"), dynamic_config=config) as server:
        yield server


@pytest.fixture(scope="module")
async def short(short_server: DevServer) -> AsyncIterator[World]:
    async with open_world(short_server) as world:
        yield world


async def measure_usage(world: World, run_id: str) -> Usage:
    """Return what Temporal says of all executions of a run, and the times in their histories."""
    executions, size, lengths, seconds = await list_executions(world.client, run_id), 0, 0, 0.0
    for name, text in executions:
        events = json.loads(text)["events"]
        execution = events[0]["workflowExecutionStartedEventAttributes"]["originalExecutionRunId"]
        described = await world.client.get_workflow_handle(name, run_id=execution).describe()
        lengths += described.history_length
        size += described.raw_description.workflow_execution_info.history_size_bytes
        for event in events:
            if (completed := event.get("activityTaskCompletedEventAttributes")) is not None:
                began = events[int(completed["startedEventId"]) - 1]["eventTime"]
                took = datetime.fromisoformat(event["eventTime"]) - datetime.fromisoformat(began)
                seconds += took.total_seconds()
    steps = (await world.runs.reader.read_document(run_id)).steps_total
    return Usage(
        executions=len(executions), events=lengths, bytes=size, steps=steps, worker_seconds=seconds, complete=True
    )


@pytest.mark.slow
async def test_what_a_run_has_used_is_what_temporal_says_of_all_its_executions(short: World) -> None:
    """Of those that the document does not need, the length and the size are described."""
    nodes = {
        "each": make_loop(20, "n", "note"),
        "note": {"type": "action", "action": "work"},
        "fork": {"type": "parallel", "branches": [["b"], ["c"]], "config": {"mode": "child"}},
        "b": "work",
        "c": "work",
    }
    for limit in (100, 5):
        customer, _ = short.script()
        settings = {"step_log_limit": limit}
        plan = make_plan(nodes, "trigger -> each", "each -> fork", customer=customer, settings=settings)
        run = await short.run(plan)
        usage = (await short.runs.reader.read_ended(run.id)).usage
        measured = await measure_usage(short, run.id)

        assert usage is not None
        assert measured.executions >= 4, "the run continues as new, and has two branches"
        named = {"executions", "events", "bytes", "steps"}
        assert usage.model_dump(include=named) == measured.model_dump(include=named)
        if limit == 100:
            assert usage.complete
            assert usage.worker_seconds == pytest.approx(measured.worker_seconds, abs=0.001)
        else:
            assert not usage.complete
            assert 0 < usage.worker_seconds < measured.worker_seconds


def make_text(size: int) -> str:
    """Return text that hardly compresses: half its size is left."""
    return random.Random(size).randbytes(size // 2).hex()


async def assert_short_executions(world: World, run: Run) -> None:
    lengths = await measure_lengths(world, run.id)

    assert len(lengths) >= 2
    assert max(lengths) < SUGGESTED_AT * 2


@pytest.mark.slow
async def test_a_loop_over_a_list_of_a_megabyte_continues_as_new(short: World) -> None:
    """The list is in the input, a variable, the frame of the loop, the undo log and the output of a step."""
    customer, script = short.script()
    rows = [{"id": number, "text": make_text(20_000)} for number in range(50)]
    nodes = {
        "copy": {"type": "set", "config": {"rows": "{{ input.rows }}"}},
        "each": make_loop("{{ rows }}", "row", "note", collect="{{ row }}"),
        "note": {"type": "action", "action": "work", "config": {"id": "{{ row.id }}"}},
        "forget": {"type": "set", "config": {"rows": [], "last": "{{ row }}"}},
        "end": {"type": "end", "config": {"output": "{{ steps.each.output.items | length }}"}},
    }
    plan = make_plan(nodes, "trigger -> copy", "copy -> each", "note -> forget", "each -> end", customer=customer)
    run = await short.run(plan, {"rows": rows})

    assert (run.status, run.output) == ("completed", 50)
    assert [call["parameters"]["id"] for call in script.calls] == list(range(50))
    await assert_short_executions(short, run)


@pytest.mark.slow
async def test_plan_and_state_that_fit_a_start_fit_a_continuation(short: World) -> None:
    """The variables are in the plan and in the state; together they are 3.2 MB."""
    customer, _ = short.script()
    nodes = {"each": make_loop(30, "n", "note"), "note": "work"}
    plan = make_plan(nodes, "trigger -> each", customer=customer, variables={"text": make_text(1_400_000)})
    run = await short.run(plan, {"text": make_text(400_000)})

    assert run.status == "completed"
    await assert_short_executions(short, run)


async def test_a_state_that_cannot_be_carried_over_is_a_warning_on_the_run(short: World) -> None:
    """The results of `first` are 4.8 MB, and 2.4 MB when compressed."""
    customer, script = short.script()
    nodes = {
        "first": {"type": "set", "config": {f"copy{n}": f"{{{{ input.text }}}}{n}" for n in range(8)}},
        "each": make_loop(30, "n", "note"),
        "note": "work",
        "end": {"type": "end", "config": {"output": "done"}},
    }
    plan = make_plan(nodes, "trigger -> first", "first -> each", "each -> end", customer=customer)
    run = await short.run(plan, {"text": make_text(600_000)})

    assert (run.status, len(script.calls)) == ("completed", 30)
    assert len(await measure_lengths(short, run.id)) == 1
    (warning,) = run.warnings
    assert warning.startswith("the data of this run is too large to be carried into a new history")


@pytest.mark.slow
async def test_with_a_payload_store_a_state_of_several_megabytes_is_carried_over(
    short_server: DevServer, tmp_path: Path
) -> None:
    """That of the test before."""
    nodes = {
        "first": {"type": "set", "config": {f"copy{n}": f"{{{{ input.text }}}}{n}" for n in range(8)}},
        "each": make_loop(30, "n", "note"),
        "note": "work",
        "end": {"type": "end", "config": {"output": "{{ copy7 | length }}"}},
    }
    async with open_world(short_server, queue="stored", payload_store=str(tmp_path)) as stored:
        customer, script = stored.script()
        plan = make_plan(nodes, "trigger -> first", "first -> each", "each -> end", customer=customer)
        run = await stored.run(plan, {"text": make_text(600_000)})
        lengths = await measure_lengths(stored, run.id)

    assert (run.status, run.output, run.warnings) == ("completed", 600_001, [])
    assert len(script.calls) == 30
    assert len(lengths) >= 2


@pytest.mark.slow
async def test_with_a_payload_store_what_a_loop_collects_is_stored_once(
    short_server: DevServer, tmp_path: Path
) -> None:
    """Each continuation begins with all results so far, of 20 kB each: four at a time are an object of their own."""
    texts = [make_text(20_000 + 2 * number) for number in range(45)]
    nodes = {
        "each": make_loop(45, "n", "note", collect="{{ steps.note.output.text }}"),
        "note": "work",
        "end": {"type": "end", "config": {"output": "{{ steps.each.output.items[44] }}"}},
    }
    async with open_world(short_server, queue="collecting", payload_store=str(tmp_path)) as stored:
        customer, _ = stored.script({"work": [{"output": {"text": text}} for text in texts]})
        run = await stored.run(make_plan(nodes, "trigger -> each", "each -> end", customer=customer))
        rerun = await stored.runs.reader.reruns.plan(customer, run.id, Changes(Target("end")), f"{run.id}-again")
        started = await stored.runs.start(stored.runs.prepare_rerun(rerun))
        again = await stored.wait_for_end(started.id)
        histories = [history for _, history in await list_executions(stored.client, run.id)]
        sizes = [file.stat().st_size for file in (tmp_path / "default" / encode_name(run.id)).iterdir()]
        failures = [await replay(run.id, history, stored.client.data_converter) for history in histories]

    assert (run.status, run.output) == (again.status, again.output) == ("completed", texts[44])
    assert len(histories) >= 4
    assert failures == [None] * len(histories)
    assert len(sizes) <= 11
    assert max(sizes) < 81_000


async def test_a_full_history_fails_the_run_in_order(short: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a called workflow is under way the run cannot continue as new."""
    monkeypatch.setattr(effects, "MAX_EVENTS", 100)
    customer, script = short.script()
    undo = {"action": "undo", "config": {"n": "{{ n }}"}}
    nodes = {
        "fork": {"type": "parallel", "branches": [["call"], ["each"]], "config": {"mode": "inline"}},
        "call": {"type": "workflow", "config": {"workflow_id": "sleeper"}},
        "each": make_loop(100, "n", "note"),
        "note": {"type": "action", "action": "work", "compensate": undo},
    }
    nap = {"nap": {"type": "delay", "delay_seconds": 600}}
    sleeper = read_definition({"nodes": nap, "edges": ["trigger -> nap"]}, "sleeper", "sleeper")
    run = await short.run(make_plan(nodes, "trigger -> fork", customer=customer, workflows={"sleeper": sleeper}))

    assert (run.status, len(await measure_lengths(short, run.id))) == ("failed", 1)
    assert run.failure is not None
    assert (run.failure["error_type"], run.failure["recoverable"]) == ("execution_error", False)
    assert (run.failure["node_id"], run.failure["details"]["limit"]) == ("each", "history")
    assert 100 <= run.failure["details"]["events"] < 120
    started = len(script.list_calls("work"))
    assert started > 5
    assert [call["parameters"]["n"] for call in script.list_calls("undo")] == list(range(started))[::-1]
    assert {step.id: step.status for step in run.steps}["fork[0]/call"] == "cancelled"


@pytest.mark.slow
async def test_a_run_waits_for_a_long_child_before_its_history_is_full(
    short: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single child that outlasted 45,000 events of the run beside it failed the run."""
    monkeypatch.setattr(effects, "EVENTS_BESIDE_CHILDREN", 80)
    monkeypatch.setattr(effects, "MAX_EVENTS", 120)
    customer, script = short.script()
    gate = script.gates["slow"] = asyncio.Event()
    nodes = {
        "fork": {"type": "parallel", "branches": [["call"], ["each"]], "config": {"mode": "inline"}},
        "call": {"type": "workflow", "config": {"workflow_id": "callee"}},
        "each": make_loop(60, "n", "note"),
        "note": "work",
    }
    callee = read_definition({"nodes": {"wait": "slow"}, "edges": ["trigger -> wait"]}, "callee", "callee")
    plan = make_plan(nodes, "trigger -> fork", customer=customer, workflows={"callee": callee})
    run_id = await short.start(plan)

    async def is_held() -> bool:
        return effects.HELD_BESIDE_CHILDREN in (await short.runs.reader.read_document(run_id)).warnings

    await wait_until(is_held)
    gate.set()
    run = await short.wait_for_end(run_id)
    lengths = await measure_lengths(short, run.id)

    assert (run.status, len(script.list_calls("work"))) == ("completed", 60)
    assert len(lengths) > 1
    assert max(lengths) < 120


async def test_a_run_that_temporal_ends_has_failed_with_its_reason(tmp_path: Path) -> None:
    config = (
        "limit.historyCount.error=60",
        "limit.historyCount.warn=50",
        "limit.historyCount.suggestContinueAsNew=900",
    )
    async with run_dev_server(tmp_path, dynamic_config=config) as server, open_world(server) as world:
        customer, _ = world.script()
        nodes = {"each": make_loop(100, "n", "note"), "note": "work"}
        run = await world.run(make_plan(nodes, "trigger -> each", customer=customer))

    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure["message"].startswith("Temporal ended the run: Workflow history ")
    assert (run.failure["error_type"], run.failure["recoverable"]) == ("execution_error", False)
