"""Calls in other processes end at their limits."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from anyio import BrokenWorkerProcess, to_process

from activities import load_builtin_registry
from orchestrator.service import process_pool
from orchestrator.service.plans import check_to_start
from orchestrator.service.process_pool import MEMORY_BYTES, ROOT, Busy, ProcessPool, TooCostly
from tests.temporal.world import make_definition

pytestmark = pytest.mark.process

ENDLESS = range(10**15)


async def test_a_call_that_takes_too_long_is_stopped() -> None:
    """A schema of 1.6 kB once held the event loop for minutes: no thread can be stopped, a process can."""
    pool = ProcessPool(1, cpu_seconds=1)

    with pytest.raises(TooCostly):
        await pool.call("acme", sum, ENDLESS)

    assert await pool.call("acme", sum, [1, 2]) == 3


async def test_an_idle_process_that_was_killed_is_replaced() -> None:
    """The next call was refused as too costly."""
    pool = ProcessPool(1, cpu_seconds=600)
    os.kill(await pool.call("acme", os.getpid), signal.SIGKILL)

    assert await pool.call("acme", sum, [1, 2]) == 3


async def test_several_processes_that_have_died_unseen_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy event loop learns late that the system has killed its idle processes."""
    real, dead = to_process.run_sync, 3

    async def run_sync(*args: Any, **more: Any) -> bytes:
        nonlocal dead
        if dead:
            dead -= 1
            raise BrokenWorkerProcess
        return await real(*args, **more)

    monkeypatch.setattr(to_process, "run_sync", run_sync)

    assert await ProcessPool(3, cpu_seconds=600).call("acme", sum, [1, 2]) == 3


OWN_ACTIONS = """
import functools, os, time
from orchestrator.actions import action
while os.environ.get("SLOW") and time.process_time() < 4:
    pass
def declare(name):
    @action(name)
    def greet(who: str) -> dict[str, str]:
        return {"text": f"Hello {who}"}
    return greet
hello, goodbye = declare("own.hello"), declare("own.goodbye")
@functools.lru_cache
@action("own.cached")
def cached(who: str) -> str:
    return who
"""
CHECK = """
import asyncio, os
from activities.registry import build_registry
from orchestrator.planner.planner import check
from orchestrator.service import process_pool
if __name__ == "__main__":
    import own
    actions = ["own.hello", "own.goodbye", "own.cached"]
    nodes = [{"id": name[4:], "type": "action", "action": name, "config": {"extra": 1}} for name in actions]
    os.environ["SLOW"] = "1"  # the processes are slow to import it: that is not the definition's cost
    process_pool.WALL_SECONDS = 300.0  # where the machine is busy, seconds of processor time take a minute
    pool = process_pool.ProcessPool(1, cpu_seconds=1)
    call = pool.call("acme", check, {"nodes": nodes}, registry=build_registry([own]))
    print(*(problem.path for problem in asyncio.run(call).problems if problem.path.endswith("extra")))
"""


@pytest.mark.slow
def test_own_actions_are_checked_in_a_process(tmp_path: Path) -> None:
    """The model of plain arguments belongs to no module and could not be sent: each check answered 500."""
    (tmp_path / "own.py").write_text(OWN_ACTIONS)
    (tmp_path / "check.py").write_text(CHECK)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}

    done = subprocess.run(
        [sys.executable, tmp_path / "check.py"], env=env, capture_output=True, text=True, timeout=300, check=False
    )

    assert done.stdout == "/nodes/0/config/extra /nodes/1/config/extra /nodes/2/config/extra\n", done.stderr


async def test_a_call_that_takes_too_much_memory_is_stopped() -> None:
    with pytest.raises(TooCostly):
        await ProcessPool(1).call("acme", bytes, 2 * MEMORY_BYTES)


async def test_a_call_that_a_busy_machine_delays_is_not_too_costly(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may succeed later: an event that was refused for its cost never started its run."""
    monkeypatch.setattr(process_pool, "WALL_SECONDS", 1.0)

    with pytest.raises(Busy):
        await ProcessPool(1).call("acme", time.sleep, 60)


def test_a_hard_limit_of_the_system_is_kept() -> None:
    """Under `ulimit -t` each call raised ValueError: a process may lower its hard limit only."""
    code = (
        "import pickle, resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000));"
        "from orchestrator.service.process_pool import _run;"
        "print(pickle.loads(_run(pickle.dumps((resource.getrlimit, (resource.RLIMIT_CPU,), {})), int(sys.argv[1]))))"
    )

    def run(cpu_seconds: int) -> str:
        command = [sys.executable, "-c", code, str(cpu_seconds)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert run(5_000) == "(1000, 1000)\n"
    assert run(5).endswith(", 1000)\n")


async def test_a_costly_call_of_one_customer_keeps_no_other_waiting() -> None:
    pool = ProcessPool(2, cpu_seconds=600)
    costly = [asyncio.create_task(pool.call("acme", sum, ENDLESS)) for _ in range(3)]
    await asyncio.sleep(0)

    assert await pool.call("globex", sum, [1, 2]) == 3
    assert [task.done() for task in costly] == [False] * 3

    for task in costly:
        task.cancel()
    await asyncio.gather(*costly, return_exceptions=True)


async def test_a_call_costs_the_event_loop_little() -> None:
    """`validate` with 90,000 unknown keys once took 10 s."""
    definition = make_definition({"a": {"type": "set", "config": {"x": 1}}}, "trigger -> a")
    unknown = {f"unknown {number}": 1 for number in range(40_000)}
    pool, registry = ProcessPool(1), load_builtin_registry()
    await pool.call("acme", check_to_start, definition, registry=registry)
    before = time.thread_time()

    verdict = await pool.call("acme", check_to_start, definition | unknown, registry=registry)

    assert len(verdict.problems) == 1_001
    assert time.thread_time() - before < 0.5
