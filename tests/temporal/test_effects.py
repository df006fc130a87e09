"""Events and signals that arrive while what they are for is being cancelled, or has not started."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from temporalio import workflow
from temporalio.converter import DefaultPayloadConverter

from orchestrator.interpreter.effects import BranchRequest, EventFilter, ReceivedEvent, Resolution
from orchestrator.interpreter.inbox import Inbox
from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo
from orchestrator.temporal.workflow.children import Child, Children
from orchestrator.temporal.workflow.effects import TemporalEffects
from orchestrator.temporal.workflow.task_budget import TaskBudget
from tests.temporal.world import make_plan

INFO = RunInfo(id="run")


def make_waiting_plan() -> Plan:
    return make_plan({"a": {"type": "wait", "config": {"event": "go"}}}, "trigger -> a", customer="c")


async def test_an_event_of_a_cancelled_waiter_wakes_the_next_one() -> None:
    """It was put back unread, and the other waiter slept until the next event of that name."""
    plan = make_waiting_plan()
    effects = TemporalEffects(plan, INFO, Inbox(), paused=False)
    first = asyncio.create_task(effects.receive(EventFilter(("go",)), None, "first", (), 1))
    second = asyncio.create_task(effects.receive(EventFilter(("go",)), None, "second", (), 2))
    await asyncio.sleep(0)

    await effects.deliver("go", 7)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    received = await asyncio.wait_for(second, 60)

    assert first.cancelled()
    assert received == ReceivedEvent("go", 7)


async def test_what_arrives_while_a_branch_waits_for_the_task_budget_reaches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The input was encoded and the branch not registered yet: an event or a pause of that moment was lost."""

    class BusyBudget(TaskBudget):
        async def take(self, *args: Any) -> None:
            await children.signal_all("pause", {})
            await children.deliver("go", {"name": "go"})

    class Started(Children):
        backlog: Any = None

        async def _run_child(self, child: Child, *_: Any, **__: Any) -> dict[str, Any]:
            self.backlog = list(child.backlog)
            return {}

    monkeypatch.setattr(workflow, "payload_converter", DefaultPayloadConverter)
    plan = make_waiting_plan()
    children = Started(plan, INFO, Inbox(), BusyBudget(), lambda: None)
    request = BranchRequest(plan, "fork[0]", {}, ("go",), (), "fork [0]", "fork")
    await children.branch(request, paused=False)

    assert children.backlog == [("pause", {}), ("event", {"name": "go"})]


async def take_turns() -> None:
    """Let the other tasks go on as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_event_that_comes_before_the_waits_are_open_again_reaches_each_of_them() -> None:
    """Of a wait in a branch and one outside, the second found the event read by the first and waited for ever."""
    effects = TemporalEffects(make_waiting_plan(), INFO, Inbox(), paused=False, resumed=True)
    outside = asyncio.create_task(effects.receive(EventFilter(("go",)), None, "outside", (), 1))
    inside = asyncio.create_task(effects.receive(EventFilter(("go",)), None, "inside", ("fork[0]",), 2))
    await asyncio.sleep(0)

    await effects.deliver("go", 7)
    effects.lineup.open()
    await take_turns()
    await effects.deliver_early()
    received = await asyncio.wait_for(asyncio.gather(outside, inside), 60)

    assert received == [ReceivedEvent("go", 7), ReceivedEvent("go", 7)]


async def test_an_event_that_comes_when_a_run_is_resumed_wins_over_a_timeout_that_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def wait_condition(condition: Callable[[], bool], **_: Any) -> None:
        while not condition():
            await asyncio.sleep(0)

    monkeypatch.setattr(workflow, "wait_condition", wait_condition)
    effects = TemporalEffects(make_waiting_plan(), INFO, Inbox(), paused=False, resumed=True)
    late = asyncio.create_task(effects.receive(EventFilter(("go",)), 0.0, "late", (), 1))
    await asyncio.sleep(0)

    await effects.deliver("go", 7)
    effects.lineup.open()
    await take_turns()
    await effects.deliver_early()

    assert await asyncio.wait_for(late, 60) == ReceivedEvent("go", 7)


async def test_a_resolution_that_comes_first_waits_until_all_paths_have_taken_their_places() -> None:
    """The step went on at once, and its branch could end and cancel others before they had begun again."""
    effects = TemporalEffects(make_waiting_plan(), INFO, Inbox(), paused=False, resumed=True)
    effects.open_decision("a", "a").resolution.set_result(Resolution("skip"))
    decision = asyncio.create_task(effects.decide("a", "a"))
    await take_turns()
    early = decision.done()
    effects.lineup.open()

    assert (await asyncio.wait_for(decision, 60)).action == "skip"
    assert not early
