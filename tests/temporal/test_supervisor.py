"""The supervisor of the embedded server, with other programs in place of the server."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.temporal import supervisor

pytestmark = pytest.mark.process
SECONDS = 60.0


def start_supervisor(home: Path, *command: str, parent: int | None = None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-I", "-S", supervisor.__file__, str(parent or os.getpid()), str(home), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_the_log_is_rotated(tmp_path: Path) -> None:
    """A server that logs every refused connection filled disks."""
    lines = supervisor.LOG_BYTES // 1000 + 1000
    with start_supervisor(tmp_path, sys.executable, "-c", f"for _ in range({lines}): print('x' * 999)") as process:
        assert process.wait(SECONDS) == 0

    sizes = {file.name: file.stat().st_size for file in tmp_path.glob("temporal.log*")}
    assert sizes.keys() == {"temporal.log", "temporal.log.1"}
    assert max(sizes.values()) <= supervisor.LOG_BYTES
    assert sum(sizes.values()) == 1000 * lines
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_the_exit_of_the_server_is_passed_on(tmp_path: Path) -> None:
    with start_supervisor(tmp_path, sys.executable, "-c", "print('last words'); raise SystemExit(7)") as process:
        assert process.wait(SECONDS) == 7

    assert (tmp_path / "temporal.log").read_text() == "last words\n"


def test_two_servers_cannot_share_a_folder(tmp_path: Path) -> None:
    with start_supervisor(tmp_path, "sleep", "60") as first:
        assert first.stdout is not None
        first.stdout.readline()
        with start_supervisor(tmp_path, "sleep", "60") as second:
            assert second.wait(SECONDS) == supervisor.IN_USE
        assert first.stdin is not None
        first.stdin.close()
        assert first.wait(SECONDS) == 256 - signal.SIGTERM


def test_the_server_ends_when_its_parent_is_gone_though_the_pipe_is_open(tmp_path: Path) -> None:
    """A forked process of the parent may hold the other end of the pipe."""
    with start_supervisor(tmp_path, "sleep", "60", parent=1) as process:
        assert process.wait(SECONDS) == 256 - signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the server ends when it next writes to its log")
def test_the_server_ends_with_a_killed_supervisor(tmp_path: Path) -> None:
    """`sleep` writes nothing, so only the kernel can end it."""
    with start_supervisor(tmp_path, "sleep", "60") as process:
        assert process.stdout is not None
        server = Path(f"/proc/{int(process.stdout.readline())}/stat")
        process.kill()
        deadline = time.monotonic() + SECONDS
        while server.exists() and server.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, "the server is still running"
            time.sleep(0.05)
