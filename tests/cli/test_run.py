"""`run`: run a definition file, as a process against a real server."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from orchestrator.cli import follow
from orchestrator.model.run import Run
from tests.cli.commands import InProcess
from tests.cli.shell import SECONDS, Dev, Shell
from tests.cli.support import wait_for_status, write_failing, write_greeting, write_listening, write_nodes

pytestmark = pytest.mark.temporal


async def test_run_prints_steps_output_and_link(dev: Dev, tmp_path: Path) -> None:
    done = await dev("run", write_greeting(tmp_path), "--input", '{"name": "Ann"}')
    lines = done.out.splitlines()
    run_id = done.err.splitlines()[1].removeprefix("run ")

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
    run_id = done.err.splitlines()[1].removeprefix("run ")

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


async def test_url_selects_the_api(dev: Dev, tmp_path: Path) -> None:
    elsewhere = Shell({"ORCHESTRATOR_API_URL": "http://127.0.0.1:1"})
    done = await elsewhere("run", write_greeting(tmp_path), "--url", dev.ready["api"], "--json")

    assert json.loads(done.out)["status"] == "completed"


def test_a_run_that_no_worker_takes_gets_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = Run(id="r", workflow_id="w", workflow_version=0, status="running")
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", -1)
    follow.show_progress([pending, pending], quiet=True)

    assert capsys.readouterr().err == "no worker has taken the run yet: is `orchestrator worker` running?\n"


def test_problems_of_a_file_are_printed_with_their_positions(command: InProcess, dev: Dev, tmp_path: Path) -> None:
    wrong = write_nodes(tmp_path, {"id": "a", "type": "action", "action": "http.reqest"}, {"id": "b", "type": "sett"})
    done = command("run", wrong)

    assert done.code == 2
    assert f"{wrong}:1:" in done.err
    assert "there is no action 'http.reqest' (did you mean `http.request`?)" in done.err
    assert f"2 errors, checked by {dev.ready['api']}; no run was started" in done.err


def test_a_run_says_what_has_checked_its_definition(command: InProcess, dev: Dev, tmp_path: Path) -> None:
    done = command("run", write_greeting(tmp_path), "--detach")

    assert done.err.splitlines()[0] == f"1 file valid, checked by {dev.ready['api']}"


def test_an_input_that_does_not_fit_is_bad_usage(command: InProcess, tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    file = write_greeting(tmp_path, settings={"input_schema": schema})
    missing, wrong = command("run", file), command("run", file, "--input", '{"name": 7}')

    assert (missing.code, wrong.code) == (2, 2)
    assert "add --input JSON or --input @file" in missing.err
    assert "--input /name: error " in wrong.err
