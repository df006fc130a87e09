"""`run`, `runs`, `replay` and `worker` against a real server, as processes."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import SECONDS, Dev, Shell

pytestmark = pytest.mark.temporal

MANY = 30
STARTED = '{"events": [{"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"}]}'
"""Without attributes, such as a run id."""


def written(folder: Path, *nodes: dict[str, Any], name: str = "flow", **more: Any) -> Path:
    path = folder / f"{name}.json"
    ids = ["trigger", *(node["id"] for node in nodes)]
    edges = [{"source": ids[at], "target": ids[at + 1]} for at in range(len(nodes))]
    definition = {"id": name, "name": name, "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges, **more}
    path.write_text(json.dumps(definition))
    return path


def greeting(folder: Path) -> Path:
    return written(folder, {"id": "say", "type": "end", "config": {"output": {"said": "Hello {{ input.name }}"}}})


def listening(folder: Path) -> Path:
    done = {"id": "done", "type": "end", "config": {"output": "{{ steps.hear.output.payload }}"}}
    return written(folder, {"id": "hear", "type": "wait", "config": {"event": "go"}}, done, name="listening")


def failing(folder: Path, **more: Any) -> Path:
    call = {"id": "call", "type": "action", "action": "http.request", "config": {"url": "http://127.0.0.1:1/"}}
    end = {"id": "done", "type": "end", "config": {"output": "{{ steps.call.output }}"}}
    return written(folder, {**call, "retry": {"maximum_attempts": 1}, **more}, end, name="failing")


async def shown_as(dev: Dev, run_id: str, status: str) -> dict[str, Any]:
    """Wait until a run stands so."""
    async with asyncio.timeout(SECONDS):
        while True:
            run: dict[str, Any] = json.loads((await dev("runs", "show", run_id, "--json")).out)
            if run["status"] == status:
                return run
            await asyncio.sleep(0.05)


async def test_run_tells_steps_result_and_where_to_look(dev: Dev, tmp_path: Path) -> None:
    done = await dev("run", greeting(tmp_path), "--input", '{"name": "Ann"}')

    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split()[2:] == ["completed", "say"]
    assert lines[1].startswith("completed after ")
    assert json.loads("".join(lines[2:5])) == {"said": "Hello Ann"}
    run_id = done.err.split()[1]
    assert lines[5] == f"Temporal UI  {dev.ready['ui']}/namespaces/default/workflows/{run_id}"


async def test_json_is_the_run_document_alone(dev: Dev, tmp_path: Path) -> None:
    done = await dev("run", greeting(tmp_path), "--json", "--input", '{"name": "Ann"}')
    run = json.loads(done.out)

    assert (done.code, run["status"], run["output"]) == (0, "completed", {"said": "Hello Ann"})


async def test_a_run_that_fails_exits_with_1(dev: Dev, tmp_path: Path) -> None:
    done = await dev("run", failing(tmp_path))

    assert done.code == 1
    assert "failed     call" in done.out
    assert "failed after " in done.out


async def test_a_detached_run_is_listed_shown_sent_an_event_and_watched(dev: Dev, tmp_path: Path) -> None:
    run_id = (await dev("run", listening(tmp_path), "--detach")).out.strip()
    waiting = await shown_as(dev, run_id, "waiting")
    sent = await dev("runs", "send", run_id, "go", '{"n": 1}')
    watched = await dev("runs", "watch", run_id)
    listed = await dev("runs", "list", "--workflow", "listening", "--json")

    assert waiting["waiting_for"][0]["event"] == "go"
    assert (sent.code, watched.code) == (0, 0)
    assert '"n": 1' in watched.out
    assert run_id in [run["id"] for run in json.loads(listed.out)]


async def test_a_run_is_paused_resumed_and_cancelled(dev: Dev, tmp_path: Path) -> None:
    run_id = (await dev("run", listening(tmp_path), "--detach")).out.strip()
    await shown_as(dev, run_id, "waiting")
    codes = [(await dev("runs", word, run_id)).code for word in ("pause", "resume", "cancel")]
    ended = await shown_as(dev, run_id, "cancelled")
    watched = await dev("runs", "watch", run_id)

    assert codes == [0, 0, 0]
    assert ended["completed_at"] is not None
    assert watched.code == 1


async def test_an_operator_resolves_a_failed_step(dev: Dev, tmp_path: Path) -> None:
    run_id = (await dev("run", failing(tmp_path, on_error="pause"), "--detach")).out.strip()
    await shown_as(dev, run_id, "waiting")
    shown = await dev("runs", "show", run_id)
    wrong = await dev("runs", "resolve", run_id, "other", "skip")
    right = await dev("runs", "resolve", run_id, "call", "fallback", "--value", "7")
    ended = await shown_as(dev, run_id, "completed")

    assert f"orchestrator runs resolve {run_id} call retry|skip|fallback|abort" in shown.err
    assert (wrong.code, right.code) == (2, 0)
    assert "no step 'other' waits for an operator's word" in wrong.err
    assert ended["output"] == {"fallback": True, "value": 7}


async def test_ctrl_c_leaves_the_run_alone_and_says_how_to_see_it(dev: Dev, tmp_path: Path) -> None:
    process = await dev.begin("run", listening(tmp_path))
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        first = await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    done = await dev.end(process)
    run_id = done.err.split()[1]

    assert b"waiting    hear" in first
    assert done.code == 130
    assert f"orchestrator runs watch {run_id}" in done.err
    assert (await shown_as(dev, run_id, "waiting"))["id"] == run_id
    await dev("runs", "cancel", run_id)


async def test_a_called_workflow_is_given_by_with(dev: Dev, tmp_path: Path) -> None:
    child = greeting(tmp_path)
    call = {"id": "call", "type": "workflow", "config": {"workflow_id": "flow", "input": {"name": "Bo"}}}
    end = {"id": "done", "type": "end", "config": {"output": "{{ steps.call.output.output.said }}"}}
    done = await dev("run", written(tmp_path, call, end, name="caller"), "--with", child, "--json")

    assert json.loads(done.out)["output"] == "Hello Bo"


async def test_a_history_replays_from_the_server_and_from_a_file(dev: Dev, tmp_path: Path) -> None:
    run_id = json.loads((await dev("run", greeting(tmp_path), "--json")).out)["id"]
    kept = tmp_path / "history.json"
    live = await dev("replay", run_id, "--save", kept)
    from_file = await dev("replay", kept)

    assert (live.code, from_file.code) == (0, 0)
    assert from_file.out == f"{kept} replays\n"


async def test_a_history_that_the_code_contradicts_does_not_replay(dev: Dev, tmp_path: Path) -> None:
    run_id = json.loads((await dev("run", greeting(tmp_path), "--json")).out)["id"]
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


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"events": []}', '{"events": 7}', STARTED])
async def test_a_file_that_is_no_history_is_bad_usage(text: str, tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    done = await Shell({})("replay", path)

    assert done.code == 2
    assert "Traceback" not in done.err


@pytest.mark.parametrize("args", [("show",), ("watch",), ("cancel",), ("pause",), ("resume",), ("send", "go")])
async def test_a_run_that_is_not_there_is_bad_usage(dev: Dev, args: tuple[str, ...]) -> None:
    done = await dev("runs", args[0], "no-such-run", *args[1:])

    assert done.code == 2
    assert "error: there is no run 'no-such-run'" in done.err


@pytest.mark.parametrize(
    "args",
    [("run", "examples/nightly_report.json"), ("runs", "list"), ("runs", "show", "x"), ("replay", "x"), ("worker",)],
    ids=lambda args: " ".join(args[:2]),
)
async def test_without_a_server_commands_teach_and_exit_with_3(args: tuple[str, ...]) -> None:
    done = await Shell({"ORCHESTRATOR_TEMPORAL_ADDRESS": "127.0.0.1:1"})(*args)

    assert done.code == 3
    assert "no Temporal server answers at 127.0.0.1:1" in done.err
    assert "orchestrator dev" in done.err
    assert "Traceback" not in done.err


async def test_a_server_is_named_by_option(dev: Dev, tmp_path: Path) -> None:
    elsewhere = Shell({"ORCHESTRATOR_TEMPORAL_ADDRESS": "127.0.0.1:1"})
    done = await elsewhere("run", greeting(tmp_path), "--server", dev.ready["temporal_address"], "--json")

    assert json.loads(done.out)["status"] == "completed"


async def test_a_worker_serves_until_a_signal(dev: Dev, tmp_path: Path) -> None:
    other = Shell({**dev.env, "ORCHESTRATOR_TASK_QUEUE": "elsewhere"})
    worker = await other.begin("worker")
    done = await other("run", greeting(tmp_path), "--json")
    worker.send_signal(signal.SIGINT)
    ended = await other.end(worker)

    assert json.loads(done.out)["status"] == "completed"
    assert ended.code == 0
    assert ended.out == f"worker serves task queue 'elsewhere' of {dev.ready['temporal_address']}\n"


async def test_a_run_that_no_worker_takes_gets_a_word(dev: Dev, tmp_path: Path) -> None:
    nobody = Shell({**dev.env, "ORCHESTRATOR_TASK_QUEUE": "nobody-here"})
    process = await nobody.begin("run", greeting(tmp_path))
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        said = [await process.stderr.readline(), await process.stderr.readline()]
    process.send_signal(signal.SIGTERM)
    done = await nobody.end(process)

    assert b"no worker answers on task queue 'nobody-here' yet" in said[1]
    assert done.code == 143
    await dev("runs", "cancel", said[0].split()[1].decode())


@pytest.mark.slow
async def test_many_workers_start_and_stop_without_a_crash_or_a_hang(dev: Dev) -> None:
    room = asyncio.Semaphore(3)

    async def one(number: int) -> int:
        shell = Shell({**dev.env, "ORCHESTRATOR_TASK_QUEUE": f"short-{number}"})
        async with room:
            worker = await shell.begin("worker")
            assert worker.stdout is not None
            async with asyncio.timeout(SECONDS):
                await worker.stdout.readline()
            worker.send_signal(signal.SIGTERM)
            return (await shell.end(worker)).code

    assert await asyncio.gather(*(one(number) for number in range(MANY))) == [0] * MANY


@pytest.mark.slow
async def test_many_short_commands_with_a_client_end_well_some_of_them_at_once(dev: Dev) -> None:
    room = asyncio.Semaphore(3)

    async def one() -> int:
        async with room:
            return (await dev("runs", "list")).code

    assert await asyncio.gather(*(one() for _ in range(MANY))) == [0] * MANY
