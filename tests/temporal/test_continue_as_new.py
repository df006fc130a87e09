"""Long runs continue as new when Temporal suggests it, and lose nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import dropwhile
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.converter import DefaultPayloadConverter

from orchestrator.interpreter.state import RunState
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run, RunInfo
from orchestrator.reruns.restart import Changes
from orchestrator.simulator.simulate import EPOCH
from orchestrator.temporal.devserver import run_dev_server
from orchestrator.temporal.requests import build_run_request, read_request
from orchestrator.temporal.workflow import effects
from orchestrator.temporal.workflow.flow import Flow
from tests.golden import Case, inline_branches, limit_batches, list_differences
from tests.temporal.answers import Script
from tests.temporal.golden_runs import Golden, list_cases
from tests.temporal.record_histories import list_executions
from tests.temporal.world import World, add_heartbeats, make_plan, open_world, wait_until

pytestmark = pytest.mark.temporal

SUGGESTED_AT = 60
"""Events of history; Temporal's own figure is 4,096."""


def has_loop_or_inline_branches(case: Case) -> bool:
    nodes = case.definition["nodes"]
    return any(node["type"] == "loop" or (node.get("config") or {}).get("mode") == "inline" for node in nodes)


CUT = [case for case in list_cases() if has_loop_or_inline_branches(case)]
INLINE = [variant for case in list_cases() if (variant := inline_branches(case)) is not None]


@pytest.fixture(scope="module")
async def short(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A server whose histories are short."""
    config = (f"limit.historyCount.suggestContinueAsNew={SUGGESTED_AT}",)
    home = tmp_path_factory.mktemp("short")
    async with run_dev_server(home, dynamic_config=config) as server, open_world(server) as world:
        yield world


async def measure_lengths(world: World, workflow_id: str) -> list[int]:
    """Return the number of events of each execution of a workflow."""
    return [
        len(json.loads(history)["events"])
        for name, history in await list_executions(world.client, workflow_id)
        if name == workflow_id
    ]


def make_loop(collection: Any, item: str, *body: str, **config: Any) -> dict[str, Any]:
    return {"type": "loop", "collection": collection, "item_variable": item, "body": list(body), "config": config}


COSTLY = "{{ (input | sum) + (input | sum) + (input | sum) }}"
ROWS = {
    "rows": make_loop(4, "row", "cells", collect="{{ steps.cells.output.items }}"),
    "cells": make_loop(6, "cell", "note", collect="{{ row }}-{{ cell }}"),
    "note": {"type": "action", "action": "work", "config": {"at": "{{ row }}{{ cell }}"}, "outputs": ["node"]},
    "count": {"type": "set", "config": {"seen": "{{ seen }}{{ row }}{{ cell }} "}},
    "after": "work",
}
EDGES = ("trigger -> rows", "note -> count", "rows -> after")
TABLE = [[f"{row}-{cell}" for cell in range(6)] for row in range(4)]


async def test_nested_loops_continue_in_the_middle(short: World) -> None:
    customer, script = short.script()
    run = await short.run(make_plan(ROWS, *EDGES, customer=customer, variables={"seen": ""}), {"given": 1})
    order = [f"{row}{cell}" for row in range(4) for cell in range(6)]

    assert (run.status, run.input_data) == ("completed", {"given": 1})
    assert next(step for step in run.steps if step.id == "rows").output_data == {
        "count": 4,
        "items": TABLE,
        "succeeded": 4,
        "failed": 0,
        "errors": [],
    }
    assert run.output["seen"].split() == order
    assert [call["parameters"].get("at") for call in script.calls] == [*order, None]
    assert run.steps_total == len(run.steps) == 1 + 4 * (1 + 6 * 2) + 1


async def test_a_run_that_continues_carries_no_steps_but_those_in_progress(short: World) -> None:
    customer, _ = short.script()
    plan = make_plan(ROWS, *EDGES, customer=customer, variables={"seen": ""})
    run = await short.run(plan)
    _, *later = await list_executions(short.client, run.id)
    for _, history in later:
        first = WorkflowHistory.from_json(run.id, history).events[0].workflow_execution_started_event_attributes
        state = read_request(DefaultPayloadConverter().from_payloads(first.input.payloads))["state"]

        assert state["started"] > 10
        assert {step.id for step in RunState.from_json(plan, state).log} <= {
            "rows",
            *(f"rows[{n}]/cells" for n in range(4)),
        }


async def test_a_rerun_has_the_steps_of_all_executions(short: World) -> None:
    customer, script = short.script({"last": [{"error": {"message": "no", "recoverable": False}}, {"output": {}}]})
    nodes = {"each": make_loop(30, "n", "step"), "step": "work", "last": "last"}
    run = await short.run(make_plan(nodes, "trigger -> each", "each -> last", customer=customer))
    rerun = await short.runs.reader.reruns.plan(customer, run.id, Changes(), f"{run.id}-again")
    started = await short.runs.start(short.runs.prepare_rerun(rerun))
    again = await short.wait_for_end(started.id)

    assert len(await measure_lengths(short, run.id)) >= 3
    assert (run.status, again.status, len(script.list_calls("work"))) == ("failed", "completed", 30)
    assert [(step.id, step.reused) for step in again.steps] == [
        ("each", True),
        *((f"each[{n}]/step", True) for n in range(30)),
        ("last", False),
    ]


async def test_each_execution_stays_near_the_suggested_length(short: World) -> None:
    customer, _ = short.script()
    run = await short.run(make_plan(ROWS, *EDGES, customer=customer, variables={"seen": ""}))
    lengths = await measure_lengths(short, run.id)

    assert len(lengths) >= 2
    assert max(lengths) < SUGGESTED_AT * 2


async def test_a_run_continues_after_a_number_of_local_actions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # Temporal suggests it after 4,096 events: that number of local actions takes longer to replay than a task may last.
    monkeypatch.setattr(effects, "MAX_LOCAL_ACTIONS", 20)
    customer, script = world.script()
    nodes = {
        "each": make_loop(50, "n", "note"),
        "note": {"type": "action", "action": "work", "execution": "local"},
    }
    run = await world.run(make_plan(nodes, "trigger -> each", customer=customer, settings={"fuse": False}))

    assert run.status == "completed"
    assert len(script.calls) == 50
    assert len(await measure_lengths(world, run.id)) == 3


@pytest.mark.slow
async def test_a_run_continues_after_an_amount_of_work(world: World) -> None:
    # A worker that reads a run again repeats the work: more of it than fits into a workflow task would never end.
    customer, _ = world.script()
    nodes = {"each": make_loop(60, "n", "add"), "add": {"type": "set", "config": {"sum": COSTLY}}}
    run = await world.run(make_plan(nodes, "trigger -> each", customer=customer), list(range(50_000)))
    lengths = await measure_lengths(world, run.id)

    assert (run.status, run.output) == ("completed", {"sum": 1_249_975_000 * 3})
    # 3 x 2,000,000 units for the sums, 60 times: 360,000,000 in executions of 150,000,000 units.
    assert len(lengths) == 3
    assert max(lengths) < 100, "long before Temporal suggests it"


async def test_a_run_keeps_its_id_and_search_attributes(short: World) -> None:
    customer, _ = short.script()
    plan = make_plan(ROWS, *EDGES, customer=customer, variables={"seen": ""})
    run = await short.run(plan, trigger={"by": "hand"}, trigger_type="webhook")

    async def list_ended() -> Any:
        return await short.runs.visibility.list_runs(customer_id=customer, status="completed")

    (listed,) = await wait_until(list_ended)
    described = await short.client.get_workflow_handle(run.id).describe()

    assert (run.trigger_type, run.trigger_data) == ("webhook", {"by": "hand"})
    assert (listed.id, listed.workflow_id, listed.trigger_type, listed.status) == (
        run.id,
        "short",
        "webhook",
        "completed",
    )
    assert described.raw_description.workflow_execution_info.priority.fairness_key == customer
    assert run.started_at is not None
    assert run.started_at < described.start_time


async def test_events_and_a_pause_are_carried_along(short: World) -> None:
    customer, script = short.script()
    gate = script.gates["hold"] = asyncio.Event()
    nodes = {
        "work": make_loop(20, "n", "late"),
        "late": {"type": "condition", "condition": {"field": "n", "operator": "equals", "value": 15}},
        "hold": "work",
        "step": "work",
        "first": {"type": "wait", "config": {"event": "part"}},
        "second": {"type": "wait", "config": {"event": "part"}},
        "seen": {
            "type": "set",
            "config": {"seen": "{{ steps.first.output.payload }}{{ steps.second.output.payload }}"},
        },
    }
    edges = (
        *("trigger -> work", "late -true-> hold", "late -false-> step"),
        *("work -> first", "first -> second", "second -> seen"),
    )
    run_id = await short.start(make_plan(nodes, *edges, customer=customer))
    await short.runs.send_event(run_id, "part", 1)
    await short.runs.send_event(run_id, "part", 2)

    async def has_continued() -> bool:
        return len(await measure_lengths(short, run_id)) > 1

    await wait_until(has_continued)
    await short.runs.pause(run_id)
    gate.set()
    await short.wait_for_waiting(run_id, "paused")
    await short.runs.resume(run_id)
    run = await short.wait_for_end(run_id)

    assert (run.status, run.output) == ("completed", {"seen": "12"})
    assert len(script.calls) == 20


@pytest.mark.slow
async def test_a_branch_continues_as_new_too(short: World) -> None:
    customer, script = short.script()
    nodes = {
        "fork": {"type": "parallel", "branches": [["each"], ["ask"]]},
        "each": make_loop(30, "n", "step", collect="{{ n }}"),
        "step": {"type": "action", "action": "work", "compensate": {"action": "undo", "config": {"n": "{{ n }}"}}},
        "ask": {"type": "wait", "config": {"event": "go"}},
        "stop": {"type": "end", "config": {"outcome": "failed", "message": "undo it all"}},
    }
    run_id = await short.start(make_plan(nodes, "trigger -> fork", "fork -> stop", customer=customer))

    async def has_worked() -> bool:
        return len(script.list_calls("work")) == 30

    await wait_until(has_worked)
    await short.runs.send_event(run_id, "go")
    run = await short.wait_for_end(run_id)
    parts = await measure_lengths(short, f"{run_id}/fork[0]")

    assert run.status == "failed"
    assert len(parts) >= 2
    assert [call["parameters"]["n"] for call in script.list_calls("undo")] == list(range(29, -1, -1))
    assert next(step for step in run.steps if step.id == "fork[0]/each").output_data["items"] == list(range(30))


async def test_a_map_continues_between_iterations(short: World) -> None:
    customer, script = short.script()
    nodes = {"each": make_loop(40, "n", "step", max_concurrency=5, collect="{{ n }}"), "step": "work"}
    run = await short.run(make_plan(nodes, "trigger -> each", customer=customer))

    assert run.steps[0].output_data == {
        "count": 40,
        "items": list(range(40)),
        "succeeded": 40,
        "failed": 0,
        "errors": [],
    }
    assert len(script.calls) == 40
    assert len(await measure_lengths(short, run.id)) >= 2


MIDDLE = {
    "fork": {"type": "parallel", "branches": [["rows"], ["ask"], ["nap"]], "config": {"mode": "inline"}},
    "rows": make_loop(2, "row", "cells", max_concurrency=2),
    "cells": make_loop(1_000, "cell", "book"),
    "book": {
        "type": "action",
        "action": "work",
        "compensate": {"action": "undo", "config": {"n": "{{ row }}-{{ cell }}"}},
    },
    "ask": {"type": "wait", "config": {"event": "go"}},
    "nap": {"type": "delay", "delay_seconds": 600},
}


async def start_in_the_middle(short: World, customer: str) -> str:
    """Start a run with iterations in progress, a wait and a delay; return its id when it has continued twice."""
    plan = make_plan(MIDDLE, "trigger -> fork", customer=customer, settings={"compensate": "both"})
    # A cancelled run waits for actions that have heartbeats, so that each call is either recorded or not made.
    run_id = await short.start(Plan.model_validate(add_heartbeats(plan.to_json(), "work", 60)))

    async def has_continued() -> bool:
        return len(await measure_lengths(short, run_id)) > 1

    await wait_until(has_continued)
    return run_id


async def test_a_cancelled_run_undoes_what_its_iterations_did_in_earlier_executions(short: World) -> None:
    customer, script = short.script()
    run_id = await start_in_the_middle(short, customer)
    await short.runs.cancel(run_id)
    run = await short.wait_for_end(run_id)
    done = [call["parameters"] for call in script.list_calls("undo")]

    assert run.status == "cancelled"
    # Each pass once, also those of earlier executions; those of a row from the last to the first.
    assert len(done) == len(script.list_calls("work"))
    for row in "01":
        mine = [int(entry["n"].partition("-")[2]) for entry in done if entry["n"].startswith(row)]

        assert mine == list(range(len(mine)))[::-1]
    statuses = {step.id: step.status for step in run.steps}
    assert (statuses["fork[1]/ask"], statuses["fork[2]/nap"]) == ("cancelled", "cancelled")


async def test_a_pause_holds_iterations_and_branches_over_continue_as_new(short: World) -> None:
    customer, script = short.script()
    run_id = await start_in_the_middle(short, customer)
    await short.runs.pause(run_id)
    run = await short.wait_for_waiting(run_id, "paused")
    waits = {wait["step_id"]: wait.get("until") for wait in run.waiting_for if wait["step_id"]}

    assert set(waits) == {"fork[1]/ask", "fork[2]/nap"}
    assert run.started_at is not None
    # The delay ends when it would have ended without continuing: 600 s after it began.
    nap = next(step for step in run.steps if step.id == "fork[2]/nap")
    assert datetime.fromisoformat(str(waits["fork[2]/nap"])) == nap.started_at + timedelta(seconds=600)

    calls = len(script.calls)
    await short.runs.resume(run_id)
    await wait_until_calls(script, calls + 10)
    await short.runs.send_event(run_id, "go", 5)

    async def has_asked() -> bool:
        run = await short.runs.reader.read_document(run_id)
        return "fork[1]/ask" not in {wait["step_id"] for wait in run.waiting_for}

    await wait_until(has_asked)
    await short.runs.cancel(run_id)
    run = await short.wait_for_end(run_id)

    assert run.status == "cancelled"
    assert len(script.list_calls("undo")) == len(script.list_calls("work"))


async def wait_until_calls(script: Script, count: int) -> None:
    """Wait until the actions were called so often."""

    async def has_called() -> bool:
        return len(script.calls) >= count

    await wait_until(has_called)


@pytest.mark.slow
async def test_a_checkpoint_is_carried_along(short: World) -> None:
    broken = {"error": {"message": "not yet", "recoverable": False}}
    customer, _ = short.script({"last": [broken, {"output": {}}]})
    nodes = {
        "begin": {"type": "set", "config": {"x": "{{ x }}a"}},
        "each": make_loop(20, "n", "step"),
        "step": "work",
        "last": {"type": "action", "action": "last", "on_error": {"retry_from": "begin", "max": 1}},
    }
    edges = ("trigger -> begin", "begin -> each", "each -> last")
    run = await short.run(make_plan(nodes, *edges, customer=customer, variables={"x": ""}))

    assert (run.status, run.output) == ("completed", {"x": "a"})
    assert [step.id for step in run.steps if step.path == ""] == ["begin#2", "each#2", "last#2"]
    # Steps of earlier executions are taken off the record, too.
    assert len(run.steps) == run.steps_total == run.steps_completed == 1 + 1 + 20 + 1


async def test_a_document_is_the_same_before_and_after(short: World) -> None:
    """Watching follows a run through its executions."""
    customer, _ = short.script()
    run_id = await short.start(make_plan(ROWS, *EDGES, customer=customer, variables={"seen": ""}))

    documents: list[Run] = [run async for run in short.runs.reader.watch(run_id)]

    assert documents[-1].status == "completed"
    counts = [run.steps_completed for run in documents]
    assert counts == sorted(counts)
    # Until a worker has taken the run, its document has the time of the request, some tenths of a millisecond earlier.
    taken = list(dropwhile(lambda run: run.status == "pending", documents))
    assert {run.started_at for run in taken} == {taken[0].started_at}


@pytest.mark.parametrize("is_branch", [False, True])
def test_only_a_branch_carries_along_which_events_it_has_read(is_branch: bool) -> None:
    """A whole run carried along the number of every event that it had ever read."""
    info = RunInfo(id="run")
    plan = make_plan({"a": "work"}, "trigger -> a", customer="c")
    state = RunState.new(plan, info, run_input=None, trigger=None, now=EPOCH)
    branch = {"branch": {"path": "fork[0]", "exports": []}} if is_branch else {}
    request = build_run_request(plan, info) | {"state": state.to_json(), "received": 3, "read": [1, 3], **branch}
    encoded = Flow(request).encode_continuation()

    assert encoded is not None
    assert json.loads(encoded[1].payload.data).get("read", []) == ([1, 3] if is_branch else [])


@pytest.fixture(scope="module")
async def golden(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Golden]:
    """Loops and inline branches of the golden cases on a server that suggests continue-as-new after a few events."""
    config = ("limit.historyCount.suggestContinueAsNew=8",)
    home = tmp_path_factory.mktemp("shortest")
    async with run_dev_server(home, dynamic_config=config) as server, open_world(server) as world:
        runs = Golden(world, at_once=20)  # each execution takes at least a second
        runs.begin(CUT)
        yield runs
        await runs.close()


@pytest.fixture(scope="module")
async def inline(golden: Golden) -> Golden:
    """Parallels of the golden cases on the same server, with their branches inline."""
    golden.begin(INLINE)
    return golden


@pytest.mark.slow
@pytest.mark.parametrize("case", CUT, ids=lambda case: case.name)
async def test_golden_cases_are_the_same_when_cut_into_pieces(case: Case, golden: Golden) -> None:
    run = await golden.run_to_end(case)

    assert list_differences(case, run.model_dump(mode="json"), virtual=False) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", INLINE, ids=lambda case: case.name)
async def test_inline_branches_are_the_same_when_cut_into_pieces(case: Case, inline: Golden) -> None:
    run = await inline.run_to_end(case)

    assert list_differences(case, run.model_dump(mode="json"), virtual=False) == []


async def test_a_wide_loop_continues_as_new_between_its_batches(short: World) -> None:
    customer, _ = short.script()
    config = {"max_concurrency": 20, "collect": "{{ item }}"}
    nodes = {"each": make_loop(80, "item", "note", **config), "note": {"type": "set", "config": {"last": "{{ item }}"}}}
    plan = limit_batches(make_plan(nodes, "trigger -> each", customer=customer), 2)
    run_id = await short.start(plan)
    run = await short.wait_for_end(run_id)

    assert run.status == "completed"
    assert run.context["last"] == 79
    assert next(step for step in run.steps if step.id == "each").output_data["items"] == list(range(80))
    assert len(await measure_lengths(short, run_id)) > 1
