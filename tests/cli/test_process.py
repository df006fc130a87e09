"""The command as a process: exit codes, streams, terminals, concurrency."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli import output
from tests.cli.shell import SECONDS
from tests.scale import scale

pytestmark = pytest.mark.process

MANY = scale(10)
ROOT = Path(__file__).parents[2]
EXAMPLE = "examples/invoice_reminder.json"
BAD = b'{"name": "x", "trigger": {"type": "manual"}, "nodes": []}'
HEAVY = ("pydantic", "temporalio", "rich", "yaml", "httpx", "sqlalchemy", "asyncio", "orchestrator.planner")
HEAVY_FOR_A_CLIENT = (
    *("temporalio", "sqlalchemy", "fastapi", "jsonschema", "ruamel.yaml", "croniter", "re2", "watchfiles"),
    *("activities", "api", "orchestrator.settings", "orchestrator.planner.planner", "orchestrator.store.database"),
)


def command_line(*args: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator.cli", *args]


def run_orchestrator(*args: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command_line(*args),
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        timeout=SECONDS,
        env={**os.environ, **env},
        check=False,
    )


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--help",), 0),
        (("validate", EXAMPLE), 0),
        (("graph", EXAMPLE), 0),
        (("test", EXAMPLE), 0),
        (("simulate", EXAMPLE), 2),
        (("validate", "-"), 2),
        (("validate", "examples/none.json"), 2),
        (("schedule", "next", "* *"), 2),
        (("nonsense",), 2),
    ],
)
def test_exit_codes(args: tuple[str, ...], code: int) -> None:
    done = run_orchestrator(*args, stdin=BAD)

    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def test_results_go_to_stdout_only() -> None:
    done = run_orchestrator("validate", "-", "--json", stdin=BAD)

    assert json.loads(done.stdout)[0]["valid"] is False
    assert done.stderr == b""


def test_a_pipe_that_closes_early_ends_like_other_programs() -> None:
    """It ended with 1, as if a run had failed; programs that SIGPIPE ends have 128 + 13."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command_line("actions", "list", "--json"),
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        timeout=SECONDS,
        check=False,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, b"")


NOT_FOR_A_LIST = ("temporalio", "sqlalchemy", "fastapi", "uvicorn", "pydantic_settings", "yaml",
                  "ruamel", "jsonschema", "re2", "croniter", "asyncpg", "activities", "api")  # fmt: skip


def test_a_list_loads_little() -> None:
    """Its start took 0.8 s; of that, 0.6 s were the clients of Temporal and of the database."""
    code = f"""
import sys
from orchestrator.cli.commands import app
try:
    app(["runs", "list", "--url", "http://127.0.0.1:1"])
except SystemExit as end:
    print(end.code, [name for name in {NOT_FOR_A_LIST!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=SECONDS, check=True)

    assert done.stdout == b"3 []\n", done.stderr


@pytest.mark.parametrize("moment", ["imports", "commands"])
def test_ctrl_c_ends_quietly_from_the_first_moment(moment: str) -> None:
    """While modules were loaded it printed a traceback."""
    where = "find_spec" if moment == "imports" else "commands"
    code = f"""
import os, signal, sys
import orchestrator.cli
class Interrupting:
    def find_spec(self, name, *rest):
        if name == {"orchestrator.cli.commands" if moment == "imports" else "orchestrator.cli.client"!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
sys.argv = ["orchestrator", "runs", "list", "--url", "http://127.0.0.1:1"]
orchestrator.cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=SECONDS, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b""), where


def test_characters_that_the_locale_cannot_encode_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "größe.json"
    path.write_text('{"name": "Größe 支払い", "trigger": {"type": "größe"}}')
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    plain = run_orchestrator("validate", str(path), **ascii_only)
    as_json = run_orchestrator("validate", str(path), "--json", **ascii_only)

    assert (plain.returncode, as_json.returncode) == (2, 2)
    assert b"gr\\xf6\\xdfe" in plain.stdout
    messages = [problem["message"] for problem in json.loads(as_json.stdout)[0]["problems"]]
    assert any("größe" in message for message in messages)


def run_on_a_terminal(*args: str, **env: str) -> str:
    """Return the output on a terminal of 120 columns."""
    reader, writer = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **env}
    environment = {name: value for name, value in environment.items() if value != ""}
    with subprocess.Popen(command_line(*args), stdin=writer, stdout=writer, stderr=writer, cwd=ROOT, env=environment):
        os.close(writer)
        output = b""
        try:
            while chunk := os.read(reader, 4096):
                output += chunk
        except OSError:  # raised by Linux when the other end has closed
            os.close(reader)
    return output.decode().replace("\r\n", "\n")


def test_a_terminal_gets_a_table_with_headings_in_colour() -> None:
    shown = run_on_a_terminal("actions", "list", NO_COLOR="")

    assert "\x1b[" in shown
    assert "action" in shown.splitlines()[0]
    assert "\t" not in shown


def test_no_color_is_respected() -> None:
    shown = run_on_a_terminal("actions", "list", NO_COLOR="1")

    assert "\x1b[3" not in shown
    assert "action" in shown.splitlines()[0]


def test_columns_drop_before_ids_are_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The ID of a run was cut at 80 columns, so that it could not be copied."""
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    run_id = "invoice_reminder-7k3m9q2x4t8wjb5n"
    output.print_table(
        ("run", "status", "started", "customer"), [(run_id, "failed", "3 min ago", "a customer of many")]
    )
    output.print_table(("run", "status"), [("r" * 70, "failed")])
    shown = capsys.readouterr().out.splitlines()

    assert [line.rstrip() for line in shown] == [
        f"{'run':<{len(run_id)}}  status  started",
        f"{run_id}  failed  3 min ago",
        "run",
        "r" * 70,
    ]


def test_problems_are_red_on_a_terminal_and_plain_in_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(BAD)

    assert "\x1b[31m" in run_on_a_terminal("validate", str(path), NO_COLOR="")
    assert b"\x1b" not in run_orchestrator("validate", str(path)).stdout


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys, orchestrator.cli.commands; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=SECONDS, check=True)

    assert done.stdout == b"[]\n"


def test_a_list_of_runs_loads_a_client_and_nothing_heavier(record_property: Callable[[str, object], None]) -> None:
    """The time is only recorded: it depends on the machine. 0.3 s of CPU where this was written."""
    code = """
import resource, sys
from orchestrator.cli.commands import app
try:
    app(["runs", "list", "--url", "http://127.0.0.1:1"])
except SystemExit as end:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(end.code, usage.ru_utime + usage.ru_stime, *sorted(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=SECONDS, check=True)
    exit_code, seconds, *modules = done.stdout.decode().split()
    record_property("cpu_seconds", seconds)

    assert (exit_code, "httpx" in modules) == ("3", True)
    assert [name for name in HEAVY_FOR_A_CLIENT if name in modules] == []


@pytest.mark.slow
@pytest.mark.long
async def test_many_concurrent_commands_exit_cleanly() -> None:
    slots = asyncio.Semaphore(4)

    async def run_one() -> int:
        async with slots:
            quiet = asyncio.subprocess.DEVNULL
            args = command_line("validate", EXAMPLE)
            process = await asyncio.create_subprocess_exec(*args, cwd=ROOT, stdout=quiet, stderr=quiet)
            async with asyncio.timeout(SECONDS):
                return await process.wait()

    assert await asyncio.gather(*(run_one() for _ in range(MANY))) == [0] * MANY
