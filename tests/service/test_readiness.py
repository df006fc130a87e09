"""Readiness is answered in time, however slow its dependencies are."""

import asyncio
import time

import pytest

from orchestrator.errors import ServerUnavailable
from orchestrator.service import readiness as module
from orchestrator.service.readiness import Readiness


async def pass_check() -> None:
    """Answer."""


async def fail_check() -> None:
    raise ServerUnavailable


async def break_check() -> None:
    raise ValueError("nobody expects this")


async def hang() -> None:
    """Stay silent, and also take long to be cancelled."""
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(60)


async def test_a_system_that_does_not_answer_is_not_waited_for() -> None:
    """`/readyz` hung without limit while PostgreSQL was stopped."""
    readiness = Readiness({"temporal": fail_check, "database": hang, "disk": pass_check, "new": break_check}, 0.1)
    before = time.monotonic()

    outcomes = await asyncio.gather(readiness.check(), readiness.check())

    expected = {"temporal": "server_unavailable", "database": "timeout", "disk": "ok", "new": "internal"}
    assert outcomes == [expected, expected]
    assert time.monotonic() - before < 30


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


async def test_strangers_cause_one_check_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, checks = Clock(), 0
    monkeypatch.setattr(module, "time", clock)

    async def count_check() -> None:
        nonlocal checks
        checks += 1

    readiness = Readiness({"database": count_check})
    counts = []
    for clock.now in (100.0, 100.9, 101.1, 102.0, 102.2):
        for _ in range(20):
            await readiness.check()
        counts.append(checks)

    assert counts == [1, 1, 2, 2, 3]
