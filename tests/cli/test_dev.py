"""`dev` and embedded runs: start, addresses, shutdown and recovery."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from orchestrator.cli.embedded import lock_home
from orchestrator.cli.environment import load_client_settings
from orchestrator.cli.server_address import ServerOptions, find_server
from orchestrator.temporal import devserver
from orchestrator.temporal.supervisor import LOCK
from tests.cli.shell import ROOT, SECONDS, Dev, Shell, start_dev, stop_dev
from tests.cli.support import open_api, write_listening

pytestmark = pytest.mark.temporal

DELAY = {"id": "rest", "type": "delay", "delay_seconds": 3}
SAY = {"id": "say", "type": "end", "config": {"output": "rested"}}


def write_resting(folder: Path) -> Path:
    path = folder / "resting.json"
    edges = [{"source": "trigger", "target": "rest"}, {"source": "rest", "target": "say"}]
    definition = {"id": "resting", "name": "Resting", "trigger": {"type": "manual"}}
    path.write_text(json.dumps({**definition, "nodes": [DELAY, SAY], "edges": edges}))
    return path


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def wait_for_exit(pid: int) -> None:
    async with asyncio.timeout(SECONDS):
        while is_alive(pid):
            await asyncio.sleep(0.05)


async def test_the_ready_file_has_all_addresses(dev: Dev) -> None:
    ready_file: dict[str, Any] = dev.ready
    host, _, port = ready_file["temporal_address"].partition(":")
    async with httpx.AsyncClient(timeout=SECONDS) as client:
        page = await client.get(ready_file["ui"])
        async with asyncio.timeout(SECONDS):  # a busy server may have missed the last check
            while not (ready := await client.get(f"{ready_file['api']}/readyz")).is_success:
                await asyncio.sleep(0.1)
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()

    assert ready_file.keys() == {"api", "temporal_address", "ui", "pids"}
    assert page.status_code == ready.status_code == 200
    assert ready_file["pids"]["dev"] == dev.process.pid
    assert is_alive(ready_file["pids"]["temporal"])


async def test_a_run_of_several_megabytes_needs_no_settings(dev: Dev) -> None:
    end = {"id": "end", "type": "end", "config": {"output": "{{ input }}"}}
    definition = {"id": "large", "name": "Large", "trigger": {"type": "manual"}, "nodes": [end]}
    definition["edges"] = [{"source": "trigger", "target": "end"}]
    text = "0123456789abcdef" * 196_608
    async with open_api(dev) as api:
        answer = await api.post("/runs", json={"definition": definition, "input": {"text": text}})
        async with asyncio.timeout(SECONDS):
            while (run := (await api.get(f"/runs/{answer.json()['id']}")).json()).get("status") not in (
                "completed",
                "failed",
            ):
                await asyncio.sleep(0.1)

    assert run["status"] == "completed", run["failure"]
    assert run["output"] == {"text": text}
    assert list((Path(dev.env["ORCHESTRATOR_HOME"]) / "payloads" / "default" / run["id"]).iterdir())


async def test_the_state_folder_is_private(dev: Dev) -> None:
    home = Path(dev.env["ORCHESTRATOR_HOME"])
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in (home, *home.iterdir())}

    assert modes.keys() > {"home", "temporal.db", "temporal.db-wal", "temporal.log", "orchestrator.db", "dev.json"}
    folders = {name: mode for name, mode in modes.items() if mode != "0o600"}
    assert folders.keys() <= {"home", "payloads"}
    assert set(folders.values()) == {"0o700"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "{ui}"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example", "Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"}, 403),
        ({"X-Forwarded-For": "192.0.2.7"}, 403),
    ],
)
async def test_temporals_page_is_for_this_machine_only(dev: Dev, headers: dict[str, str], status: int) -> None:
    """Any web page could list and terminate runs there, once its name was rebound to 127.0.0.1 (DNS rebinding)."""
    ui = str(dev.ready["ui"])
    sent = {name: value.format(ui=ui) for name, value in headers.items()}
    async with httpx.AsyncClient(headers=sent, timeout=SECONDS) as client:
        page = await client.get(ui)
        runs = await client.get(f"{ui}/api/v1/namespaces/default/workflows?query=WorkflowId%3D%22a%2Fb%22")

    assert (page.status_code, runs.status_code) == (status, status)
    assert ("<html" in page.text) == (status == 200)


async def test_no_other_port_of_temporal_answers_a_web_page(tmp_path: Path) -> None:
    async with devserver.run_dev_server(tmp_path) as server, httpx.AsyncClient(timeout=SECONDS) as client:
        answer = await client.get(
            f"http://127.0.0.1:{server.http_port}/api/v1/namespaces", headers={"Host": "evil.example"}
        )
        with contextlib.suppress(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{server.ui_port}")
            pytest.fail("the Web UI listens on an address that a page can guess")

    assert (answer.status_code, answer.json()["message"]) == (403, "Host not allowed")


@pytest.mark.parametrize("service", ["api", "ui", "temporal_address"])
async def test_an_action_cannot_call_dev_itself(dev: Dev, tmp_path: Path, service: str) -> None:
    """Loopback is allowed here: for services of the user, not for the API without keys or for Temporal."""
    address = str(dev.ready[service]).removeprefix("http://")
    call = {"id": "call", "type": "action", "action": "http.request", "config": {"url": f"http://{address}/healthz"}}
    definition = {"id": "inward", "name": "Inward", "trigger": {"type": "manual"}, "nodes": [call]}
    path = tmp_path / "inward.json"
    path.write_text(json.dumps({**definition, "edges": [{"source": "trigger", "target": "call"}]}))
    run = json.loads((await dev("run", path, "--json")).out)

    assert run["status"] == "failed"
    assert "of this machine belongs to a service that actions may not call" in run["error"]
    assert run["steps"][0]["error"]["error_type"] == "validation_error"


async def test_an_emitted_event_starts_its_subscribers_and_reaches_who_waits_for_its_key(
    dev: Dev, tmp_path: Path
) -> None:
    event = {"name": "it.happened", "data": {"n": 7}, "key": {"order": 7}}
    emit = {"id": "tell", "type": "action", "action": "event.emit", "config": event}
    hear = {"id": "heard", "type": "end", "config": {"output": "{{ trigger.data.n }}"}}
    wait = {"id": "wait", "type": "wait", "config": {"event": "it.happened", "key": "7"}}
    for name, node, trigger in (
        ("teller", emit, {"type": "manual"}),
        ("waiter", wait, {"type": "manual"}),
        ("hearer", hear, {"type": "event", "event": "it.*"}),
    ):
        definition = {"id": name, "name": name, "trigger": trigger, "nodes": [node]}
        edges = [{"source": "trigger", "target": node["id"]}]
        (tmp_path / f"{name}.json").write_text(json.dumps(definition | {"edges": edges}))
    pushed = await dev("workflows", "push", "--activate", tmp_path / "hearer.json")
    waits = await dev("run", tmp_path / "waiter.json", "--detach", "--json")
    ran = await dev("run", tmp_path / "teller.json", "--json")

    assert (pushed.code, waits.code, ran.code) == (0, 0, 0), (pushed.err, waits.err, ran.out, ran.err)
    async with open_api(dev) as api, asyncio.timeout(SECONDS):
        while not (listed := (await api.get("/runs", params={"workflow_id": "hearer"})).json()["items"]):
            await asyncio.sleep(0.05)
        assert (await api.get("/deliveries")).json()["items"][0]["received"]["data"] == {"n": 7}
    shown = await dev("runs", "watch", listed[0]["id"], "--json")
    assert json.loads(shown.out)["output"] == 7
    waited = json.loads((await dev("runs", "watch", json.loads(waits.out)["id"], "--json")).out)
    assert waited["steps"][0]["output_data"]["payload"] == {"n": 7}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_everything_and_removes_the_ready_file(tmp_path: Path, number: signal.Signals) -> None:
    dev: Any = await start_dev(tmp_path / "home")
    dev.process.send_signal(number)
    done = await dev.end(dev.process)

    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == ["API", "Temporal", "Temporal", "worker", "state"]
    assert "Traceback" not in done.err
    assert not (tmp_path / "home.ready.json").exists()
    assert not is_alive(dev.ready["pids"]["temporal"])


@pytest.mark.slow
async def test_a_second_dev_on_the_same_home_is_refused(dev: Dev, tmp_path: Path) -> None:
    ready = Path(dev.env["ORCHESTRATOR_HOME"] + ".ready.json")
    done = await dev("dev", "--port", 0, "--temporal-port", 0, "--ui-port", 0, "--ready-file", ready)

    assert done.code == 2
    assert ready.exists(), "the ready file of the first one was removed"
    assert f"process {dev.process.pid} is already using {dev.env['ORCHESTRATOR_HOME']}" in done.err
    assert (await dev("runs", "list")).code == 0
    there = Shell({name: value for name, value in dev.env.items() if name != "ORCHESTRATOR_TEMPORAL_ADDRESS"})
    assert (await there("runs", "list")).code == 0, "a `dev` on other ports is found by its home"


@pytest.mark.slow
async def test_an_api_port_in_use_is_bad_usage(dev: Dev, tmp_path: Path) -> None:
    port = httpx.URL(str(dev.ready["api"])).port
    shell = Shell({"ORCHESTRATOR_HOME": str(tmp_path / "home")})

    done = await shell("dev", "--port", port, "--temporal-port", 0, "--ui-port", 0)

    assert done.code == 2
    assert "--port 0" in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
async def test_a_port_in_use_is_bad_usage(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = await Shell({"ORCHESTRATOR_HOME": str(tmp_path / "home")})("dev", "--port", 0, "--temporal-port", port)

    assert done.code == 2
    assert f"port {port} is already in use" in done.err
    assert "--temporal-port 0 picks a free port" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--home", "pyproject.toml"), "cannot use pyproject.toml as the state folder"),
        (("--ready-file", "no/such/folder/ready.json"), "the folder of --ready-file, no/such/folder, does not exist"),
        (("--temporal-port", "70000"), "Invalid value for '--temporal-port'"),
    ],
)
async def test_an_unusable_folder_is_bad_usage(tmp_path: Path, args: tuple[str, ...], message: str) -> None:
    done = await Shell({"ORCHESTRATOR_HOME": str(tmp_path / "home")})("dev", *args)

    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
async def test_temporal_ends_with_a_killed_dev(tmp_path: Path) -> None:
    """A server was found running an hour after its parent had been killed."""
    dev: Any = await start_dev(tmp_path / "home")
    dev.process.kill()
    await dev.end(dev.process)

    await wait_for_exit(dev.ready["pids"]["temporal"])


async def test_temporal_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    async with devserver.run_dev_server(tmp_path) as server:
        pid = server.pid
        os.kill(parent_of(pid), signal.SIGKILL)
        await wait_for_exit(pid)
        async with asyncio.timeout(SECONDS):
            while server.pid in (pid, 0):
                await asyncio.sleep(0.05)


async def test_temporal_has_no_secrets_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_SECRET_CRM", "s3cr3t")
    async with devserver.run_dev_server(tmp_path) as server:
        for pid in (server.pid, parent_of(server.pid)):
            names = {entry.partition(b"=")[0] for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
            assert names <= {name.encode() for name in devserver.KEPT_VARIABLES} | {b"", b"LC_CTYPE"}


@pytest.mark.slow
async def test_dev_restarts_a_temporal_that_was_killed(tmp_path: Path) -> None:
    """Same ports, same folder: a run that was waiting continues, and the ready file has the new process ID."""
    dev: Any = await start_dev(tmp_path / "home")
    run_id = (await dev("run", write_resting(tmp_path), "--detach")).out.strip()
    killed = dev.ready["pids"]["temporal"]
    os.kill(killed, signal.SIGKILL)
    async with asyncio.timeout(SECONDS):
        while (pid := json.loads((tmp_path / "home.ready.json").read_text())["pids"]["temporal"]) == killed:
            await asyncio.sleep(0.05)
    watched = await dev("runs", "watch", run_id, "--json")
    done = await stop_dev(dev)

    assert json.loads(watched.out)["output"] == "rested"
    assert pid != killed
    assert not is_alive(pid)
    assert done.code == 0
    assert "the embedded Temporal server ended (SIGKILL), restarting it" in done.err


@pytest.mark.slow
async def test_dev_ends_when_temporal_cannot_be_restarted(tmp_path: Path) -> None:
    dev: Any = await start_dev(tmp_path / "home")
    (tmp_path / "home" / "temporal.db").write_bytes(b"no database" * 1000)
    for name in ("temporal.db-wal", "temporal.db-shm"):
        (tmp_path / "home" / name).unlink(missing_ok=True)
    os.kill(dev.ready["pids"]["temporal"], signal.SIGKILL)
    done = await dev.end(dev.process)

    assert done.code == 3
    assert "temporal.db is damaged: file is not a database" in done.err
    assert "Traceback" not in done.err


@pytest.mark.chaos
@pytest.mark.parametrize("killed", [("dev",), ("dev", "temporal"), ("temporal", "dev")], ids=" then ".join)
async def test_a_run_continues_after_dev_was_killed(tmp_path: Path, killed: tuple[str, ...]) -> None:
    first: Any = await start_dev(tmp_path / "home")
    run_id = (await first("run", write_resting(tmp_path), "--detach")).out.strip()
    for name in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(first.ready["pids"][name], signal.SIGKILL)
    await first.end(first.process)
    second: Any = await start_dev(tmp_path / "home")
    watched = await second("runs", "watch", run_id, "--json")
    await stop_dev(second)
    await wait_for_exit(first.ready["pids"]["temporal"])

    assert watched.code == 0, watched.err
    run = json.loads(watched.out)
    assert run["output"] == "rested"
    assert [step["id"] for step in run["steps"]] == ["rest", "say"]


@pytest.mark.slow
async def test_an_embedded_run_starts_and_stops_its_server(tmp_path: Path) -> None:
    shell = Shell({"ORCHESTRATOR_HOME": str(tmp_path / "home")})
    done = await shell("run", write_resting(tmp_path), "--server", "embedded", "--json")

    assert (done.code, json.loads(done.out)["output"]) == (0, "rested")
    assert done.err.startswith("1 file valid, checked with the actions of this environment\n")
    assert not is_alive(int((tmp_path / "home" / LOCK).read_text()))


@pytest.mark.slow
async def test_an_interrupted_embedded_run_resumes_from_its_home(tmp_path: Path) -> None:
    shell = Shell({"ORCHESTRATOR_HOME": str(tmp_path / "home")})
    process = await shell.begin("run", write_listening(tmp_path), "--server", "embedded")
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        await process.stderr.readline()  # what has checked the definition
        run_id = (await process.stderr.readline()).split()[1].decode()
    process.send_signal(signal.SIGINT)
    interrupted = await shell.end(process)
    dev = await start_dev(tmp_path / "home")
    sent = await dev("runs", "send", run_id, "go", '{"n": 1}')
    watched = await dev("runs", "watch", run_id, "--json")
    await stop_dev(dev)

    assert interrupted.code == 130
    assert f"the run is stored and resumes with `orchestrator dev`: orchestrator runs watch {run_id}" in interrupted.err
    assert (sent.code, watched.code) == (0, 0), (sent.err, watched.err)
    assert json.loads(watched.out)["output"] == {"n": 1}


async def test_embedded_and_detached_is_bad_usage(tmp_path: Path) -> None:
    done = await Shell({})("run", write_resting(tmp_path), "--server", "embedded", "--detach")

    assert done.code == 2
    assert "the embedded one stops with this command" in done.err


@pytest.mark.long
@pytest.mark.slow
async def test_the_invoice_reminder_runs_end_to_end(tmp_path: Path) -> None:
    env = {**os.environ, "ORCHESTRATOR_HOME": str(tmp_path / "home")}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.invoice_reminder"), cwd=ROOT, env=env, stdout=pipe, stderr=pipe
    )
    done = await Shell({}).end(process)

    assert done.code == 0, done.err
    assert "4 mails arrived, 3 entries in the CRM:" in done.out
    assert "to accounting@acme.example: 3 reminders sent" in done.out
    assert '"reminded": 3' in done.out
    assert "Temporal UI  http://127.0.0.1:" in done.out


@pytest.mark.long
@pytest.mark.slow
async def test_a_copy_of_the_folder_is_a_backup(tmp_path: Path) -> None:
    """The steps of docs/operations.md: stop, copy, and continue from the copy without a difference."""
    first: Any = await start_dev(tmp_path / "home")
    asleep = {
        "id": "asleep", "name": "Asleep", "trigger": {"type": "schedule", "cron": "@yearly"},
        "nodes": [{"id": "wait", "type": "wait", "config": {"event": "go"}}],
        "edges": [{"source": "trigger", "target": "wait"}],
    }  # fmt: skip
    async with httpx.AsyncClient(base_url=f"{first.ready['api']}/api/v1", timeout=SECONDS) as api:
        await api.post("/workflows", json=asleep)
        await api.post("/workflows/asleep/activate")
        run_id = (await api.post("/workflows/asleep/runs")).json()["id"]
        times = (await api.get("/workflows/asleep/schedule")).json()
    key = (await first("keys", "create", "kept", "--customer", "default")).out.strip()
    await stop_dev(first)
    await asyncio.to_thread(shutil.copytree, tmp_path / "home", tmp_path / "copy")
    await asyncio.to_thread(shutil.rmtree, tmp_path / "home")

    second: Any = await start_dev(tmp_path / "copy")
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"{second.ready['api']}/api/v1", headers=headers, timeout=SECONDS) as api:
        assert (await api.get("/workflows/asleep")).json()["status"] == "active"
        assert (await api.get("/workflows/asleep/schedule")).json() == times
        assert (await api.get("/runs")).json()["items"][0]["id"] == run_id
        await api.post(f"/runs/{run_id}/events/go")
        async with asyncio.timeout(SECONDS):
            while (await api.get(f"/runs/{run_id}")).json()["status"] != "completed":
                await asyncio.sleep(0.1)
    await stop_dev(second)


def format_dev_file(pid: int) -> str:
    return json.dumps(
        {"api": "http://127.0.0.1:8", "temporal_address": "127.0.0.1:9", "ui": "http://u", "pids": {"dev": pid}}
    )


@pytest.mark.parametrize(
    ("dev_file", "address"),
    [
        ("{}", "127.0.0.1:7233"),
        ("[]", "127.0.0.1:7233"),
        (format_dev_file(4194304), "127.0.0.1:7233"),
        (format_dev_file(os.getpid()), "127.0.0.1:9"),
    ],
    ids=["empty", "list", "ended", "alive"],
)
def test_commands_find_a_running_dev_by_its_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dev_file: str, address: str
) -> None:
    (tmp_path / "dev.json").write_text(dev_file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ORCHESTRATOR_TEMPORAL_ADDRESS", raising=False)

    with lock_home(tmp_path):
        found = find_server(ServerOptions())
        assert load_client_settings().temporal_address == address
    assert (None if found is None else found.url) == (None if address.endswith(":7233") else "http://127.0.0.1:8")


async def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([*(devserver.find_free_port() for _ in range(2)), taken.getsockname()[1]])
        free = devserver.find_free_port
        monkeypatch.setattr(devserver, "find_free_port", lambda: next(ports, None) or free())

        async with devserver.run_dev_server(tmp_path) as server:
            assert taken.getsockname()[1] != server.http_port
            await Client.connect(server.address)
