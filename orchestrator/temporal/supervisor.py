"""Run the embedded Temporal server as a child that never outlives the process that started this one.

A program of its own, started by `devserver.py`: it needs the standard library only. It ends the server once its
standard input closes or its parent is gone, which also happens when the parent is killed. On Linux the kernel ends the
server together with this process; elsewhere the server ends when it next writes to its log, whose pipe is then broken.
"""

import ctypes
import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, cast

LOCK = "temporal.lock"
LOG = "temporal.log"
LOG_BYTES = 10_000_000
LOG_BACKUPS = 3
LINE_BYTES = 8192
"""Longer lines of the log are cut."""
STOP_SECONDS = 10.0
POLL_SECONDS = 1.0
"""How often the parent is looked for: a forked process may keep the other end of our standard input open."""
IN_USE = 75
"""Exit code where another server still uses the folder; EX_TEMPFAIL of sysexits.h."""
PR_SET_PDEATHSIG = 1


def run(parent: int, home: Path, command: list[str]) -> int:
    """Run the server until it ends or the parent is gone; return its exit code, negative for a signal."""
    os.umask(0o077)
    with (home / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return IN_USE
        return _supervise(parent, home, command, lock.fileno())


def _supervise(parent: int, home: Path, command: list[str], lock: int) -> int:
    server = subprocess.Popen(  # noqa: S603 - built by devserver.py
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(lock,),  # the folder is in use for as long as the server lives, even without this process
        preexec_fn=_die_with_parent,
    )
    os.ftruncate(lock, 0)
    os.write(lock, str(server.pid).encode())
    os.write(sys.stdout.fileno(), f"{server.pid}\n".encode())
    return _wait_for_exit(server, _open_log(home / LOG), parent)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _open_log(file: Path) -> logging.Logger:
    handler = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=LOG_BACKUPS, encoding="utf-8")
    logging.raiseExceptions = False  # a full disk must not stop the server
    logger = logging.Logger("temporal")
    logger.addHandler(handler)
    return logger


def _wait_for_exit(server: "subprocess.Popen[bytes]", log: logging.Logger, parent: int) -> int:
    """Copy the server's output to the log until it ends; stop it once standard input closes or the parent is gone."""
    output, stdin = cast(IO[bytes], server.stdout).fileno(), sys.stdin.fileno()
    stop_at: float | None = None
    line = b""
    while True:
        readable, _, _ = select.select([output] if stop_at else [output, stdin], [], [], POLL_SECONDS)
        if output in readable:
            chunk = os.read(output, 65_536)
            *lines, line = (line + chunk).split(b"\n")
            for text in filter(None, lines if chunk else [*lines, line]):
                log.warning("%s", text[:LINE_BYTES].decode(errors="replace"))
            line = line[:LINE_BYTES]
            if not chunk:
                return server.wait()
        if stop_at is None and (os.getppid() != parent or (stdin in readable and not os.read(stdin, 1))):
            stop_at = time.monotonic() + STOP_SECONDS
            server.terminate()
        elif stop_at is not None and time.monotonic() > stop_at:
            server.kill()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # the parent decides; a handler, because an ignored signal is inherited
    sys.exit(run(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
