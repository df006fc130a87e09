"""Runs of what is most delicate, to be recorded where a history is short: `SUGGESTED_AT` events.

A case says what is started, what is done to it meanwhile, and how it ends. `record_histories` records them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker._workflow_instance import _WorkflowLogicFlag

from orchestrator.errors import OperationRefused
from orchestrator.interpreter.migration import MigrationRequest
from orchestrator.model.plan import Plan
from orchestrator.model.run import ATTEMPT_KEY, WARNINGS_KEY, Run
from orchestrator.reruns.restart import Changes
from orchestrator.reruns.targets import Target
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.client.visibility import STATUSES
from orchestrator.temporal.segments.activity import SegmentActivity
from orchestrator.temporal.worker import set_deadlock_timeout
from orchestrator.temporal.workflow.run_workflow import RunWorkflow
from tests.golden import limit_batches, read_definition
from tests.temporal.answers import Script
from tests.temporal.golden_runs import make_slug
from tests.temporal.test_failing_tasks import BrokenWorkflow
from tests.temporal.world import HEARTBEAT_THROTTLE, NONE, QUEUE, World, add_heartbeats, make_plan, wait_until

SUGGESTED_AT = 15
"""Events of history after which the server suggests to continue as new; its own figure is 4,096."""
BATCH = _WorkflowLogicFlag.PROCESS_WORKFLOW_ACTIVATION_JOBS_AS_SINGLE_BATCH
"""The SDK's flag for handling all events of a workflow task at once: it changes which of two the flow sees first."""


@dataclass
class Play:
    """A run in progress, and what can be done to it."""

    world: World
    runs: Runs
    script: Script
    plan: Plan
    run_id: str
    first_execution: str

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.world.client.get_workflow_handle(self.run_id)

    async def has_continued(self, times: int = 1) -> None:
        """Wait until the run has continued as new."""
        seen = {self.first_execution}

        async def are_enough() -> bool:
            seen.add((await self.handle.describe()).run_id)
            return len(seen) > times

        await wait_until(are_enough)

    async def calls(self, *nodes: str) -> None:
        """Wait until these nodes have called their actions."""

        async def have_called() -> bool:
            return set(nodes) <= set(self.script.list_nodes())

        await wait_until(have_called)

    async def waits(self, kind: str) -> Run:
        return await self.world.wait_for_waiting(self.run_id, kind)

    async def has_recorded(self, event: str, count: int = 1, of: str = "") -> None:
        """Wait for an event in the history of the run, or of one of its branches; needs no worker."""
        handle = self.world.client.get_workflow_handle(self.run_id + of)

        async def is_recorded() -> bool:
            events = json.loads((await handle.fetch_history()).to_json())["events"]
            return sum(each["eventType"] == f"EVENT_TYPE_{event}" for each in events) >= count

        await wait_until(is_recorded)

    async def cancel(self) -> None:
        await self.runs.cancel(self.run_id)

    async def send(self, name: str, payload: Any = None) -> None:
        await self.runs.send_event(self.run_id, name, payload)

    async def move(
        self,
        nodes: Mapping[str, Any],
        *edges: str,
        renamed: Mapping[str, str] | None = None,
        version: int = 2,
        **more: Any,
    ) -> None:
        """Move the run to another version, and wait until it has moved."""
        plan = make_plan(nodes, *edges, customer=self.plan.customer_id).model_copy(update={"version": version})
        execution = (await self.handle.describe()).run_id
        await self.runs.migrate(self.run_id, MigrationRequest(plan, renamed or {}), **more)

        async def has_moved() -> bool:
            return (await self.handle.describe()).run_id != execution

        await wait_until(has_moved)

    async def resolve(self, node_id: str, action: str, **more: Any) -> None:
        """Resolve a step as soon as it waits for it."""

        async def is_resolved() -> bool:
            try:
                await self.runs.resolve(self.run_id, node_id, action, **more)
            except OperationRefused:
                return False
            return True

        await wait_until(is_resolved)

    async def repair(self, kind: str, **request: Any) -> None:
        """Repair the run as soon as it takes that."""

        async def is_repaired() -> bool:
            try:
                await self.runs.repair(self.run_id, {"kind": kind, **request}, by="Ada")
            except OperationRefused:
                return False
            return True

        await wait_until(is_repaired)


Operate = Callable[[Play], Awaitable[None]]


@dataclass(frozen=True)
class Delicate:
    """One run, and what is expected of its recording."""

    name: str
    nodes: Mapping[str, Any]
    edges: tuple[str, ...]
    status: str = "completed"
    executions: int = 1
    """How many executions the run has at least."""
    events: tuple[str, ...] = ()
    """Types of events that occur in it."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Other parts of the definition."""
    input: Any = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[str, ...] = ()
    """Nodes whose action waits until its gate is opened."""
    stubborn: tuple[str, ...] = ()
    seconds: float = 0.0
    """How long each action takes."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the plan to change."""
    early: Operate | None = None
    """What happens before a worker runs."""
    operate: Operate | None = None
    together: Operate | None = None
    """What happens while no worker runs: it arrives in one workflow task."""
    batch: bool = False
    """The worker has the flag `BATCH`."""
    start: Mapping[str, Any] = field(default_factory=dict)
    """How it is started."""
    rerun: Target | None = None
    """Where the run is begun again once it has ended; `status` is that of the second one."""
    iterations: int | None = None
    """Of one batch of its wide loops."""
    broken_first: bool = False
    """The worker of an earlier release fails the first workflow task."""
    lost_first: bool = False
    """A worker that dies takes the first workflow task with it."""


NOTE = {"type": "action", "action": "work"}
LOCAL = {**NOTE, "execution": "local"}
FUSED = {"settings": {"execution": "local"}}
APART = {"settings": {"fuse": False}}
TOLD = {**NOTE, "config": {"id": "{{ uuid() }}", "at": "{{ now() }}"}}
BROKEN = {"error": {"message": "no", "recoverable": False}}
LATE = {"error": {"message": "no answer", "error_type": "timeout_error", "recoverable": False}}
LOCKED = {"error": {"message": "locked", "error_type": "action_error"}}
ONCE = {"maximum_attempts": 1}
APPROVAL = {"title": "To be approved", "assignees": ["ann"]}
REMINDER = {"every_seconds": 1, "at_most": 2, "action": "remind", "config": {"to": "{{ assignee }}"}}
NAP = {"type": "delay", "delay_seconds": 600}
FAIL = {"type": "end", "config": {"outcome": "failed", "message": "undo it all"}}
SHORT_NAP = read_definition(
    {"nodes": {"nap": {**NAP, "delay_seconds": 4}}, "edges": ["trigger -> nap"]}, "short nap", "short nap"
)
SLEEPER = read_definition({"nodes": {"nap": NAP}, "edges": ["trigger -> nap"]}, "sleeper", "sleeper")


def make_loop(collection: Any, item: str, *body: str, **config: Any) -> dict[str, Any]:
    return {"type": "loop", "collection": collection, "item_variable": item, "body": list(body), "config": config}


def make_fork(*branches: list[str], mode: str = "inline", **config: Any) -> dict[str, Any]:
    return {"type": "parallel", "branches": list(branches), "config": {"mode": mode, **config}}


def make_undoable(**config: Any) -> dict[str, Any]:
    return {**NOTE, "compensate": {"action": "undo", "config": config}}


def make_wait(event: str, **config: Any) -> dict[str, Any]:
    return {"type": "wait", "config": {"event": event, **config}}


def make_set(**values: Any) -> dict[str, Any]:
    return {"type": "set", "config": values}


def make_condition(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"type": "condition", "condition": {"field": name, "operator": operator, "value": value}}


async def send_parts(play: Play) -> None:
    for part in range(5):
        await play.send("part", {"part": part})
    await play.send("unread", {"nobody": "waits for this"})


async def cancel_continued(play: Play) -> None:
    await play.has_continued()
    await play.cancel()


async def pause_continued(play: Play) -> None:
    await play.has_continued()
    await play.runs.pause(play.run_id)
    await play.waits("paused")
    await play.runs.resume(play.run_id)


async def repair_continued(play: Play) -> None:
    await play.calls("note")
    await play.runs.pause(play.run_id, "to repair it", by="Ada")
    await play.repair("set_parameters", node_id="late", parameters={"id": "{{ n }}"}, reason="moved")
    await play.repair("set_parameters", node_id="note", path="fork[0]", parameters={"by": "Ada"})
    await play.repair("skip_node", node_id="skipped")
    await play.repair("set_result", step_id="given", result={"id": 1})
    await play.repair("set_variables", variables={"n": 7})
    await play.runs.resume(play.run_id, by="Ada")
    await play.has_continued()
    await play.repair("skip_wait", node_id="nap")


CONTINUED: tuple[Delicate, ...] = (
    Delicate(
        "continued: what an operator has decided on steps that come later",
        {
            "fork": make_fork(["each"], ["nap"]),
            "each": make_loop(12, "i", "note"),
            "note": NOTE,
            "nap": NAP,
            "after": make_fork(["late"], ["skipped"], mode="child"),
            "late": {**NOTE, "config": {"id": 0}},
            "skipped": {"type": "action", "action": "broken"},
            "given": {"type": "action", "action": "broken"},
        },
        ("trigger -> fork", "fork -> after", "after -> given"),
        executions=2,
        more={"variables": {"n": 0}},
        answers={"broken": BROKEN},
        operate=repair_continued,
    ),
    Delicate(
        "continued: a loop, with early events",
        {"each": make_loop(8, "n", "note", collect="{{ n }}"), "note": NOTE, "a": make_wait("part")},
        ("trigger -> each", "each -> a"),
        executions=2,
        start={"trigger": {"by": "a test"}, "trigger_type": "webhook"},
        operate=send_parts,
    ),
    Delicate(
        "continued: a loop in a loop",
        {
            "before": make_set(row="hidden"),
            "rows": make_loop(3, "row", "cells", collect="{{ steps.cells.output.items }}"),
            "cells": make_loop(["a", "b", "c"], "cell", "note", collect="{{ row }}-{{ cell }}"),
            "note": {**NOTE, "outputs": ["node"], "config": {"at": "{{ row }}{{ cell }}"}},
            "count": make_set(seen="{{ seen }}{{ row }}{{ cell }} "),
            "after": make_set(row_after="{{ row }}"),
        },
        ("trigger -> before", "before -> rows", "note -> count", "rows -> after"),
        executions=3,
        more={"variables": {"seen": "", "row": "first"}},
        input={"given": 1},
    ),
    Delicate(
        "continued: a loop whose items fail, and whose body is left",
        {
            "each": make_loop(8, "n", "check", on_item_error="continue", collect="{{ n }}"),
            "check": make_condition("n", "in", [1, 4]),
            "bad": {"type": "action", "action": "broken", "retry": ONCE},
            "good": {**NOTE, "outputs": ["nothing"]},
            "outside": NOTE,
        },
        ("trigger -> each", "check -true-> bad", "check -false-> good", "good -> outside", "each -> outside"),
        executions=2,
        answers={"broken": BROKEN},
    ),
    Delicate(
        "continued: a map",
        {
            "each": make_loop(10, "n", "check", max_concurrency=2, on_item_error="continue", collect="{{ n }}"),
            "check": make_condition("n", "in", [1, 4]),
            "bad": {"type": "action", "action": "broken", "retry": ONCE},
            "good": {**NOTE, "outputs": ["node"]},
            "outside": NOTE,
        },
        ("trigger -> each", "check -true-> bad", "check -false-> good", "good -> outside", "each -> outside"),
        executions=2,
        answers={"broken": BROKEN},
    ),
    Delicate(
        "continued: a map of loops, ended by one of its items",
        {
            "rows": make_loop(
                5,
                "row",
                "kind",
                max_concurrency=5,
                break_when={"field": "row", "operator": "equals", "value": 1},
                on_item_error="continue",
                collect="{{ row }}",
            ),
            "kind": {
                "type": "switch",
                "config": {"value": "{{ row }}", "cases": {"wait": 0, "set": 1, "fail": 3, "leave": 4}},
            },
            "ask": make_wait("go", timeout_seconds=3600),
            "quick": make_set(quick="{{ row }}"),
            "bad": {"type": "action", "action": "broken", "retry": ONCE},
            "left": make_set(left=True),
            "each": make_loop(8, "n", "note"),
            "note": {**NOTE, "outputs": ["node"]},
            "after": NOTE,
        },
        (
            *("trigger -> rows", "rows -> after", "left -> after"),
            *(
                "kind -wait-> ask",
                "kind -set-> quick",
                "kind -fail-> bad",
                "kind -leave-> left",
                "kind -default-> each",
            ),
        ),
        executions=2,
        answers={"broken": BROKEN},
        operate=lambda play: send_when_called(play, "note", "go"),
    ),
    Delicate(
        "continued: inline branches of which two have to end",
        {
            "fork": make_fork(["ask"], ["each"], ["sleep"], join=2),
            "ask": make_wait("go"),
            "each": make_loop(8, "n", "note"),
            "note": make_undoable(n="{{ n }}"),
            "sleep": NAP,
        },
        ("trigger -> fork",),
        executions=2,
        operate=lambda play: send_when_called(play, "note", "go"),
    ),
    Delicate(
        "continued: an event that one branch has read and another one has not",
        {
            "fork": make_fork(["ask"], ["each"], ["either"], ["mine"]),
            "ask": make_wait("go"),
            "each": make_loop(20, "n", "note"),
            "note": NOTE,
            "late": make_wait("go"),
            "either": {"type": "wait", "config": {"event": ["stop", "halt"], "timeout_seconds": 1}},
            "mine": make_wait("go", key="{{ 7 }}", timeout_seconds=1),
        },
        ("trigger -> fork", "each -> late"),
        executions=4,
        operate=lambda play: send_when_called(play, "note", "go", key="other"),
    ),
    Delicate(
        "continued: an approval with reminders, and an answer by link before its approval",
        {
            "fork": make_fork(["ask"], ["each"]),
            "ask": {"type": "wait", "config": {"timeout_seconds": 5, "approval": {**APPROVAL, "reminder": REMINDER}}},
            "each": make_loop(20, "n", "note"),
            "note": NOTE,
            "late": {"type": "wait", "config": {"approval": APPROVAL}},
        },
        ("trigger -> fork", "each -> late"),
        executions=3,
        seconds=0.2,
        operate=lambda play: send_when_called(
            play, "note", "late", payload={"approved": True}, by="ann", step_id="fork[1]/late"
        ),
    ),
    Delicate(
        "continued: a loop between two of its iterations",
        {
            "fork": make_fork(["poll"], ["each"]),
            "poll": make_loop(3, "n", "bad", interval_seconds=2, max_failures=3, collect="{{ n }}"),
            "bad": {"type": "action", "action": "broken", "retry": ONCE},
            "each": make_loop(20, "m", "note"),
            "note": NOTE,
        },
        ("trigger -> fork",),
        executions=2,
        answers={"broken": BROKEN},
    ),
    Delicate(
        "continued: items that fail and are undone",
        {
            "each": make_loop(6, "n", "note", on_item_error="continue", max_concurrency=2),
            "note": make_undoable(n="{{ n }}"),
            "check": make_condition("n", "in", [0, 2, 3]),
            "bad": {"type": "action", "action": "broken", "retry": ONCE},
        },
        ("trigger -> each", "note -> check", "check -true-> bad"),
        executions=2,
        answers={"broken": BROKEN},
    ),
    Delicate(
        "continued: a failed iteration that waits for an operator before it is undone",
        {
            "fork": make_fork(["once"], ["each"]),
            "once": {**make_loop(1, "n", "pay"), "on_error": "pause"},
            "pay": make_undoable(n="{{ n }}"),
            "bad": {"type": "action", "action": "broken", "retry": ONCE},
            "each": make_loop(20, "m", "note"),
            "note": NOTE,
        },
        ("trigger -> fork", "pay -> bad"),
        executions=3,
        answers={"broken": BROKEN},
        operate=lambda play: skip_continued(play),
    ),
    Delicate(
        "continued: inline branches with an open wait and an open delay",
        {
            "fork": make_fork(["ask"], ["sleep"], ["each"], ["quick"], ["bad"], on_branch_error="ignore"),
            "ask": make_wait("go", timeout_seconds=3600),
            "sleep": {"type": "delay", "delay_seconds": 4},
            "awake": make_undoable(n="sleep"),
            "each": make_loop(8, "n", "note", collect="{{ n }}"),
            "note": make_undoable(n="{{ n }}"),
            "quick": make_set(quick=True),
            "outside": NOTE,
            "bad": {"type": "action", "action": "broken", "retry": ONCE},
            "read": make_set(read="{{ steps.note.output }}{{ steps.quick.output }}"),
        },
        ("trigger -> fork", "sleep -> awake", "quick -> outside", "fork -> read", "read -> outside"),
        executions=2,
        answers={"broken": BROKEN},
        operate=lambda play: send_when_called(play, "note", "go"),
    ),
    Delicate(
        "continued: an operator decides in an inline branch",
        {
            "fork": make_fork(["door"], ["each"]),
            "door": {"type": "action", "action": "door", "on_error": "pause", "config": {"door": 1}, "retry": ONCE},
            "each": make_loop(12, "n", "note"),
            "note": NOTE,
        },
        ("trigger -> fork",),
        executions=2,
        answers={"door": [LOCKED, LOCKED, {"output": {"door": "{{ params.door }}"}}]},
        operate=lambda play: resolve_twice(play),
    ),
    Delicate(
        "continued: a cycle",
        {
            "poll": {"type": "action", "action": "poll", "outputs": ["done"]},
            "check": make_condition("done", "equals", True),
            "nap": {"type": "delay", "delay_seconds": 0.05},
        },
        ("trigger -> poll", "poll -> check", "check -false-> nap", "nap -> poll"),
        executions=2,
        answers={"poll": [{"output": {"done": False}}] * 6 + [{"output": {"done": True}}]},
    ),
    Delicate(
        "continued: a child branch, then undone",
        {
            "fork": make_fork(["each"], ["ask"], mode="child"),
            "each": make_loop(8, "n", "note", collect="{{ n }}"),
            "note": make_undoable(n="{{ n }}"),
            "ask": make_wait("go"),
            "use": make_set(all="{{ steps.each.output.items }}"),
            "stop": FAIL,
        },
        ("trigger -> fork", "fork -> use", "use -> stop"),
        status="failed",
        operate=lambda play: send_when_called(play, "note", "go"),
    ),
    Delicate(
        "continued: owed compensations",
        {
            "odd": {**NOTE, "compensate": {"action": "undo", "config": {"what": "{{ gone.missing | sum }}{{ 1 }}"}}},
            "each": make_loop(6, "n", "note"),
            "note": make_undoable(n="{{ n }}", key="{{ secrets.token }}"),
            "stop": FAIL,
        },
        ("trigger -> odd", "odd -> each", "each -> stop"),
        status="failed",
        executions=3,
        more={"settings": {"strict": True, "retry": {"maximum_attempts": 2}}},
    ),
    Delicate(
        "continued: waits and delays in a loop",
        {
            "each": make_loop(4, "n", "ask", collect="{{ steps.ask.output.payload.part }}"),
            "ask": make_wait("part", timeout_seconds=600),
            "nap": {"type": "delay", "delay_seconds": 0.05},
            "note": NOTE,
        },
        ("trigger -> each", "ask -> nap", "nap -> note"),
        executions=2,
        operate=send_parts,
    ),
    Delicate(
        "continued: going back to a node before the loop",
        {
            "begin": make_set(x="{{ x }}a"),
            "each": make_loop(2, "n", "one"),
            **dict.fromkeys(("zero", "one", "three", "four", "five"), NOTE),
            "two": make_set(y="{{ n }}"),
            "last": {"type": "action", "action": "last", "on_error": {"retry_from": "begin", "max": 1}},
        },
        (
            *("trigger -> begin", "begin -> zero", "zero -> each", "each -> last"),
            *("one -> last", "one -> two", "two -> three", "three -> four", "four -> five"),
        ),
        executions=4,
        more={"variables": {"x": "", "y": 0}},
        answers={"last": [BROKEN, {"output": {}}]},
    ),
    Delicate(
        "continued: an operator decides in a loop",
        {
            "before": NOTE,
            "each": make_loop(6, "n", "door"),
            "door": {"type": "action", "action": "door", "on_error": "pause", "config": {"door": 1}, "retry": ONCE},
            "after": NOTE,
        },
        ("trigger -> before", "before -> each", "door -> after"),
        executions=2,
        more={"settings": {"notify": {"action": "pager", "config": {"text": "{{ error.message }}"}}}},
        answers={"door": [LOCKED, *[{"output": {}}] * 2, LOCKED, LOCKED, {"output": {}}], "pager": [BROKEN, {}]},
        operate=lambda play: resolve_in_loop(play),
    ),
    Delicate(
        "continued: paused and resumed in a loop",
        {"each": make_loop(12, "n", "note"), "note": NOTE},
        ("trigger -> each",),
        executions=2,
        seconds=0.1,
        operate=pause_continued,
    ),
    Delicate(
        "continued: large values that occur more than once",
        {
            **{f"d{number}": make_set(text="{{ text }}{{ text }}") for number in range(8)},
            "each": make_loop(5, "n", "note"),
            "note": NOTE,
            "end": {"type": "end", "config": {"output": "{{ text | length }}"}},
        },
        (
            "trigger -> d0",
            *(f"d{number} -> d{number + 1}" for number in range(7)),
            "d7 -> each",
            "each -> end",
        ),
        executions=2,
        more={"variables": {"text": "0123456789" * 40}},
    ),
    Delicate(
        "continued: a state that was too large before",
        {
            **{f"d{number}": make_set(text="{{ text }}{{ text }}") for number in range(11)},
            "phases": make_loop(2, "phase", "first"),
            "first": make_condition("phase", "equals", 0),
            "copies": make_set(**{f"copy{number}": "{{ text }}" + str(number) for number in range(12)}),
            "each": make_loop(4, "n", "note"),
            "note": NOTE,
            "forget": make_set(text="", **{f"copy{number}": "" for number in range(12)}),
            "many": make_loop(500, "n", "seen"),
            "seen": make_set(last="{{ n }}"),
            "more": make_loop(4, "n", "note2"),
            "note2": NOTE,
        },
        (
            "trigger -> d0",
            *(f"d{number} -> d{number + 1}" for number in range(10)),
            "d10 -> phases",
            "first -true-> copies",
            "copies -> each",
            "each -> forget",
            "first -false-> many",
            "many -> more",
        ),
        executions=2,
        more={"variables": {"text": "0123456789" * 40}, "settings": {"step_log_limit": 20}},
    ),
    Delicate(
        "continued: a called workflow",
        {"call": {"type": "workflow", "config": {"workflow_id": "counter", "input": {"n": 8}}}},
        ("trigger -> call",),
        more={
            "workflows": {
                "counter": read_definition(
                    {
                        "nodes": {"each": make_loop("{{ input.n }}", "n", "note"), "note": NOTE},
                        "edges": ["trigger -> each"],
                    },
                    "counter",
                    "counter",
                )
            }
        },
    ),
    Delicate(
        "continued: local actions",
        {"each": make_loop(30, "n", "note"), "note": LOCAL},
        ("trigger -> each",),
        events=("MARKER_RECORDED",),
        more=APART,
    ),
    Delicate(
        "rerun: a run begun from the state of another that has failed in a loop",
        {
            "before": {**make_undoable(n="before"), "outputs": ["node"]},
            "each": make_loop(6, "n", "note"),
            "note": NOTE,
            "last": {"type": "action", "action": "last", "retry": ONCE},
            "more": make_loop(6, "n", "again"),
            "again": NOTE,
        },
        ("trigger -> before", "before -> each", "each -> last", "last -> more"),
        executions=2,
        answers={"last": [LATE, {"output": {}}]},
        more={"settings": {"compensate": "never"}},
        rerun=Target(),
    ),
    Delicate(
        "rerun: the failed items of a loop, of which each keeps what it had done",
        {
            "each": make_loop(8, "n", "note", on_item_error="continue"),
            "note": NOTE,
            "flaky": {"type": "action", "action": "flaky", "retry": ONCE},
        },
        ("trigger -> each", "note -> flaky"),
        executions=2,
        answers={"flaky": [*[BROKEN] * 8, {"output": {}}]},
        rerun=Target(failed_items=True),
    ),
    Delicate(
        "rerun: a failed item in one batch of a wide loop, of which another one has completed",
        {
            "each": make_loop(4, "n", "c", on_item_error="continue", max_concurrency=4, collect="{{ n }}"),
            "c": {"type": "condition", "condition": {"field": "n", "operator": "equals", "value": 0}},
            "note": NOTE,
            "flaky": {"type": "action", "action": "flaky", "retry": ONCE},
        },
        ("trigger -> each", "c -false-> note", "c -true-> flaky"),
        events=("CHILD_WORKFLOW_EXECUTION_COMPLETED",),
        answers={"flaky": [BROKEN, {"output": {}}]},
        rerun=Target(failed_items=True),
        iterations=2,
    ),
    Delicate(
        "rerun: a branch in a child workflow that goes on where it had failed",
        {
            "fork": make_fork(["a"], ["b"], mode="child", on_branch_error="wait"),
            "a": NOTE,
            "b": NOTE,
            "flaky": {"type": "action", "action": "flaky", "retry": ONCE},
        },
        ("trigger -> fork", "b -> flaky"),
        events=("CHILD_WORKFLOW_EXECUTION_FAILED",),
        answers={"flaky": [BROKEN, {"output": {}}]},
        rerun=Target(),
    ),
)


async def skip_continued(play: Play) -> None:
    await play.has_continued(2)
    await play.resolve("once", "skip")


async def send_when_called(
    play: Play, node: str, event: str, key: str | None = None, payload: Any = None, **sender: str
) -> None:
    """Send an event once a node has been called six times."""

    async def are_enough() -> bool:
        return play.script.list_nodes().count(node) >= 6

    await wait_until(are_enough)
    await play.runs.send_event(play.run_id, event, payload, event_key=key, **sender)


async def resolve_twice(play: Play) -> None:
    await send_when_called(play, "note", "nothing")
    await play.resolve("door", "retry", parameters={"door": 2})
    await play.resolve("fork[0]/door", "retry")


async def resolve_in_loop(play: Play) -> None:
    await play.resolve("each[0]/door", "retry", parameters={"door": 2})
    await play.resolve("each[2]/door", "skip")
    await play.resolve("each[3]/door", "fallback", value={"by": "hand"})


def cancel_case(name: str, source: str, operate: Operate = cancel_continued, **more: Any) -> Delicate:
    """Return a cancellation in the middle of another case."""
    (case,) = (case for case in CONTINUED if case.name == source)
    changes = {"name": name, "status": "cancelled", "operate": operate, "seconds": 0.1, **more}
    return replace(case, **changes)


async def cancel_at_operator(play: Play) -> None:
    await play.waits("operator")
    await play.cancel()


async def cancel_paused(play: Play) -> None:
    await play.has_continued()
    await play.runs.pause(play.run_id)
    await play.waits("paused")
    await play.cancel()


async def cancel_at_event(play: Play) -> None:
    await send_when_called(play, "note", "nothing")
    await play.waits("event")
    await play.cancel()


async def cancel_after_six(play: Play) -> None:
    await send_when_called(play, "note", "nothing")
    await play.cancel()


BOTH = {"settings": {"compensate": "both"}}
CANCELLED: tuple[Delicate, ...] = (
    cancel_case("cancelled: a loop", "continued: a loop, with early events"),
    cancel_case("cancelled: a loop in a loop", "continued: a loop in a loop", executions=2),
    cancel_case("cancelled: a map", "continued: a map"),
    cancel_case(
        "cancelled: a map of loops",
        "continued: a map of loops, ended by one of its items",
        cancel_at_event,
    ),
    cancel_case(
        "cancelled: inline branches",
        "continued: inline branches with an open wait and an open delay",
        cancel_at_event,
        more=BOTH,
    ),
    cancel_case("cancelled: a cycle", "continued: a cycle"),
    cancel_case("cancelled: a child branch", "continued: a child branch, then undone", cancel_at_event, more=BOTH),
    cancel_case(
        "cancelled: owed compensations",
        "continued: owed compensations",
        executions=2,
        more={"settings": {"strict": True, "compensate": "on_cancel"}},
    ),
    cancel_case(
        "cancelled: a wait in a loop",
        "continued: waits and delays in a loop",
        lambda play: cancel_at_last_wait(play),
        executions=2,
    ),
    cancel_case(
        "cancelled: a step that waits for an operator",
        "continued: an operator decides in a loop",
        cancel_at_operator,
        executions=1,
    ),
    cancel_case("cancelled: a paused loop", "continued: paused and resumed in a loop", cancel_paused),
    cancel_case("cancelled: a called workflow", "continued: a called workflow", cancel_after_six),
    cancel_case("cancelled: local actions", "continued: local actions", cancel_after_six, executions=1),
    cancel_case(
        "cancelled: a rerun",
        "rerun: a run begun from the state of another that has failed in a loop",
    ),
    Delicate(
        "cancelled: a delay in a loop",
        {"each": make_loop(6, "n", "note"), "note": NOTE, "nap": NAP},
        ("trigger -> each", "each -> nap"),
        status="cancelled",
        executions=2,
        events=("TIMER_CANCELED",),
        operate=lambda play: cancel_at(play, "delay"),
    ),
    Delicate(
        "cancelled: an action with heartbeats",
        {"pay": {"type": "action", "action": "charge"}},
        ("trigger -> pay",),
        status="cancelled",
        events=("ACTIVITY_TASK_CANCEL_REQUESTED", "ACTIVITY_TASK_CANCELED"),
        gates=("pay",),
        operate=lambda play: cancel_called(play, "pay"),
    ),
    Delicate(
        "cancelled: while compensations run",
        {"a": make_undoable(n="a"), "b": make_undoable(n="b"), "stop": FAIL},
        ("trigger -> a", "a -> b", "b -> stop"),
        status="failed",
        gates=("undo",),
        operate=lambda play: cancel_while_undoing(play),
    ),
)


async def cancel_at(play: Play, kind: str) -> None:
    await play.waits(kind)
    await play.cancel()


async def cancel_called(play: Play, *nodes: str) -> None:
    await play.calls(*nodes)
    await play.cancel()


async def cancel_at_last_wait(play: Play) -> None:
    for _ in range(3):
        await play.send("part", {"part": 1})
    await play.has_continued()
    await play.waits("event")
    await play.cancel()


async def cancel_while_undoing(play: Play) -> None:
    async def is_undoing() -> bool:
        return bool(play.script.list_calls("undo"))

    await wait_until(is_undoing)
    await play.cancel()
    play.script.gates["undo"].set()


async def terminate_waiting(play: Play) -> None:
    await play.waits("event")
    await play.runs.terminate(play.run_id, "by hand")


async def end_children(play: Play) -> None:
    """End the branches by their own ids, as an operator of Temporal may."""
    await play.waits("event")
    await play.world.client.get_workflow_handle(f"{play.run_id}/fork[0]").terminate()
    await play.world.client.get_workflow_handle(f"{play.run_id}/fork[1]").cancel()


async def pause_early(play: Play) -> None:
    await play.runs.pause(play.run_id)
    await play.waits("paused")
    await play.runs.resume(play.run_id)


async def pause_branches(play: Play) -> None:
    await play.calls("a", "b")
    await play.runs.pause(play.run_id)
    await play.has_recorded("WORKFLOW_EXECUTION_SIGNALED", of="/fork[0]")
    await play.has_recorded("WORKFLOW_EXECUTION_SIGNALED", of="/fork[1]")
    play.script.gates["a"].set()
    play.script.gates["b"].set()
    await play.waits("paused")
    await play.runs.resume(play.run_id)


async def pause_and_open(play: Play, gate: str) -> None:
    await play.calls(gate)
    await play.runs.pause(play.run_id)
    await play.has_recorded("WORKFLOW_EXECUTION_SIGNALED", of="/fork[0]")
    play.script.gates[gate].set()
    await play.waits("paused")
    await play.runs.resume(play.run_id)


async def send_when_waiting(play: Play, kind: str, event: str) -> None:
    await play.waits(kind)
    await play.send(event)


async def terminate_called(play: Play) -> None:
    """End a called run while a local action holds the workflow task that is going to cancel it."""
    await play.calls("slow")
    history = await play.handle.fetch_history()
    (child,) = [
        event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
        for event in history.events
        if event.HasField("child_workflow_execution_started_event_attributes")
    ]
    await play.world.client.get_workflow_handle(child).terminate()
    play.script.gates["slow"].set()


WORK: tuple[Delicate, ...] = (
    Delicate(
        "segments: a chain, a loop and branches",
        {
            "a": TOLD,
            "each": make_loop("{{ [uuid(), now()] }}", "n", "note"),
            "note": TOLD,
            "fork": make_fork(["left"], ["right"]),
            "left": TOLD,
            "right": {**TOLD, "action": "warns"},
        },
        ("trigger -> a", "a -> each", "each -> fork"),
        events=("MARKER_RECORDED",),
        answers={"warns": {"output": {ATTEMPT_KEY: 1, "result": {}, WARNINGS_KEY: ["careful"]}}},
        more=FUSED,
    ),
    Delicate(
        "segments: a retry that waits outside of one",
        {"a": NOTE, "b": {**NOTE, "action": "flaky", "retry": {"initial_interval": 0.8}}, "c": NOTE, "d": NOTE},
        ("trigger -> a", "a -> b", "b -error-> c", "c -> d"),
        events=("MARKER_RECORDED", "TIMER_FIRED"),
        answers={"flaky": [LOCKED, LOCKED, BROKEN]},
        more=FUSED,
    ),
    Delicate(
        "segments: a branch that its join cancels",
        {"fork": make_fork(["quick"], ["slow", "never"], join="any"), "quick": NOTE, "slow": NOTE, "never": NOTE},
        ("trigger -> fork", "slow -> never"),
        events=("MARKER_RECORDED",),
        gates=("slow",),
        more=FUSED,
    ),
    Delicate(
        "segments: of a run that continues as new",
        {"each": make_loop(8, "n", "note"), "note": {**TOLD, **LOCAL}, "apart": NOTE, "again": {**TOLD, **LOCAL}},
        ("trigger -> each", "note -> apart", "apart -> again"),
        events=("MARKER_RECORDED", "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"),
    ),
    Delicate(
        "retries: of a local action below the threshold",
        {"a": {**LOCAL, "action": "flaky", "retry": {"initial_interval": 0.05}}, "b": NOTE},
        ("trigger -> a", "a -> b"),
        more=APART,
        events=("MARKER_RECORDED",),
        answers={"flaky": [LOCKED, LOCKED, {"output": {"ok": True}}]},
    ),
    Delicate(
        "retries: of a local action above the threshold",
        {"a": {**LOCAL, "action": "flaky", "retry": {"initial_interval": 0.8}}, "b": NOTE},
        ("trigger -> a", "a -> b"),
        more=APART,
        events=("MARKER_RECORDED", "TIMER_FIRED"),
        answers={"flaky": [LOCKED, LOCKED, {"output": {"ok": True}}]},
    ),
    Delicate(
        "retries: an action that times out",
        {"a": {**NOTE, "timeout_seconds": 0.3, "retry": {"maximum_attempts": 2, "initial_interval": 0.1}}, "b": NOTE},
        ("trigger -> a", "a -error-> b"),
        events=("ACTIVITY_TASK_TIMED_OUT",),
        gates=("a",),
    ),
    Delicate(
        "yields: by the cost of nodes and values",
        {"each": make_loop(12, "n", "add"), "add": make_set(sum="{{ [n, n, n] | sum }}")},
        ("trigger -> each",),
        events=("TIMER_FIRED",),
        plan={"yield_cost": 30_000},
    ),
    Delicate(
        "yields: of two branches at a time",
        {
            "fork": make_fork(["one"], ["two"]),
            "one": make_loop(6, "n", "a"),
            "two": make_loop(6, "n", "b"),
            "a": make_set(a="{{ n }}"),
            "b": make_set(b="{{ n }}"),
        },
        ("trigger -> fork",),
        events=("TIMER_FIRED",),
        plan={"yield_cost": 30_000},
    ),
    Delicate(
        "yields: of local actions that hold a workflow task",
        {"each": make_loop(6, "n", "note"), "note": LOCAL},
        ("trigger -> each",),
        events=("MARKER_RECORDED", "TIMER_FIRED"),
        more=APART,
        seconds=0.35,
    ),
    Delicate(
        "paused: before its branches start",
        {"nap": {"type": "delay", "delay_seconds": 0.5}, "fork": make_fork(["a"], mode="child"), "a": NOTE},
        ("trigger -> nap", "nap -> fork"),
        operate=pause_early,
    ),
    Delicate(
        "paused: with its branches",
        {"fork": make_fork(["a"], ["b"], mode="child"), "a": NOTE, "a2": NOTE, "b": NOTE, "b2": NOTE},
        ("trigger -> fork", "a -> a2", "b -> b2"),
        events=("EXTERNAL_WORKFLOW_EXECUTION_SIGNALED",),
        gates=("a", "b"),
        operate=pause_branches,
    ),
    Delicate(
        "ended: terminated by an operator",
        {"ask": make_wait("go")},
        ("trigger -> ask",),
        status="cancelled",
        events=("WORKFLOW_EXECUTION_TERMINATED",),
        operate=terminate_waiting,
    ),
    Delicate(
        "ended: branches that are terminated and cancelled from outside",
        {
            "fork": make_fork(["ask"], ["ask2"], ["a"], mode="child", on_branch_error="ignore"),
            "ask": make_wait("go"),
            "ask2": make_wait("go"),
            "a": NOTE,
        },
        ("trigger -> fork",),
        events=("CHILD_WORKFLOW_EXECUTION_TERMINATED", "CHILD_WORKFLOW_EXECUTION_FAILED"),
        operate=end_children,
    ),
    Delicate(
        "ended: a branch whose id is taken",
        {"fork": {**make_fork(["a"], ["b"], mode="child"), "on_error": "skip"}, "a": NOTE, "b": NOTE},
        ("trigger -> fork",),
        events=("START_CHILD_WORKFLOW_EXECUTION_FAILED",),
    ),
    Delicate(
        "ended: branches that fail and are cancelled",
        {"fork": make_fork(["a"], ["nap"], mode="child"), "a": {**NOTE, "action": "broken"}, "nap": NAP, "b": NOTE},
        ("trigger -> fork", "fork -error-> b"),
        events=(
            "CHILD_WORKFLOW_EXECUTION_FAILED",
            "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
            "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED",
        ),
        answers={"broken": BROKEN},
    ),
    Delicate(
        "paused: while a branch starts",
        {"fork": make_fork(["a"], ["b"], mode="child", max_concurrency=1), "a": NOTE, "b": NOTE},
        ("trigger -> fork",),
        gates=("a",),
        operate=lambda play: pause_and_open(play, "a"),
    ),
    Delicate(
        "ended: a branch that is cancelled after it has completed what is to be undone",
        {
            "fork": make_fork(["a"], ["ask"], mode="child"),
            "a": make_undoable(n="a"),
            "nap": NAP,
            "ask": make_wait("go"),
            "bad": {"type": "action", "action": "broken", "retry": ONCE},
        },
        ("trigger -> fork", "a -> nap", "ask -> bad"),
        status="failed",
        answers={"broken": BROKEN},
        operate=lambda play: send_when_waiting(play, "delay", "go"),
    ),
    Delicate(
        "ended: a called workflow that ends while it is being cancelled",
        {
            "fork": make_fork(["call"], ["nap"]),
            "call": {"type": "workflow", "config": {"workflow_id": "sleeper"}},
            "nap": {"type": "delay", "delay_seconds": 1},
            "slow": {**LOCAL, "action": "broken", "retry": ONCE},
        },
        ("trigger -> fork", "nap -> slow"),
        status="failed",
        answers={"broken": BROKEN},
        gates=("slow",),
        more={"workflows": {"sleeper": SLEEPER}, **APART},
        operate=lambda play: terminate_called(play),
    ),
    Delicate(
        "ended: a workflow task that was lost first",
        {"a": NOTE},
        ("trigger -> a",),
        events=("WORKFLOW_TASK_TIMED_OUT",),
        lost_first=True,
    ),
    Delicate(
        "ended: a workflow task that failed first",
        {"a": NOTE},
        ("trigger -> a",),
        events=("WORKFLOW_TASK_FAILED",),
        broken_first=True,
    ),
)


async def wait_for_event_step(play: Play) -> None:
    await play.waits("event")


async def send_then_cancel(play: Play) -> None:
    await play.send("go", 1)
    await play.cancel()


async def cancel_then_send(play: Play) -> None:
    await play.cancel()
    await play.send("go", 1)


async def complete_then_cancel(play: Play) -> None:
    play.script.gates["pay"].set()
    await play.has_recorded("ACTIVITY_TASK_COMPLETED")
    await play.cancel()


async def cancel_then_complete(play: Play) -> None:
    await play.cancel()
    play.script.gates["pay"].set()
    await play.has_recorded("ACTIVITY_TASK_COMPLETED")


async def fire_then_cancel(play: Play) -> None:
    await play.has_recorded("TIMER_FIRED")
    await play.cancel()


async def complete_both(play: Play) -> None:
    play.script.gates["bad"].set()
    await play.has_recorded("ACTIVITY_TASK_FAILED")
    play.script.gates["pay"].set()
    await play.has_recorded("ACTIVITY_TASK_COMPLETED")


async def send_both(play: Play) -> None:
    await play.send("reject")
    await play.send("approve")


async def fire_then_complete(play: Play) -> None:
    await play.has_recorded("TIMER_FIRED")
    play.script.gates["pay"].set()
    await play.has_recorded("ACTIVITY_TASK_COMPLETED")


async def pause_complete_and_cancel(play: Play) -> None:
    await play.runs.pause(play.run_id)
    await complete_then_cancel(play)


async def end_branch_and(play: Play, *operations: Operate) -> None:
    """End a branch while the run cannot take notice, then do more."""
    await play.world.client.get_workflow_handle(f"{play.run_id}/fork[0]").terminate()
    await play.has_recorded("CHILD_WORKFLOW_EXECUTION_TERMINATED")
    for operate in operations:
        await operate(play)


async def pause_at_once(play: Play) -> None:
    await play.waits("delay")
    await play.runs.pause(play.run_id)
    await play.waits("paused")


async def resume_then_cancel(play: Play) -> None:
    await play.runs.resume(play.run_id)
    await play.cancel()


PAY = {"type": "action", "action": "charge", "task_queue": QUEUE, "compensate": {"action": "undo", "config": {}}}
SHIP = {"type": "action", "action": "ship", "task_queue": QUEUE}
ON_QUEUE = {"settings": {"compensate": "both", "task_queue": QUEUE}}


def make_race(
    name: str,
    nodes: dict[str, Any],
    *edges: str,
    status: str = "cancelled",
    status_in_batch: str | None = None,
    **more: Any,
) -> tuple[Delicate, Delicate]:
    """Return a race with the SDK's flag off and on."""
    race = Delicate(f"race: {name}, one by one", nodes, edges, status, **{"more": ON_QUEUE, **more})
    return race, replace(race, name=f"race: {name}, in one batch", status=status_in_batch or status, batch=True)


RACES: tuple[Delicate, ...] = (
    *make_race(
        "an event before a cancellation",
        {"ask": make_wait("go"), "ship": SHIP},
        "trigger -> ask",
        "ask -> ship",
        operate=wait_for_event_step,
        together=send_then_cancel,
    ),
    *make_race(
        "a cancellation before an event",
        {"ask": make_wait("go"), "ship": SHIP},
        "trigger -> ask",
        "ask -> ship",
        operate=wait_for_event_step,
        together=cancel_then_send,
    ),
    *make_race(
        "a result before a cancellation",
        {"pay": PAY, "ship": SHIP},
        "trigger -> pay",
        "pay -> ship",
        gates=("pay",),
        operate=lambda play: play.calls("pay"),
        together=complete_then_cancel,
    ),
    *make_race(
        "a cancellation before a result",
        {"pay": PAY, "ship": SHIP},
        "trigger -> pay",
        "pay -> ship",
        gates=("pay",),
        operate=lambda play: play.calls("pay"),
        together=cancel_then_complete,
    ),
    *make_race(
        "a result and a cancellation in an inline branch",
        {"fork": make_fork(["pay"], ["ask"]), "pay": PAY, "ask": make_wait("go"), "ship": SHIP},
        "trigger -> fork",
        "pay -> ship",
        gates=("pay",),
        operate=lambda play: play.calls("pay"),
        together=complete_then_cancel,
    ),
    *make_race(
        "a result and a cancellation in a map",
        {"each": make_loop(2, "n", "pay", max_concurrency=2), "pay": PAY, "ship": SHIP},
        "trigger -> each",
        "pay -> ship",
        gates=("pay",),
        operate=lambda play: play.calls("pay"),
        together=complete_then_cancel,
    ),
    *make_race(
        "a delay and a cancellation",
        {"nap": {"type": "delay", "delay_seconds": 2}, "ship": SHIP},
        "trigger -> nap",
        "nap -> ship",
        operate=lambda play: play.has_recorded("TIMER_STARTED"),
        together=fire_then_cancel,
    ),
    # The flow learnt of the cancellation one turn of the event loop after the timer: it ended as completed.
    *make_race(
        "the last delay and a cancellation",
        {"nap": {"type": "delay", "delay_seconds": 2}, "mark": make_set(done=True)},
        "trigger -> nap",
        "nap -> mark",
        operate=lambda play: play.has_recorded("TIMER_STARTED"),
        together=fire_then_cancel,
    ),
    *make_race(
        "the resumption of a run that ends at once and a cancellation",
        {"mark": make_set(done=True)},
        "trigger -> mark",
        status="completed",  # the SDK handles the signal first
        status_in_batch="cancelled",
        early=lambda play: play.runs.pause(play.run_id),
        operate=lambda play: play.waits("paused"),
        together=resume_then_cancel,
    ),
    *make_race(
        "the resumption of a run that continues as new and a cancellation",
        {
            **dict.fromkeys(("a", "b"), NOTE),
            "nap": {"type": "delay", "delay_seconds": 0.5},
            "mark": make_set(done=True),
        },
        "trigger -> a",
        "a -> b",
        "b -> nap",
        "nap -> mark",
        operate=pause_at_once,
        together=resume_then_cancel,
    ),
    *make_race(
        "a failure and a result of two branches",
        {
            "fork": make_fork(["bad"], ["pay"]),
            "bad": {"type": "action", "action": "broken", "task_queue": QUEUE},
            "pay": PAY,
            "ship": SHIP,
        },
        "trigger -> fork",
        "pay -> ship",
        status="failed",
        answers={"broken": BROKEN},
        gates=("bad", "pay"),
        operate=lambda play: play.calls("bad", "pay"),
        together=complete_both,
    ),
    *make_race(
        "two events for branches of which one wins",
        {
            "fork": make_fork(["no"], ["yes"], join="any"),
            "no": make_wait("reject"),
            "yes": make_wait("approve"),
            "refuse": SHIP,
            "ship": SHIP,
        },
        "trigger -> fork",
        "no -> refuse",
        "yes -> ship",
        status="completed",
        operate=wait_for_event_step,
        together=send_both,
    ),
    *make_race(
        "the time limit of a run and a result",
        {"pay": PAY, "ship": SHIP},
        "trigger -> pay",
        "pay -> ship",
        status="failed",
        more={"settings": {**ON_QUEUE["settings"], "timeout_seconds": 2}},
        gates=("pay",),
        operate=lambda play: play.calls("pay"),
        together=fire_then_complete,
    ),
    *make_race(
        "a pause, a result and a cancellation",
        {"pay": PAY, "ship": SHIP},
        "trigger -> pay",
        "pay -> ship",
        gates=("pay",),
        operate=lambda play: play.calls("pay"),
        together=pause_complete_and_cancel,
    ),
    *make_race(
        "the end of a branch and a cancellation",
        {"fork": make_fork(["ask"], ["ask2"], mode="child"), "ask": make_wait("go"), "ask2": make_wait("go")},
        "trigger -> fork",
        operate=wait_for_event_step,
        together=lambda play: end_branch_and(play, Play.cancel),
    ),
    *make_race(
        "the end of a branch and a pause",
        {"fork": make_fork(["ask"], ["a"], mode="child", on_branch_error="ignore"), "ask": make_wait("go"), "a": SHIP},
        "trigger -> fork",
        status="completed",
        events=("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",),
        operate=wait_for_event_step,
        together=lambda play: end_branch_and(play, pause_now),
    ),
)


async def pause_now(play: Play) -> None:
    await play.runs.pause(play.run_id)
    await play.runs.resume(play.run_id)


def move_when_waiting(kind: str, nodes: Mapping[str, Any], *edges: str, **more: Any) -> Operate:
    """Return what moves a run to another version once it waits."""

    async def move(play: Play) -> None:
        await play.waits(kind)
        await play.move(nodes, *edges, **more)

    return move


async def move_with_early_event(play: Play) -> None:
    await play.waits("event")
    await play.send("late", {"n": 1})
    await play.move({"ask": make_wait("go"), "late": make_wait("late")}, "trigger -> ask", "ask -> late")
    await play.send("go")


async def move_in_iteration(play: Play) -> None:
    await play.send("go")
    await play.calls("note")
    await play.waits("event")
    nodes = {"all": make_loop(2, "n", "ask"), "ask": make_wait("go"), "mark": make_set(n="{{ n }}"), "note": NOTE}
    edges = ("trigger -> all", "ask -> mark", "mark -> note")
    await play.move(nodes, *edges, renamed={"each": "all"}, by="Ada", reason="a mark was missing")
    await play.send("go")


async def move_while_paused(play: Play) -> None:
    await play.calls("a")
    await play.runs.pause(play.run_id)
    play.script.gates["a"].set()
    await play.waits("paused")
    await play.move({"a": NOTE, "b": NOTE, "c": NOTE}, "trigger -> a", "a -> b", "b -> c")
    await play.waits("paused")
    await play.runs.resume(play.run_id)


async def move_twice_while_paused(play: Play) -> None:
    await play.calls("a")
    await play.runs.pause(play.run_id)
    play.script.gates["a"].set()
    await play.waits("paused")
    await play.move({"a": NOTE, "b": NOTE, "c": NOTE}, "trigger -> a", "a -> b", "b -> c")
    await play.waits("paused")
    await play.move({"a": NOTE, "x": NOTE, "c": NOTE}, "trigger -> a", "a -> x", "x -> c", version=3)
    await play.waits("paused")
    await play.runs.resume(play.run_id)


MOVED: tuple[Delicate, ...] = (
    Delicate(
        "moved: asleep in a delay",
        {"a": make_undoable(of="a"), "nap": {**NAP, "delay_seconds": 3}},
        ("trigger -> a", "a -> nap"),
        executions=2,
        operate=move_when_waiting("delay", {"nap": NAP, "b": NOTE}, "trigger -> nap", "nap -> b"),
    ),
    Delicate(
        "moved: a wait, with an event that came early",
        {"ask": make_wait("go")},
        ("trigger -> ask",),
        executions=2,
        operate=move_with_early_event,
    ),
    Delicate(
        "moved: in an iteration, under another name of the loop",
        {"each": make_loop(2, "n", "ask"), "ask": make_wait("go"), "note": NOTE},
        ("trigger -> each", "ask -> note"),
        executions=2,
        operate=move_in_iteration,
    ),
    Delicate(
        "moved: paused, before a node that was added",
        {"a": NOTE, "c": NOTE},
        ("trigger -> a", "a -> c"),
        executions=2,
        gates=("a",),
        operate=move_while_paused,
    ),
    Delicate(
        "moved: paused, twice, before a node that was added and one in its place",
        {"a": NOTE, "c": NOTE},
        ("trigger -> a", "a -> c"),
        executions=3,
        gates=("a",),
        operate=move_twice_while_paused,
    ),
    Delicate(
        "moved: inline branches and concurrent iterations, with a way back",
        {
            "fork": make_fork(["each"], ["first"]),
            "each": make_loop(2, "n", "ask", max_concurrency=2),
            "ask": make_wait("go"),
            "first": {**NOTE, "outputs": ["node"]},
            "nap": {**NAP, "delay_seconds": 2},
            "door": {"type": "action", "action": "door", "on_error": {"retry_from": "first", "max": 1}, "retry": ONCE},
        },
        ("trigger -> fork", "first -> nap", "nap -> door"),
        executions=2,
        answers={"door": [LOCKED, {"output": {}}]},
        operate=lambda play: move_branches(play),
    ),
    Delicate(
        "moved: not after all, as another path has come to a node that is gone",
        {
            "fork": make_fork(["call"], ["first"]),
            "call": {"type": "workflow", "config": {"workflow_id": "short nap"}},
            "first": make_wait("go"),
            "second": make_wait("last"),
            "each": make_loop(12, "n", "note"),
            "note": NOTE,
        },
        ("trigger -> fork", "first -> second", "fork -> each"),
        executions=2,
        more={"workflows": {"short nap": SHORT_NAP}},
        operate=lambda play: stay_after_all(play),
    ),
)


async def stay_after_all(play: Play) -> None:
    await play.waits("child")
    nodes = {
        "fork": make_fork(["call"], ["first"]),
        "call": {"type": "workflow", "config": {"workflow_id": "short nap"}},
        "first": make_wait("go"),
    }
    plan = make_plan(
        nodes, "trigger -> fork", customer=play.plan.customer_id, workflows={"short nap": SHORT_NAP}
    ).model_copy(update={"version": 2})
    await play.runs.migrate(play.run_id, MigrationRequest(plan), by="Ada")
    await play.send("go")

    async def has_stayed() -> bool:
        run = await play.runs.reader.read_document(play.run_id)
        return bool(run.interventions[0].refused)

    await wait_until(has_stayed)
    await play.send("last")


async def move_branches(play: Play) -> None:
    await play.calls("first")
    await play.waits("event")
    nodes = {
        "fork": make_fork(["each"], ["first"]),
        "each": make_loop(2, "n", "ask", max_concurrency=2),
        "ask": make_wait("go"),
        "more": NOTE,
        "first": {**NOTE, "outputs": ["node"]},
        "nap": NAP,
        "mark": make_set(marked=True),
        "door": {"type": "action", "action": "door", "on_error": {"retry_from": "first", "max": 1}, "retry": ONCE},
    }
    await play.move(nodes, "trigger -> fork", "first -> nap", "nap -> mark", "mark -> door", "ask -> more")
    await play.send("go")
    await play.send("go")
    await play.repair("skip_wait", node_id="nap")
    await play.calls("door")
    await play.repair("skip_wait", node_id="nap")


DELICATE: tuple[Delicate, ...] = (*CONTINUED, *CANCELLED, *WORK, *RACES, *MOVED)


ARRIVALS = (
    "WORKFLOW_EXECUTION_SIGNALED",
    "WORKFLOW_EXECUTION_CANCEL_REQUESTED",
    "ACTIVITY_TASK_COMPLETED",
    "ACTIVITY_TASK_FAILED",
    "TIMER_FIRED",
    "CHILD_WORKFLOW_EXECUTION_TERMINATED",
)
"""Types of events of which two arrive together in a race."""


def find_problems(case: Delicate, executions: Sequence[tuple[str, list[dict[str, Any]]]]) -> list[str]:
    """Return what a recording lacks; `executions` are workflow ids and events."""
    run_id = make_slug(case.name) + ("-again" if case.rerun else "")
    own = [events for workflow_id, events in executions if workflow_id == run_id]
    problems = [] if len(own) >= case.executions else [f"{len(own)} executions, expected {case.executions}"]
    types = {read_type(event) for _, events in executions for event in events}
    problems += [f"no event {name}" for name in case.events if name not in types]
    if case.together is not None and max(map(count_arrivals, own)) < 2:
        problems.append("nothing arrived together")
    flags = {flag for _, events in executions for event in events for flag in read_flags(event)}
    if case.batch != (int(BATCH) in flags):
        problems.append(f"the flags are {flags}")
    return problems


def read_type(event: Mapping[str, Any]) -> str:
    return str(event["eventType"]).removeprefix("EVENT_TYPE_")


def read_flags(event: Mapping[str, Any]) -> list[int]:
    """Return the SDK's flags that a workflow task has used first."""
    completed = event.get("workflowTaskCompletedEventAttributes", {})
    return list(completed.get("sdkMetadata", {}).get("langUsedFlags", ()))


def count_arrivals(events: Sequence[Mapping[str, Any]]) -> int:
    """Return how many events that the flow reacts to have come to one workflow task at most."""
    most = count = 0
    for name in map(read_type, events):
        # What came while a task was under way is recorded after its start, for the next one.
        count = 0 if name == "WORKFLOW_TASK_COMPLETED" else count + (name in ARRIVALS)
        most = max(most, count)
    return most


async def run_delicate(world: World, case: Delicate) -> list[str]:
    """Run a case to its end; return the ids of its runs. Raises AssertionError where it does not end as expected."""
    queue = f"delicate {DELICATE.index(case)}"
    settings = world.runs.settings.model_copy(update={"task_queue": queue})
    apart = World(world.client, Runs(world.client, settings), world.scripts, queue=queue)
    customer, script = world.script(case.answers, f"delicate {case.name}")
    script.gates.update({name: asyncio.Event() for name in case.gates})
    script.stubborn, script.seconds = frozenset(case.stubborn), case.seconds
    plan = make_plan(case.nodes, *case.edges, customer=customer, **case.more)
    fields = add_heartbeats(plan.to_json(), "charge") | case.plan
    plan = Plan.model_validate(fields)
    plan = plan if case.iterations is None else limit_batches(plan, case.iterations)
    slug = make_slug(case.name)
    if "START_CHILD_WORKFLOW_EXECUTION_FAILED" in case.events:
        sleeper = apart.runs.prepare(
            make_plan({"nap": NAP}, "trigger -> nap", customer=customer), run_id=f"{slug}/fork[0]"
        )
        await apart.runs.start(sleeper)
    ids = [await apart.start(plan, case.input, run_id=slug, **case.start)]
    if case.broken_first:
        async with Worker(world.client, task_queue=queue, workflows=[BrokenWorkflow], workflow_runner=NONE):
            await (await make_play(apart, script, plan, slug)).has_recorded("WORKFLOW_TASK_FAILED")
    if case.early is not None:
        await case.early(await make_play(apart, script, plan, slug))
    if case.lost_first:
        await lose_workflow_task(apart)
    if case.rerun:
        async with run_flagged_worker(apart, batch=case.batch):
            await apart.wait_for_end(slug)
            ids.append(await begin_again(apart, slug, case.rerun))
    play = await make_play(apart, script, plan, ids[-1])
    async with run_flagged_worker(apart, batch=case.batch):
        if case.operate is not None:
            await case.operate(play)
        if case.together is None:
            run = await apart.wait_for_end(play.run_id)
    if case.together is not None:
        await case.together(play)
        async with run_flagged_worker(apart, batch=case.batch):
            run = await apart.wait_for_end(play.run_id)
    assert run.status == case.status, (case.name, run.status, run.error)
    status = (await play.handle.describe()).status
    assert status is not None
    assert STATUSES[status] == run.status, (case.name, run.status, status)
    return ids


async def lose_workflow_task(world: World) -> None:
    """Take a workflow task as a worker does, and never answer."""
    request = PollWorkflowTaskQueueRequest(namespace=world.client.namespace)
    request.task_queue.name = world.queue
    await world.client.workflow_service.poll_workflow_task_queue(request)


async def make_play(world: World, script: Script, plan: Plan, run_id: str) -> Play:
    execution = (await world.client.get_workflow_handle(run_id).describe()).raw_description
    return Play(world, world.runs, script, plan, run_id, execution.workflow_execution_info.first_run_id)


async def begin_again(world: World, run_id: str, target: Target) -> str:
    rerun = await world.runs.reader.reruns.plan("", run_id, Changes(target), f"{run_id}-again")
    prepared = world.runs.prepare_rerun(rerun)
    return (await world.runs.start(prepared)).id


@asynccontextmanager
async def run_flagged_worker(world: World, *, batch: bool) -> AsyncIterator[None]:
    """Run a worker for workflows, and for actions on their queue."""
    worker = Worker(
        world.client,
        task_queue=world.queue,
        workflows=[RunWorkflow],
        activities=[world.scripts.act, SegmentActivity(world.scripts.call_fused).run],
        workflow_runner=NONE,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        graceful_shutdown_timeout=timedelta(0),
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
    )
    set_deadlock_timeout(worker)
    worker._set_default_workflow_logic_flag(BATCH, enabled=batch)
    async with worker:
        yield
