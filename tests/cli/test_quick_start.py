"""The first commands of README and docs/api.md work without any settings."""

import argparse
import asyncio
import re
import shlex
from pathlib import Path

import httpx
import pytest

from tests.cli.shell import ROOT, SECONDS, Dev, start_dev, stop_dev

pytestmark = pytest.mark.temporal
SERVED = "localhost:8080"
PAGES = {"README.md": "## Serve it", "docs/api.md": "# The HTTP API"}


def read_commands(page: str) -> list[list[str]]:
    """Return the commands of the first block after the page's heading."""
    text = (ROOT / page).read_text().partition(PAGES[page])[2]
    block = re.search(r"```console\n(.*?)```", text, re.DOTALL)
    assert block is not None
    lines = block[1].replace("\\\n", " ").splitlines()
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]


async def request_like_curl(dev: Dev, words: list[str]) -> httpx.Response:
    """Do what curl would do."""
    parser = argparse.ArgumentParser("curl", exit_on_error=False)
    for flag in ("-s", "-N"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("-X")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-d")
    parser.add_argument("url")
    options = parser.parse_args(words)
    body = (ROOT / options.d[1:]).read_text() if options.d and options.d.startswith("@") else options.d
    assert options.url.startswith(SERVED)
    async with httpx.AsyncClient(timeout=SECONDS) as client:
        return await client.request(
            options.X or ("POST" if options.d else "GET"),
            f"{dev.ready['api']}{options.url.removeprefix(SERVED)}",
            headers=dict(header.split(": ", 1) for header in options.H),
            content=body,
        )


@pytest.mark.parametrize("page", PAGES)
async def test_the_commands_of_a_page_end_in_completed_runs(page: str, tmp_path: Path) -> None:
    dev = await start_dev(tmp_path / "home")
    try:
        (program, command, *_), *others = read_commands(page)
        assert (program, command) == ("orchestrator", "dev")
        answer = None
        for words in others:
            if words[0] == "orchestrator":
                done = await dev(*words[1:])
                assert done.code == 0, done.err
                continue
            if "RUN" in words[-1]:
                answer = await wait_for_runs(dev)
                words = [word.replace("RUN", answer.json()["items"][0]["id"]) for word in words]
            answer = await request_like_curl(dev, words[1:])
            assert answer.is_success, answer.text

        runs = (await wait_for_runs(dev)).json()["items"]
        assert [run["status"] for run in runs] == ["completed"]
    finally:
        await stop_dev(dev)


async def wait_for_runs(dev: Dev) -> httpx.Response:
    """Wait until there are runs and all have ended."""
    async with asyncio.timeout(SECONDS):
        while True:
            answer = await request_like_curl(dev, [f"{SERVED}/api/v1/runs"])
            if (runs := answer.json()["items"]) and all(run["completed_at"] for run in runs):
                return answer
            await asyncio.sleep(0.1)
