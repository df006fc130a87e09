"""`run`: a definition run from a file, as a process against a real server."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.cli.shell import SECONDS, Dev, Shell
from tests.cli.support import wait_for_status, write_failing, write_greeting, write_listening, write_nodes

pytestmark = pytest.mark.temporal


async def test_run_tells_steps_result_and_where_to_look(dev: Dev, tmp_path: Path) -> None:
    done = await dev("run", write_greeting(tmp_path), "--input", '{"name": "Ann"}')

    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split()[2:] == ["completed", "say"]
    assert lines[1].startswith("completed after ")
    assert json.loads("".join(lines[2:5])) == {"said": "Hello Ann"}
    run_id = done.err.split()[1]
    assert lines[5] == f"Temporal UI  {dev.ready['ui']}/namespaces/default/workflows/{run_id}"


async def test_json_is_the_run_document_alone(dev: Dev, tmp_path: Path) -> None:
    done = await dev("run", write_greeting(tmp_path), "--json", "--input", '{"name": "Ann"}')
    run = json.loads(done.out)

    assert (done.code, run["status"], run["output"]) == (0, "completed", {"said": "Hello Ann"})


async def test_a_run_that_fails_exits_with_1(dev: Dev, tmp_path: Path) -> None:
    done = await dev("run", write_failing(tmp_path))

    assert done.code == 1
    assert "failed     call" in done.out
    assert "failed after " in done.out


async def test_ctrl_c_leaves_the_run_alone_and_says_how_to_see_it(dev: Dev, tmp_path: Path) -> None:
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


async def test_a_called_workflow_is_given_by_with(dev: Dev, tmp_path: Path) -> None:
    child = write_greeting(tmp_path)
    call = {"id": "call", "type": "workflow", "config": {"workflow_id": "flow", "input": {"name": "Bo"}}}
    end = {"id": "done", "type": "end", "config": {"output": "{{ steps.call.output.output.said }}"}}
    done = await dev("run", write_nodes(tmp_path, call, end, name="caller"), "--with", child, "--json")

    assert json.loads(done.out)["output"] == "Hello Bo"


async def test_a_server_is_named_by_option(dev: Dev, tmp_path: Path) -> None:
    elsewhere = Shell({"ORCHESTRATOR_TEMPORAL_ADDRESS": "127.0.0.1:1"})
    done = await elsewhere("run", write_greeting(tmp_path), "--server", dev.ready["temporal_address"], "--json")

    assert json.loads(done.out)["status"] == "completed"


async def test_a_run_that_no_worker_takes_gets_a_word(dev: Dev, tmp_path: Path) -> None:
    nobody = Shell({**dev.env, "ORCHESTRATOR_TASK_QUEUE": "nobody-here"})
    process = await nobody.begin("run", write_greeting(tmp_path))
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        said = [await process.stderr.readline(), await process.stderr.readline()]
    process.send_signal(signal.SIGTERM)
    done = await nobody.end(process)

    assert b"no worker polls task queue 'nobody-here' yet" in said[1]
    assert done.code == 143
    await dev("runs", "cancel", said[0].split()[1].decode())
