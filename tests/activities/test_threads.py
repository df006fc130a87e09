"""Plain functions in threads: they hold up nothing, and one whose attempt has ended changes nothing."""

import asyncio
import logging
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.registry import ActionContext, ActionFailed, action
from activities.resources import Resources
from activities.runtime import run_action
from activities.threads import ThreadPool
from orchestrator.settings import Settings
from tests.activities.conftest import make_environment

NUMBER: ContextVar[int] = ContextVar("NUMBER", default=0)
SECONDS = 60


def wait_for(event: threading.Event) -> str:
    assert event.wait(SECONDS)
    return "late"


async def run(function: Any, environment: ActivityEnvironment | None = None, **parameters: Any) -> Any:
    argument = {"parameters": parameters, "context": {"node_id": "n"}}
    spec = function.__orchestrator_action__
    return await (environment or make_environment()).run(run_action, spec, argument, Resources(Settings()))


async def test_a_function_runs_in_a_thread_with_the_context_of_its_caller() -> None:
    NUMBER.set(7)

    name, number = await ThreadPool(1).call("it", lambda: (threading.current_thread().name, NUMBER.get()))

    assert (name, number) == ("action it", 7)


async def test_threads_are_limited() -> None:
    pool, gate, running = ThreadPool(2), threading.Event(), []

    def work() -> int:
        running.append(1)
        most.append(len(running))
        wait_for(gate)
        running.pop()
        return 1

    most: list[int] = []
    calls = [asyncio.create_task(pool.call("it", work)) for _ in range(5)]
    while len(most) < 2:
        await asyncio.sleep(0.01)
    gate.set()

    assert await asyncio.gather(*calls) == [1] * 5
    assert max(most) == 2


async def test_a_cancelled_call_ends_at_once_and_its_result_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    pool, gate, begun = ThreadPool(1), threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        return wait_for(gate)

    call = asyncio.create_task(pool.call("it", work))
    await asyncio.to_thread(begun.wait, SECONDS)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert not gate.is_set(), "the function is running"
    waiting = asyncio.create_task(pool.call("next", lambda: "next"))
    with caplog.at_level(logging.WARNING):
        gate.set()
        assert await waiting == "next", "the thread was free again"
    assert "it returned after its attempt had ended: its result is dropped" in caplog.text


async def test_a_call_that_waits_for_a_thread_never_begins_once_cancelled() -> None:
    pool, gate, began = ThreadPool(1), threading.Event(), []
    first = asyncio.create_task(pool.call("it", lambda: wait_for(gate)))
    second = asyncio.create_task(pool.call("it", lambda: began.append(1)))
    await asyncio.sleep(0)
    second.cancel()
    gate.set()

    assert await first == "late"
    with pytest.raises(asyncio.CancelledError):
        await second
    assert began == []


@pytest.mark.parametrize(
    ("raised", "caught", "message"),
    [
        (ValueError("bad"), ValueError, "bad"),
        (SystemExit(3), RuntimeError, "SystemExit: 3"),
        (KeyboardInterrupt(), RuntimeError, "KeyboardInterrupt"),
        (StopIteration(), RuntimeError, "StopIteration"),
    ],
    ids=["bad value", "exit", "interrupt", "end of an iterator"],
)
async def test_what_a_function_raises_is_raised(raised: BaseException, caught: type[Exception], message: str) -> None:
    def work() -> None:
        raise raised

    with pytest.raises(caught, match=message):
        await ThreadPool(1).call("it", work)


@action("test.plain")
def plain(number: int, context: ActionContext) -> int:
    """Double a number."""
    context.warn(f"on {threading.current_thread().name}")
    if number < 0:
        raise ActionFailed("negative", error_type="validation_error", recoverable=False)
    return 2 * number


async def test_a_plain_action_is_validated_and_its_result_is_recorded() -> None:
    result = await run(plain, number="4")

    assert result == {"$attempt": 1, "result": {"result": 8}, "$warnings": ["on action test.plain"]}
    with pytest.raises(ApplicationError, match="negative"):
        await run(plain, number=-1)
    with pytest.raises(ApplicationError, match="number"):
        await run(plain, number="many")


GATE, BEGUN, SEEN = threading.Event(), threading.Event(), list[bool]()


@action("test.stubborn")
def stubborn(context: ActionContext) -> None:
    """Wait, whatever happens."""
    context.heartbeat("working")
    BEGUN.set()
    wait_for(GATE)
    SEEN.append(context.cancelled)


async def test_a_cancelled_action_ends_while_its_function_runs() -> None:
    environment = make_environment()
    heartbeats: list[Any] = []
    environment.on_heartbeat = lambda *details: heartbeats.append(details)
    attempt = asyncio.create_task(run(stubborn, environment))
    await asyncio.to_thread(BEGUN.wait, SECONDS)
    environment.cancel()

    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert SEEN == []
    GATE.set()
    while not SEEN:
        await asyncio.sleep(0.01)
    assert SEEN == [True]
    assert ("working",) in heartbeats
