"""`orchestrator dev` as a process that a test kills, and a server that counts the effects of its runs."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.stream_server import read_http_request

PATIENCE = 240.0


@dataclass
class Effects:
    """A server that applies each request once, by idempotency key, and may be slow."""

    url: str = ""
    done: dict[str, str] = field(default_factory=dict)
    """What was done, by idempotency key."""
    asked: list[str] = field(default_factory=list)
    slow_once: set[str] = field(default_factory=set)
    """Paths whose first request is never answered: its client is killed meanwhile."""
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    """Paths whose later requests are answered once their event is set."""
    arrived: dict[str, asyncio.Event] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_http_request(reader)
        path = request.target
        self.asked.append(path)
        self.done.setdefault(request.headers["idempotency-key"], path)
        self.arrived.setdefault(path, asyncio.Event()).set()
        if path in self.slow_once:
            self.slow_once.remove(path)
            await asyncio.Event().wait()
        if path in self.held:
            await self.held[path].wait()
        body = json.dumps({"done": path}).encode()
        head_line = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        writer.write(f"{head_line}connection: close\r\n\r\n".encode() + body)
        await writer.drain()

    async def until(self, path: str) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.arrived.setdefault(path, asyncio.Event()).wait()


@dataclass
class Dev:
    """`orchestrator dev` as a process of its own."""

    process: asyncio.subprocess.Process
    api: str
    temporal_address: str
    temporal_pid: int

    def kill_worker(self) -> None:
        """Kill the process that serves runs and actions; Temporal stays."""
        self.process.kill()

    def kill_everything(self) -> None:
        self.process.kill()
        os.kill(self.temporal_pid, signal.SIGKILL)


async def start_dev(home: Path) -> Dev:
    ready = home.parent / f"ready-{uuid4()}.json"
    environment = {**os.environ, "ORCHESTRATOR_HTTP_ALLOWED_NETWORKS": "127.0.0.0/8", "ORCHESTRATOR_LOG_LEVEL": "error"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "orchestrator.cli", "dev", "--home", str(home), "--port", "0",
        "--temporal-port", "0", "--ui-port", "0", "--ready-file", str(ready), env=environment,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        while not ready.exists():
            assert process.returncode is None, f"dev ended with {process.returncode}"
            await asyncio.sleep(0.05)
    said = json.loads(ready.read_text())
    return Dev(process, said["api"], said["temporal_address"], said["pids"]["temporal"])
