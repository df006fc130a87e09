"""Commands as processes, and a real `orchestrator dev` for tests that need a server."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
SECONDS = 180.0
"""Maximum wait for a process, in seconds: on a busy machine each start takes many times as long."""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Shell:
    """Runs commands with environment variables."""

    env: dict[str, str]
    folder: Path = field(default=ROOT, kw_only=True)

    async def begin(self, *args: object) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        line = [sys.executable, "-m", "orchestrator.cli", *map(str, args)]
        env = {**os.environ, "PYTHONUNBUFFERED": "1", **self.env}
        return await asyncio.create_subprocess_exec(
            *line, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, cwd=self.folder, env=env
        )

    async def end(self, process: asyncio.subprocess.Process) -> Done:
        """Wait for a command; one that hangs is killed and fails the test."""
        try:
            async with asyncio.timeout(SECONDS):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            raise
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())

    async def __call__(self, *args: object) -> Done:
        return await self.end(await self.begin(*args))


@dataclass(slots=True)
class Dev(Shell):
    """A running `dev`."""

    process: asyncio.subprocess.Process
    ready: dict[str, object]


async def start_dev(home: Path, env: Mapping[str, str] = MappingProxyType({}), *, folder: Path = ROOT) -> Dev:
    """Start `dev` on free ports and wait for its ready file."""
    ready = home.parent / f"{home.name}.ready.json"
    ready.unlink(missing_ok=True)  # left by a process that was killed
    shell = Shell(
        {
            "ORCHESTRATOR_HOME": str(home),
            "ORCHESTRATOR_HTTP_ALLOWED_NETWORKS": "127.0.0.1/32",
            "XDG_CONFIG_HOME": str(home.parent / "user"),  # so that only commands with these variables find it
            **env,
        },
        folder=folder,
    )
    args = ("dev", "--port", 0, "--temporal-port", 0, "--ui-port", 0, "--ready-file", ready)
    process = await shell.begin(*args)
    try:
        async with asyncio.timeout(SECONDS):
            while not ready.exists():
                assert process.returncode is None, (await shell.end(process)).err
                await asyncio.sleep(0.05)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    addresses = json.loads(ready.read_text())
    return Dev(
        {**shell.env, "ORCHESTRATOR_TEMPORAL_ADDRESS": addresses["temporal_address"]}, process, addresses, folder=folder
    )


async def stop_dev(dev: Dev) -> Done:
    """Stop `dev` and wait for it."""
    if dev.process.returncode is None:
        dev.process.send_signal(signal.SIGTERM)
    return await dev.end(dev.process)
