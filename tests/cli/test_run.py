"""`run`: run a definition file, as a process against a real server."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.cli.shell import SECONDS, Dev, Shell
from tests.cli.support import wait_for_status, write_failing, write_greeting, write_listening, write_nodes

pytestmark = pytest.mark.temporal


async def test_run_prints_steps_output_and_link(dev: Dev, tmp_path: Path) -> None:
    done = await dev("run", write_greeting(tmp_path), "--input", '{"name": "Ann"}')
    lines = done.out.splitlines()
    run_id = done.err.split()[1]

    assert done.code == 0
    assert lines[0].split()[2:] == ["completed", "say"]
    assert lines[1].startswith("completed after ")
    assert json.loads("".join(lines[2:5])) == {"said": "Hello Ann"}
    assert lines[5] == f"Temporal UI  {dev.ready['ui']}/namespaces/default/workflows/{run_id}"


async def test_json_prints_only_the_run_document(dev: Dev, tmp_path: Path) -> None:
    done = await dev("run", write_greeting(tmp_path), "--json", "--input", '{"name": "Ann"}')
    run = json.loads(done.out)

    assert (done.code, run["status"], run["output"]) == (0, "completed", {"said": "Hello Ann"})


async def test_a_failed_run_exits_with_1(dev: Dev, tmp_path: Path) -> None:
    done = await dev("run", write_failing(tmp_path))

    assert done.code == 1
    assert "failed     call" in done.out
    assert "failed after " in done.out


async def test_ctrl_c_does_not_stop_the_run(dev: Dev, tmp_path: Path) -> None:
    process = await dev.begin("run", write_listening(tmp_path))
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        first = await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    done = await dev.end(process)
    run_id = done.err.split()[1]

    assert b"waiting    hear" in first
    assert done.code == 130
    assert f"orchestrator runs watch {run_id}" in done.err
    assert (await wait_for_status(dev, run_id, "waiting"))["id"] == run_id
    await dev("runs", "cancel", run_id)


async def test_with_names_the_called_workflow(dev: Dev, tmp_path: Path) -> None:
    child = write_greeting(tmp_path)
    call = {"id": "call", "type": "workflow", "config": {"workflow_id": "flow", "input": {"name": "Bo"}}}
    end = {"id": "done", "type": "end", "config": {"output": "{{ steps.call.output.output.said }}"}}
    done = await dev("run", write_nodes(tmp_path, call, end, name="caller"), "--with", child, "--json")

    assert json.loads(done.out)["output"] == "Hello Bo"


async def test_server_selects_the_temporal_server(dev: Dev, tmp_path: Path) -> None:
    elsewhere = Shell({"ORCHESTRATOR_TEMPORAL_ADDRESS": "127.0.0.1:1"})
    done = await elsewhere("run", write_greeting(tmp_path), "--server", dev.ready["temporal_address"], "--json")

    assert json.loads(done.out)["status"] == "completed"


async def test_a_run_without_a_worker_gets_a_warning(dev: Dev, tmp_path: Path) -> None:
    without_worker = Shell({**dev.env, "ORCHESTRATOR_TASK_QUEUE": "nobody-here"})
    process = await without_worker.begin("run", write_greeting(tmp_path))
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        messages = [await process.stderr.readline(), await process.stderr.readline()]
    process.send_signal(signal.SIGTERM)
    done = await without_worker.end(process)

    assert b"no worker is polling task queue 'nobody-here' yet" in messages[1]
    assert done.code == 143
    await dev("runs", "cancel", messages[0].split()[1].decode())
