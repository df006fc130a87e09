"""`replay`: histories from the server and from files."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from orchestrator.temporal.client.visibility import Execution
from orchestrator.temporal.replay_runs import choose_sample, replay_batch
from tests.cli.commands import InProcess
from tests.cli.shell import SECONDS, Dev
from tests.cli.support import wait_for_status, write_definition, write_greeting, write_listening
from tests.histories import read_events

pytestmark = pytest.mark.temporal
STARTED = '{"events": [{"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"}]}'
"""Without attributes, such as a run id."""


@pytest.mark.slow
async def test_a_history_replays_from_the_server_and_from_a_file(dev: Dev, tmp_path: Path) -> None:
    run_id = json.loads((await dev("run", write_greeting(tmp_path), "--json")).out)["id"]
    kept = tmp_path / "history.json"
    live = await dev("replay", run_id, "--save", kept)
    from_file = await dev("replay", kept)

    assert (live.code, from_file.code) == (0, 0)
    assert from_file.out == f"{kept} replays\n"


@pytest.mark.slow
async def test_a_history_that_the_code_contradicts_does_not_replay(dev: Dev, tmp_path: Path) -> None:
    run_id = json.loads((await dev("run", write_greeting(tmp_path), "--json")).out)["id"]
    kept = tmp_path / "history.json"
    await dev("replay", run_id, "--save", kept)
    history = json.loads(kept.read_text())
    *others, last = history["events"]
    assert last["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"
    timer = {"eventId": last["eventId"], "eventType": "EVENT_TYPE_TIMER_STARTED", "eventTime": last["eventTime"]}
    timer["timerStartedEventAttributes"] = {"timerId": "1", "startToFireTimeout": "1s"}
    kept.write_text(json.dumps({"events": [*others, timer]}))
    done = await dev("replay", kept)

    assert done.code == 1
    assert done.out.startswith(f"{kept} does not replay: ")


@pytest.mark.slow
@pytest.mark.long
async def test_every_open_run_and_branch_replays(dev: Dev, tmp_path: Path) -> None:
    branch = {"id": "fan", "type": "parallel", "branches": [["one"], ["two"]]}
    waits = [{"id": name, "type": "wait", "config": {"event": name}} for name in ("one", "two")]
    edges = [{"source": "trigger", "target": "fan"}]
    files = [write_listening(tmp_path), write_definition(tmp_path, "fan", nodes=[branch, *waits], edges=edges)]
    run_ids = [json.loads((await dev("run", file, "--detach", "--json")).out)["id"] for file in files]
    for run_id in run_ids:
        await wait_for_status(dev, run_id, "waiting")
    async with asyncio.timeout(SECONDS):
        while (report := json.loads((done := await dev("replay", "--open", "--json")).out))["total"] < 4:
            pass  # the list of executions lags
    sampled = await dev("replay", "--open", "--sample", 2)
    for run_id in run_ids:
        await dev("runs", "cancel", run_id)

    assert (done.code, sampled.code) == (0, 0)
    # Two runs and the two branches of one, and what other tests have left.
    assert report["replayed"] == report["total"] - report["gone"] >= 4
    assert sampled.out == "2 of 2 replay\n"


@pytest.mark.slow
async def test_the_last_runs_that_have_ended_replay(dev: Dev, tmp_path: Path) -> None:
    await dev("run", write_greeting(tmp_path))
    async with asyncio.timeout(SECONDS):
        while (done := await dev("replay", "--closed", "--last", 1)).out.startswith("0 of 0"):
            pass  # the list of executions lags

    assert (done.code, done.out) == (0, "1 of 1 replay\n")


def encode_history(name: str, *, changed: bool) -> tuple[str, bytes]:
    """Return a recorded history; a changed one begins a timer at its end."""
    ((_, events),) = read_events(name)
    if changed:
        *events, last = events
        timer = {"eventId": last["eventId"], "eventType": "EVENT_TYPE_TIMER_STARTED", "eventTime": last["eventTime"]}
        events.append({**timer, "timerStartedEventAttributes": {"timerId": "77", "startToFireTimeout": "1s"}})
    history = WorkflowHistory.from_json(name, {"events": events})
    return f"run-{changed}", History(events=history.events).SerializeToString()


def test_the_first_run_that_does_not_fit_is_named() -> None:
    name = "persistent-trigger-a-delay-passes"
    good, bad = encode_history(name, changed=False), encode_history(name, changed=True)
    mismatch = replay_batch([good, bad])

    assert replay_batch([good]) is None
    assert mismatch is not None
    assert (mismatch.workflow_id, "Timer" in mismatch.message) == ("run-True", True)


def test_a_sample_has_runs_of_each_workflow() -> None:
    runs = [
        Execution(f"{name}-{number}", "", name)
        for name, count in (("a", 90), ("b", 3), ("c", 1))
        for number in range(count)
    ]
    sample = choose_sample(runs, 10)

    assert Counter(each.workflow_type for each in sample) == {"a": 6, "b": 3, "c": 1}
    assert len(set(sample)) == 10
    assert sorted(choose_sample(runs, 1000), key=str) == sorted(runs, key=str)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a history or a run, or use --open or --closed"),
        (("a-run", "--open"), "name a history or a run, or use --open or --closed"),
        (("--open", "--last", "3"), "--last needs --closed"),
        (("--closed", "--sample", "3"), "--sample needs --open"),
        (("--open", "--save", "history.json"), "--save needs a run"),
        (("nothing.json",), "file nothing.json does not exist"),
    ],
)
def test_options_that_do_not_fit_are_bad_usage(arguments: tuple[str, ...], message: str) -> None:
    done = InProcess({})("replay", *arguments)

    assert (done.code, message in done.err) == (2, True)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"events": []}', '{"events": 7}', STARTED])
def test_a_file_that_is_no_history_is_bad_usage(text: str, tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    done = InProcess({})("replay", path)

    assert done.code == 2
    assert "Traceback" not in done.err
