"""The bounds of a segment, and what it does with actions that end when it is over. No server."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.results import ActionAnswer
from orchestrator.interpreter.effects import ActRequest
from orchestrator.interpreter.segments import SegmentCall, SegmentClock
from orchestrator.model.plan import Retry
from orchestrator.temporal.segments import segment_run
from orchestrator.temporal.segments.attempts import CallAction, find_pause
from orchestrator.temporal.segments.segment_run import SegmentRun, Unsent

pytestmark = pytest.mark.usefixtures("long_segments")
EMPTY = ActionAnswer.from_value({})


def build_text(length: int) -> ActionAnswer:
    return ActionAnswer.from_value({"text": "x" * length})


def make_calls(*names: str, **more: Any) -> dict[str, SegmentCall]:
    return {name: SegmentCall(make_request(name, **more)) for name in names}


def make_request(name: str, **more: Any) -> ActRequest:
    fields = {"retry": Retry(), "timeout_seconds": 5.0, **more}
    return ActRequest("work", {}, {}, name, name, name, f"key of {name}", fused=True, **fields)


def make_run(calls: dict[str, SegmentCall], call_action: CallAction, unsent: Unsent | None = None) -> SegmentRun:
    clock = SegmentClock(datetime(2026, 1, 1, tzinfo=UTC), "seed")
    return SegmentRun(clock, calls, call_action, {} if unsent is None else unsent)


def list_ended(run: SegmentRun) -> list[str]:
    return sorted(step.id for step in run.steps)


async def test_at_most_so_many_actions_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_run, "MAX_AT_ONCE", 3)
    running = most = 0

    async def call_action(request: ActRequest, number: int) -> ActionAnswer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return EMPTY

    run = make_run(make_calls(*"abcdefgh"), call_action)
    await run.run(lambda: None)

    assert (list_ended(run), most) == (list("abcdefgh"), 3)


@pytest.mark.parametrize(("bound", "value"), [("MAX_STEPS", 2), ("MAX_BYTES", 60), ("MAX_SECONDS", 0.0)])
async def test_a_bound_leaves_the_rest_to_the_next_segment(
    monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    monkeypatch.setattr(segment_run, "MAX_AT_ONCE", 1)
    monkeypatch.setattr(segment_run, bound, value)

    run = make_run(make_calls(*"abcd"), answer_with(lambda: build_text(10)))
    await run.run(lambda: None)

    # However slow a worker is, the first one runs: else the run would never go on.
    assert len(run.steps) == (1 if bound == "MAX_SECONDS" else 2)


def answer_with(build: Callable[[], ActionAnswer]) -> CallAction:
    async def call_action(request: ActRequest, number: int) -> ActionAnswer:
        return build()

    return call_action


async def test_a_result_without_space_is_sent_by_the_next_segment_and_its_action_not_called_again() -> None:
    calls: list[str] = []

    async def call_action(request: ActRequest, number: int) -> ActionAnswer:
        calls.append(request.step_id)
        return build_text(1_200_000)

    unsent: Unsent = {}
    first = make_run(make_calls("a", "b"), call_action, unsent)
    await first.run(lambda: None)
    second = make_run(make_calls("b"), call_action, unsent)
    await second.run(lambda: None)

    assert (list_ended(first), list_ended(second), sorted(calls), unsent) == (["a"], ["b"], ["a", "b"], {})


async def test_warnings_that_fit_into_no_segment_are_left_out() -> None:
    """The step was put back by each segment for the next one, and the run never went on."""
    answer = replace(build_text(1_790_000), warnings=("w" * 150_000,))
    run = make_run(make_calls("a"), answer_with(lambda: answer))
    await run.run(lambda: None)

    assert [step.warnings for step in run.steps] == [("the warnings of the action are left out: they are too large",)]


async def test_a_segment_that_is_cancelled_records_what_has_ended() -> None:
    started = asyncio.Event()

    async def call_action(request: ActRequest, number: int) -> ActionAnswer:
        if request.step_id == "slow":
            started.set()
            await asyncio.Event().wait()
        return EMPTY

    run = make_run(make_calls("quick", "slow"), call_action)
    task = asyncio.create_task(run.run(lambda: None))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert list_ended(run) == ["quick"]


async def test_an_action_that_ends_as_its_segment_is_cancelled_is_recorded() -> None:
    started = asyncio.Event()

    async def call_action(request: ActRequest, number: int) -> ActionAnswer:
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return EMPTY

    run = make_run(make_calls("stubborn"), call_action)
    task = asyncio.create_task(run.run(lambda: None))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert list_ended(run) == ["stubborn"]


async def test_an_action_that_runs_alone_needs_no_task() -> None:
    tasks: set[asyncio.Task[Any] | None] = set()

    async def call_action(request: ActRequest, number: int) -> ActionAnswer:
        tasks.add(asyncio.current_task())
        return EMPTY

    await make_run(make_calls("a"), call_action).run(lambda: None)

    assert tasks == {asyncio.current_task()}


async def test_what_is_wrong_with_the_worker_fails_the_segment() -> None:
    def fail() -> ActionAnswer:
        raise KeyError("no such action")

    with pytest.raises(KeyError):
        await make_run(make_calls("a"), answer_with(fail)).run(lambda: None)


def test_pauses_grow_up_to_the_longest() -> None:
    retry = Retry(maximum_attempts=2_000, initial_interval=1, backoff_coefficient=2, maximum_interval=60)
    error = ApplicationError("busy", type="action_error")

    assert [find_pause(error, retry, number) for number in (1, 2, 7, 1_999, 2_000)] == [1, 2, 60, 60, None]


def test_an_error_that_is_not_retried_has_no_pause() -> None:
    retry = Retry(retry_on=("timeout_error",))

    assert find_pause(ApplicationError("busy", type="action_error"), retry, 1) is None
    assert find_pause(ApplicationError("late", type="timeout_error", non_retryable=True), retry, 1) is None
