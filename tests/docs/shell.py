"""Run the commands of a page in one shell, as a reader does, and compare what they print with what the page shows."""

import asyncio
import os
import re
import shlex
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.cli.commands import NOT_TAKEN
from tests.docs.blocks import ROOT, Command

SECONDS = 300.0
"""Maximum duration of a command, on a slow machine."""
POLL_SECONDS = 180.0
SETUP = """
set -m
wait_for_dev() { for _ in $(seq 900); do [ -e "$DEV_READY" ] && return; sleep 0.2; done; cat dev.log; return 1; }
wait_for_port() { for _ in $(seq 600); do (: > "/dev/tcp/127.0.0.1/$1") 2>&- && return; sleep 0.2; done; return 1; }
"""
COMMAND = """#!/bin/sh
if [ "$1" = dev ]; then
    shift
    set -- dev --port "$DEV_PORT" --temporal-port 0 --ui-port 0 --ready-file "$DEV_READY" "$@"
fi
exec PYTHON -m orchestrator.cli "$@"
"""
"""`orchestrator` on free ports; one process, so that `kill` ends the server."""
DEV = re.compile(r"^orchestrator dev\b[^#&]*?(?P<background>&?)\s*(#.*)?$")
SERVER = re.compile(r"^python -m http\.server (?P<port>\d+)\b.*&$", re.DOTALL)
EQUAL = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| UTC)?"), "<time>"),
    (re.compile(r"\+?\d+(\.\d+)? (ms|s|m|min|h|d)\b( \d+ (s|m|h)\b)?"), "<duration>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[a-z_]+-[0-9a-z]{16}\b"), "<id>"),
    (re.compile(r"(127\.0\.0\.1|localhost):\d+"), "<address>"),
    (re.compile(r"ork_\w+"), "<key>"),
    (re.compile(r"(?<![\w.])(/[\w.-]+)+/(?=[\w.-])"), "<folder>/"),
    (re.compile(r"[ \t]+"), " "),
)
"""What differs from one time to the next."""


class PageShell:
    """One shell for all commands of a page."""

    def __init__(self, folder: Path, env: Mapping[str, str], ports: Mapping[str, str]) -> None:
        self.folder = folder
        self.ready = folder.parent / "dev.ready.json"
        self.env = {**env, "DEV_READY": str(self.ready), "DEV_PORT": ports.get("8080", "0")}
        self.ports = ports
        """The ports to use instead of those of the page."""

    async def __aenter__(self) -> "PageShell":
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            "bash", "--norc", "--noprofile",
            stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, cwd=self.folder, env=self.env, limit=2**24,
        )  # fmt: skip
        await self._send(SETUP)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the servers that the page has started, then the shell."""
        await self._send("for job in $(jobs -p); do kill -- -$job; done 2>/dev/null; wait 2>/dev/null")
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()

    async def write_file(self, name: str, text: str) -> None:
        """Write a file of the page to the current folder of the shell."""
        path = shlex.quote(name)
        await self._send(
            f"mkdir -p $(dirname {path}) && cat > {path} <<'END OF FILE'\n{self.replace_ports(text)}END OF FILE"
        )

    async def run(self, command: Command) -> str | None:
        """Run a command and return how it differs from the page, if it does.

        One that begins with `sleep` is repeated until it does as shown, and so is one that a busy worker does not take:
        readers wait longer on a slow machine, too.
        """
        deadline = time.monotonic() + POLL_SECONDS
        while difference := await self._run_once(command):
            if not command.text.startswith("sleep ") and NOT_TAKEN not in difference:
                break
            if time.monotonic() > deadline:
                break
        return difference

    async def _run_once(self, command: Command) -> str | None:
        text = self.replace_ports(command.text)
        dev = DEV.match(text.replace("2>&1", ""))
        if dev:
            self.ready.unlink(missing_ok=True)  # of a `dev` that was killed
        code, output = await self._send(
            text if not dev or dev["background"] else f"{text.partition('#')[0]} > dev.log 2>&1 &"
        )
        if dev:
            code, more = await self._send("wait_for_dev")
            output += more
        if server := SERVER.match(text):
            await self._send(f"wait_for_port {server['port']}")
        if code != command.exit_code:
            return f"$ {text}\n{output}\nexit code {code}, not {command.exit_code}"
        if command.output and not is_shown(self.replace_ports(command.output), output):
            return f"$ {text}\n{output}\nbut the page shows\n{command.output}"
        return None

    def replace_ports(self, text: str) -> str:
        """Replace the ports of the page."""
        return re.sub(r"(?<=[: ])\d{4}\b", lambda match: self.ports.get(match[0], match[0]), text)

    async def _send(self, text: str) -> tuple[int, str]:
        """Have the shell read a command from a file, so that the command does not read the next ones as its input."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        script = self.folder.parent / "command.sh"
        script.write_text(f"{text}\n")
        line = f". {shlex.quote(str(script))} < /dev/null; printf '\\nEND OF COMMAND %d\\n' $?\n"
        self.process.stdin.write(line.encode())
        lines: list[str] = []
        async with asyncio.timeout(SECONDS):
            while not (lines and lines[-1].startswith("END OF COMMAND ")):
                read = await self.process.stdout.readline()
                assert read, f"the shell ended at: {text}"
                lines.append(read.decode())
        return int(lines.pop().split()[-1]), "".join(lines).removesuffix("\n")


def is_shown(expected: str, output: str) -> bool:
    """Return whether a page shows this output; `...` stands for any text."""
    parts = [re.escape(normalize(part).strip("\n")) for part in expected.split("...")]
    return re.fullmatch(r".*?".join(parts), normalize(output).strip("\n"), re.DOTALL) is not None


def normalize(text: str) -> str:
    """Replace what differs from one time to the next, and spaces."""
    for pattern, replacement in EQUAL:
        text = pattern.sub(replacement, text)
    return "\n".join(line.strip() for line in text.splitlines())


def make_environment(folder: Path) -> dict[str, str]:
    """Return an environment with the commands of this checkout, and without settings and profiles of this user."""
    commands = folder / "bin"
    commands.mkdir()
    scripts = {
        "orchestrator": COMMAND.replace("PYTHON", sys.executable),
        "python": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
    }
    for name, script in scripts.items():
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRATOR_", "PYTHON"))}
    return {
        **kept,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "NO_COLOR": "1",
    }


def find_free_port() -> str:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])
