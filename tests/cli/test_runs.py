"""`runs`: runs listed, shown, watched and operated, against a real server."""

import asyncio
import json
import re
import time
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import InProcess
from tests.cli.shell import SECONDS, Dev, Shell
from tests.cli.support import require_success, wait_for_status, write_definition, write_failing, write_listening
from tests.scale import scale

pytestmark = pytest.mark.temporal
MANY = scale(10)


async def list_until(dev: Dev, run_id: str, *options: str) -> list[str]:
    """List the IDs of runs until one is there: the list may lag by a second."""
    async with asyncio.timeout(SECONDS):
        while True:
            ids = [run["id"] for run in json.loads((await dev("runs", "list", *options, "--json")).out)]
            if run_id in ids:
                return ids


async def test_a_detached_run_is_listed_shown_sent_an_event_and_watched(dev: Dev, tmp_path: Path) -> None:
    run_id = (await dev("run", write_listening(tmp_path), "--detach")).out.strip()
    waiting = await wait_for_status(dev, run_id, "waiting")
    sent = await dev("runs", "send", run_id, "go", '{"n": 1}')
    watched = await dev("runs", "watch", run_id)
    listed = await list_until(dev, run_id, "--workflow", "listening")

    assert waiting["waiting_for"][0]["event"] == "go"
    assert (sent.code, watched.code) == (0, 0)
    assert '"n": 1' in watched.out
    assert run_id in listed


async def test_what_a_run_has_used_is_shown_once_it_is_counted(dev: Dev, tmp_path: Path) -> None:
    run_id = (await dev("run", write_definition(tmp_path, "used"), "--detach")).out.strip()
    async with asyncio.timeout(SECONDS):
        while "\nused " not in (shown := (await dev("runs", "show", run_id)).out):
            pass

    assert re.search(r"^used 1 execution, \d+ events, [\d,.]+ k?B, \d+\.\d worker seconds$", shown, re.MULTILINE)


def test_a_run_is_paused_resumed_and_cancelled(dev: Dev, command: InProcess, tmp_path: Path) -> None:
    run_id = (command("run", write_listening(tmp_path), "--detach")).out.strip()
    asyncio.run(wait_for_status(dev, run_id, "waiting"))
    codes = [command("runs", verb, run_id).code for verb in ("pause", "resume", "cancel")]
    ended = asyncio.run(wait_for_status(dev, run_id, "cancelled"))
    watched = command("runs", "watch", run_id)

    assert codes == [0, 0, 0]
    assert ended["completed_at"] is not None
    assert watched.code == 1


def test_an_operator_resolves_a_failed_step(dev: Dev, command: InProcess, tmp_path: Path) -> None:
    run_id = (command("run", write_failing(tmp_path, on_error="pause"), "--detach")).out.strip()
    asyncio.run(wait_for_status(dev, run_id, "waiting"))
    shown = command("runs", "show", run_id)
    explained = command("runs", "explain", run_id)
    wrong = command("runs", "resolve", run_id, "other", "skip")
    right = command("runs", "resolve", run_id, "call", "fallback", "--value", "7")
    ended = asyncio.run(wait_for_status(dev, run_id, "completed"))

    assert f"orchestrator runs resolve {run_id} call retry|skip|fallback|abort" in shown.err
    assert explained.code == 0
    assert "call  waits: operator" in explained.out
    assert (wrong.code, right.code) == (2, 0)
    assert "step 'other' is not waiting for an operator" in wrong.err
    assert ended["output"] == {"fallback": True, "value": 7}


def test_a_run_is_repaired(dev: Dev, command: InProcess, tmp_path: Path) -> None:
    answer = {"status": 200, "headers": {}, "body": "by hand"}
    run_id = (command("run", write_failing(tmp_path, on_error="pause"), "--detach")).out.strip()
    asyncio.run(wait_for_status(dev, run_id, "waiting"))
    wrong = [
        command("runs", "repair", run_id, "skip_node"),
        command("runs", "repair", run_id, "set_variables", "call", "--value", "{}"),
        command("runs", "repair", run_id, "set_result", "call"),
        command("runs", "repair", run_id, "skip_node", "other"),
    ]
    right = command("runs", "repair", run_id, "set_result", "call", "--value", json.dumps(answer), "--reason", "a call")
    ended = asyncio.run(wait_for_status(dev, run_id, "completed"))

    assert [(each.code, each.err.splitlines()[0]) for each in wrong] == [
        (2, "error: skip_node needs a node or a step"),
        (2, "error: set_variables takes no step"),
        (2, "error: set_result needs --value"),
        (2, "error: there is no node 'other'"),
    ]
    assert (right.code, right.out) == (0, f"run {run_id}: set_result call\n")
    assert ended["steps"][0]["output_data"] == answer
    assert [(each["kind"], each["reason"]) for each in ended["interventions"]] == [("set_result", "a call")]


def write_version(folder: Path, *nodes: str) -> str:
    """Write a workflow of these waits, one behind the other; return its file."""
    steps = [{"id": node, "type": "wait", "config": {"event": "go"}} for node in nodes]
    edges = [{"source": source, "target": target} for source, target in pairwise(["trigger", *nodes])]
    definition = {"id": "moving", "name": "moving", "trigger": {"type": "manual"}, "nodes": steps, "edges": edges}
    file = folder / "moving.json"
    file.write_text(json.dumps(definition))
    return str(file)


def test_a_run_is_moved_to_another_version(dev: Dev, command: InProcess, tmp_path: Path) -> None:
    command("workflows", "push", "--activate", write_version(tmp_path, "a"))
    run_id = command("workflows", "start", "moving").out.strip()
    asyncio.run(wait_for_status(dev, run_id, "waiting"))
    command("workflows", "push", "--activate", write_version(tmp_path, "b", "c"))
    wrong = [
        command("runs", "migrate", run_id, "--version", "2"),
        command("runs", "migrate", run_id, "--version", "2", "--map", "a"),
        command("runs", "migrate", run_id, "--version", "2", "--dry-run"),
        command("runs", "migrate", run_id, "--version", "2", "--map", "a=b", "--map", "a=c"),
    ]
    shown = command("runs", "migrate", run_id, "--version", "2", "--map", "a=b", "--dry-run")
    right = command("runs", "migrate", run_id, "--version", "2", "--map", "a=b", "--reason", "c was missing")

    assert [each.code for each in wrong] == [2, 2, 1, 2]
    assert "error: 'a' is in progress, and version 2 has no such node" in wrong[0].err
    assert "error: --map 'a' is not OLD=NEW" in wrong[1].err
    assert "error: --map names 'a' twice" in wrong[3].err
    assert wrong[2].out.splitlines()[-1] == "the run would not move from version 1 to version 2"
    assert shown.code == 0
    assert shown.out.splitlines()[0].split("\t") == ["a", "", "in progress", "kept", "b"]
    assert shown.out.splitlines()[-1] == "the run would move from version 1 to version 2"
    assert (right.code, right.out) == (0, f"run {run_id} moves to version 2 at its next node boundary\n")
    command("runs", "cancel", run_id)


@pytest.mark.parametrize(
    "args", [("show",), ("watch",), ("cancel",), ("terminate", "--yes"), ("pause",), ("resume",), ("send", "go")]
)
def test_a_run_that_is_not_there_is_bad_usage(command: InProcess, args: tuple[str, ...]) -> None:
    done = command("runs", args[0], "no-such-run", *args[1:])

    assert done.code == 2
    assert "error: there is no run 'no-such-run'" in done.err


SERVER_COMMANDS = [
    ("run", "examples/nightly_report.json"),
    ("runs", "list"),
    ("runs", "show", "x"),
    ("workflows", "push", "examples/stock_check.json"),
    ("keys", "list"),
    ("deliveries", "list"),
    ("schedule", "trigger", "x"),
]


@pytest.mark.parametrize("args", SERVER_COMMANDS, ids=lambda args: " ".join(args[:2]))
def test_without_an_api_commands_say_what_was_tried(
    args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`workflows push` in another folder silently made a second database, printed "active" and exited with 0."""
    file = Path(args[-1]).resolve()
    monkeypatch.chdir(tmp_path)
    done = InProcess({"XDG_CONFIG_HOME": str(tmp_path)})(*args[:-1], file if file.exists() else args[-1])

    assert done.code == 3
    assert f"no API to talk to: no `orchestrator dev` runs on {tmp_path}/.orchestrator or elsewhere" in done.err
    assert f"ORCHESTRATOR_API_URL is not set, and {tmp_path}/orchestrator/config.toml has no profile" in done.err
    assert "hint: start one with `orchestrator dev`" in done.err
    assert list(tmp_path.iterdir()) == [], "no database was made"


def test_an_api_that_does_not_answer_is_named() -> None:
    done = InProcess({"ORCHESTRATOR_API_URL": "http://127.0.0.1:1"})("runs", "list")

    assert done.code == 3
    assert "error: no API answers at http://127.0.0.1:1 (from ORCHESTRATOR_API_URL): " in done.err
    assert "Traceback" not in done.err


def test_replay_without_temporal_teaches_and_exits_with_3() -> None:
    done = InProcess({"ORCHESTRATOR_TEMPORAL_ADDRESS": "127.0.0.1:1"})("replay", "x")

    assert done.code == 3
    assert "no Temporal server answers at 127.0.0.1:1" in done.err


@pytest.mark.slow
@pytest.mark.process
async def test_a_worker_without_a_server_exits_with_3() -> None:
    done = await Shell({"ORCHESTRATOR_TEMPORAL_ADDRESS": "127.0.0.1:1", "ORCHESTRATOR_TEMPORAL_WAIT_SECONDS": "0"})(
        "worker"
    )

    assert (done.code, "no Temporal server answers at 127.0.0.1:1" in done.err, "Traceback" in done.err) == (
        3,
        True,
        False,
    )


@pytest.mark.long
@pytest.mark.slow
async def test_many_short_commands_with_a_client_end_well_some_of_them_at_once(dev: Dev) -> None:
    slots = asyncio.Semaphore(3)

    async def run_one() -> int:
        async with slots:
            return (await dev("runs", "list")).code

    assert await asyncio.gather(*(run_one() for _ in range(MANY))) == [0] * MANY


def test_a_failed_run_is_rerun(dev: Dev, command: InProcess, tmp_path: Path) -> None:
    nodes = [
        {"id": "first", "type": "set", "config": {"x": 1}},
        {"id": "fails", "type": "end", "config": {"outcome": "failed", "message": "no stock"}},
    ]
    edges = [{"source": "trigger", "target": "first"}, {"source": "first", "target": "fails"}]
    file = write_definition(tmp_path, "failing", nodes=nodes, edges=edges)
    run_id = require_success(command("run", file, "--detach"))
    assert (command("runs", "watch", run_id)).code == 1

    again = require_success(command("runs", "rerun", run_id, "--from", "first"))

    ended = command("runs", "watch", again, "--json")
    assert (ended.code, json.loads(ended.out)["rerun_of"]) == (1, run_id)
    plan = require_success(command("runs", "rerun", run_id, "--dry-run"))
    assert [line.split() for line in plan.splitlines()] == [
        ["starts", "at", "fails,", "version", "0"], ["reuses", "first"], ["reruns", "fails"]
    ]  # fmt: skip
    nowhere = command("runs", "rerun", run_id, "--from", "nowhere")
    assert (nowhere.code, "one of first, fails" in nowhere.err) == (2, True)


def test_a_run_is_terminated_with_a_reason(dev: Dev, command: InProcess, tmp_path: Path) -> None:
    run_id = require_success(command("run", write_listening(tmp_path), "--detach"))
    unconfirmed = command("runs", "terminate", run_id, "--reason", "by mistake")
    require_success(command("runs", "terminate", run_id, "--reason", "by mistake", "--yes"))

    ended = asyncio.run(wait_for_status(dev, run_id, "cancelled"))
    assert (unconfirmed.code, "add --yes" in unconfirmed.err) == (2, True)
    assert (ended["cancelled_by"], ended["cancel_reason"]) == ("local", "by mistake")


def test_a_cancelled_run_shows_who_cancelled_it_and_why(dev: Dev, command: InProcess, tmp_path: Path) -> None:
    run_id = require_success(command("run", write_listening(tmp_path), "--detach"))
    require_success(command("runs", "cancel", run_id, "--reason", "ordered twice"))
    asyncio.run(wait_for_status(dev, run_id, "cancelled"))

    shown = command("runs", "show", run_id)

    assert "by local: ordered twice" in shown.out


def test_nothing_stuck_is_an_empty_list(command: InProcess) -> None:
    done = command("runs", "stuck", "--customer", "nobody-yet")
    listed = command("runs", "stuck", "--customer", "nobody-yet", "--json")

    assert (done.code, done.out) == (0, "")
    assert json.loads(listed.out)["queues"] == []


@pytest.mark.slow
def test_runs_of_a_filter_are_cancelled_at_once(dev: Dev, command: InProcess, tmp_path: Path) -> None:
    many = ("--customer", "bulk-customer", "--workflow", "many")
    path = write_listening(tmp_path)
    definition = json.loads(path.read_text()) | {"id": "many", "name": "Many"}
    path.write_text(json.dumps(definition))
    require_success(command("workflows", "push", path, "--activate", "--customer", "bulk-customer"))
    params = {"customer_id": "bulk-customer"}
    with httpx.Client(base_url=f"{dev.ready['api']}/api/v1", params=params, timeout=SECONDS) as api:
        ids = [api.post("/workflows/many/runs").json()["id"] for _ in range(3)]

    deadline = time.monotonic() + SECONDS
    while len((dry := require_success(command("runs", "cancel", *many, "--dry-run"))).splitlines()) <= len(ids):
        assert time.monotonic() < deadline, dry  # a busy service lists runs a moment after their start
    unconfirmed = command("runs", "cancel", *many)
    report = require_success(command("runs", "cancel", *many, "--reason", "a mistake", "--yes"))
    shown = json.loads(require_success(command("runs", "bulk", report.split()[-1], "--json")))

    assert (dry.splitlines()[0], sorted(line.split()[0] for line in dry.splitlines()[1:])) == (
        "would cancel 3 runs",
        sorted(ids),
    )
    assert (unconfirmed.code, "cancel 3 runs?" in unconfirmed.err) == (2, True)
    assert report.startswith("cancel of 3 runs: completed")
    assert (shown["outcomes"], shown["actor"], shown["options"]) == ({"done": 3}, "local", {"reason": "a mistake"})
    for run_id in ids:
        asyncio.run(wait_for_status(dev, run_id, "cancelled"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("cancel",), "name a run, or select runs"),
        (("cancel", "r", "--workflow", "w"), "name a run or select runs, not both"),
        (("pause", "r", "--dry-run"), "--dry-run is for runs that are selected by a filter"),
        (
            ("rerun", "--status", "failed", "--input", "{}"),
            "--input, --variables, --path and --failed-items are for one run",
        ),
        (("send", "-", "go"), "name a run, or select runs"),
        (("send", "-", "go", "--workflow", "w", "--event-key", "k"), "--event-key is for one run"),
        (("resolve", "-", "a", "fallback", "--node", "a", "--value", "1"), "--value, --parameters and --target are"),
    ],
)
def test_a_selection_of_runs_that_is_not_clear_is_refused(
    command: InProcess, args: tuple[str, ...], message: str
) -> None:
    done = command("runs", *args)

    assert (done.code, message in done.err) == (2, True), done.err
