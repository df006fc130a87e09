"""A real S3 server for tests, on loopback: moto's, in an environment of its own."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

PROGRAM = Path(sys.prefix) / "s3-server" / "bin" / "moto_server"
START_SECONDS = 180
LISTENING = re.compile(r"Running on (?P<url>http://127\.0\.0\.1:\d+)")


@contextmanager
def run_s3_server(**environment: str) -> Iterator[str]:
    """Run a server, which keeps everything in memory; yields its URL."""
    assert PROGRAM.exists(), "the S3 server of tests is needed: make .venv/s3-server/.ready"
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [PROGRAM, "-H", "127.0.0.1", "-p", "0"], env={**os.environ, **environment}, stdout=log, stderr=log
        )
        try:
            yield _read_url(process, log)
        finally:
            process.kill()
            process.wait()


def _read_url(process: subprocess.Popen[bytes], log: IO[str]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        log.seek(0)
        if found := LISTENING.search(log.read()):
            return found["url"]
        time.sleep(0.05)
    raise AssertionError(f"the S3 server does not listen: {log.read()}")


def create_bucket(url: str, name: str) -> None:
    httpx.put(f"{url}/{name}", timeout=60).raise_for_status()


def set_variables(patch: pytest.MonkeyPatch, url: str) -> None:
    """Set the variables that docs/operations.md names."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        patch.setenv(name, value)
