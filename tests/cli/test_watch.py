"""`--watch`: a command runs again after each change of a file that it may read."""

import asyncio
import json
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.cli.failures import UsageError
from orchestrator.cli.watch import list_folders, rerun_on_changes
from tests.cli.commands import invoke
from tests.cli.shell import SECONDS, Shell

RIGHT = {
    "id": "hello", "name": "Hello", "trigger": {"type": "manual"},
    "nodes": [{"id": "end", "type": "end", "config": {"output": "right"}}],
    "edges": [{"source": "trigger", "target": "end"}],
}  # fmt: skip
WRONG = {**RIGHT, "edges": [{"source": "trigger", "target": "nowhere"}]}
CASES = "- {name: it ends, expect: {output: right}}"


@asynccontextmanager
async def run_watching(shell: Shell, *args: object) -> AsyncIterator[asyncio.StreamReader]:
    """Run a command; both its streams are read as one. It must end by Ctrl-C, with the exit code of that."""
    process = await shell.begin(*args)
    assert process.stdout is not None
    assert process.stderr is not None
    lines = asyncio.StreamReader()
    readers = [asyncio.create_task(copy_lines(each, lines)) for each in (process.stdout, process.stderr)]
    try:
        yield lines
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(SECONDS):
            assert await process.wait() == 130
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.gather(*readers)


async def copy_lines(source: asyncio.StreamReader, target: asyncio.StreamReader) -> None:
    while line := await source.readline():
        target.feed_data(line)


async def read_until(lines: asyncio.StreamReader, text: str) -> None:
    async with asyncio.timeout(SECONDS):
        while text not in (await lines.readline()).decode():
            pass


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "wrong", "right"),
    [
        ("validate", "error unknown_node", "1 file valid"),
        ("simulate", "no run was started", "right"),
        ("test", "0 cases passed, 1 failed", "1 case passed"),
    ],
)
async def test_a_command_runs_again_after_each_change(command: str, wrong: str, right: str, tmp_path: Path) -> None:
    file = tmp_path / "hello.json"
    file.write_text(json.dumps(WRONG))
    (tmp_path / "hello.tests.yaml").write_text(CASES)
    env = {"XDG_CONFIG_HOME": str(tmp_path / "user"), "ORCHESTRATOR_HOME": str(tmp_path / "home")}
    async with run_watching(Shell(env), command, file, "--watch") as lines:
        await read_until(lines, wrong)
        other = tmp_path / "other.json"  # as editors save: a new file that replaces the old one
        other.write_text(json.dumps(RIGHT))
        other.rename(file)

        await read_until(lines, "changed")
        await read_until(lines, right)


class Started:
    """A process that has ended."""

    def terminate(self) -> None:
        """Do nothing."""

    def wait(self) -> int:
        return 0


def count_starts(file: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Watch a file that changes as the command starts; return the number of starts, after two or a minute."""
    started: list[Started] = []

    def start(*_: object, **__: object) -> Started:
        started.append(Started())
        if len(started) == 2:
            raise KeyboardInterrupt
        file.write_text("changed")
        return started[0]

    context: Any = SimpleNamespace(find_root=lambda: SimpleNamespace(obj=[]))
    monkeypatch.setattr("orchestrator.cli.watch.subprocess.Popen", start)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(60)
    try:
        with pytest.raises(KeyboardInterrupt):
            rerun_on_changes(context, [str(file)])
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return len(started)


def test_a_change_that_comes_as_the_command_starts_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ran before its files were watched."""
    assert count_starts(tmp_path / "hello.json", monkeypatch) == 2


def test_a_file_beside_that_changes_all_the_time_keeps_no_command_from_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.cli.watch.ROUND_MILLISECONDS", 90_000)
    done = threading.Event()

    def write_log() -> None:
        while not done.wait(0.02):
            (tmp_path / "dev.log").write_text("a line")

    writer = threading.Thread(target=write_log)
    writer.start()
    try:
        assert count_starts(tmp_path / "hello.json", monkeypatch) == 2
    finally:
        done.set()
        writer.join()


def test_the_folders_of_files_are_watched_without_those_inside_them(tmp_path: Path) -> None:
    file = tmp_path / "a.json"

    assert list_folders([str(file), str(tmp_path / "b.json")]) == ([tmp_path], False)
    assert list_folders([str(file), str(tmp_path)]) == ([tmp_path], True)


def test_only_files_can_be_watched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        list_folders([str(tmp_path / "none" / "a.json")])

    done = invoke("validate", "-", "--watch")

    assert (done.exit_code, "--watch needs files, not stdin" in done.stderr) == (2, True)
