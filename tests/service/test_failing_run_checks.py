"""Which failing runs are ended: those that a worker fails again, whatever becomes of the others."""

import logging
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import ServerUnavailable
from orchestrator.model.run import ErrorDocument
from orchestrator.service import failing_runs
from orchestrator.service.failing_runs import FailingRuns
from orchestrator.store.leases import Leases
from orchestrator.temporal.client.failing_tasks import Execution, ReasonToEnd, compute_deadline
from orchestrator.temporal.client.runs import Runs

FIRST, SECOND = Execution("first", "1"), Execution("second", "2")
STARTED = datetime(2026, 1, 31, tzinfo=UTC)


class World:
    """The failing executions of a Temporal server, and what became of them."""

    client = None

    def __init__(self) -> None:
        self.errors: dict[Execution, Exception] = {}
        """What the check of an execution raises."""
        self.attempt = 7
        """Number of the pending attempt at the workflow task of each execution."""
        self.ended: list[Execution] = []

    async def list_failing(self, _: Any) -> list[Execution]:
        return [FIRST, SECOND]

    async def read_deadline(self, _: Any, execution: Execution) -> None:
        if execution in self.errors:
            raise self.errors[execution]

    async def find_reason_to_end(self, _: Any, execution: Execution, deadline: Any) -> Any:
        return ReasonToEnd(ErrorDocument(message="cancelled", error_type="cancelled", timestamp=STARTED), self.attempt)

    async def end_failing(self, _: Any, execution: Execution, reason: Any) -> None:
        self.ended.append(execution)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    for name in ("list_failing", "read_deadline", "find_reason_to_end", "end_failing"):
        monkeypatch.setattr(failing_runs, name, getattr(world, name))
    return world


def watch_runs(world: World) -> FailingRuns:
    return FailingRuns(cast(Runs, world), cast(Leases, None), seconds=0)


async def check_twice(world: World) -> None:
    """Find that the runs have to end, and look again after a worker has failed them again."""
    watch = watch_runs(world)
    await watch._work()
    world.attempt += 1
    await watch._work()


async def test_an_execution_that_cannot_be_checked_is_logged_and_the_next_one_is_ended(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.errors[FIRST] = OverflowError("date value out of range")
    with caplog.at_level(logging.ERROR, "orchestrator.service.failing_runs"):
        await check_twice(world)

    assert world.ended == [SECOND]
    assert "run first cannot be checked" in caplog.text


async def test_an_execution_that_has_ended_meanwhile_is_passed_over(world: World) -> None:
    world.errors[FIRST] = RPCError("it is gone", RPCStatusCode.NOT_FOUND, b"")
    await check_twice(world)

    assert world.ended == [SECOND]


async def test_a_server_that_is_unavailable_ends_the_round(world: World) -> None:
    world.errors[FIRST] = RPCError("it is restarting", RPCStatusCode.UNAVAILABLE, b"")
    with pytest.raises(ServerUnavailable):
        await check_twice(world)

    assert world.ended == []


async def test_a_run_is_not_ended_while_no_worker_tries_it(world: World) -> None:
    """In an outage of all workers, healthy runs that had failed once were terminated without their compensations."""
    watch = watch_runs(world)
    for _ in range(3):
        await watch._work()
    ended_in_the_outage = list(world.ended)
    world.attempt += 1
    await watch._work()

    assert ended_in_the_outage == []
    assert world.ended == [FIRST, SECOND]


async def test_a_run_whose_worker_makes_progress_has_its_time_again(world: World) -> None:
    watch = watch_runs(world)
    for attempt, ended in ((7, []), (2, []), (2, []), (3, [FIRST, SECOND])):
        world.attempt = attempt
        await watch._work()

        assert world.ended == ended


@pytest.mark.parametrize(
    ("request_document", "deadline"),
    [
        ({"plan": {"timeout_seconds": 60}}, datetime(2026, 1, 31, 0, 1, tzinfo=UTC)),
        ({"plan": {"timeout_seconds": 60}, "state": {"started_at": "2026-01-30T00:00:00Z"}},
         datetime(2026, 1, 30, 0, 1, tzinfo=UTC)),
        ({"plan": {"timeout_seconds": 1e12}}, None),
        ({"plan": {"timeout_seconds": float("nan")}}, None),
        ({"plan": {"timeout_seconds": 60}, "state": {"started_at": "yesterday"}}, None),
        ({"plan": {}}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_a_limit_that_is_not_a_time_is_no_deadline(request_document: Any, deadline: datetime | None) -> None:
    assert compute_deadline(request_document, STARTED) == deadline
