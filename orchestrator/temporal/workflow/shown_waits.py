"""Show in search attributes what a flow waits for, once nothing else happens in it. Replay-sensitive.

Conditions are checked when no task of the flow can continue by itself, so a wait that ends in the same workflow task is
never shown. Setting the attributes costs one event, which is sent with the timer of the wait.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

from orchestrator.interpreter.run_document import find_since
from orchestrator.temporal.search_attributes import MOVED_AT, WAITING
from orchestrator.temporal.waiting import SHOWN_BESIDE_WORK, encode_waits
from orchestrator.temporal.workflow.flow import Flow

SHORT_SECONDS = 1.0
"""A delay that is not longer is not shown."""
LONG_SECONDS = 60.0
MAX_CHANGES = 20
"""Changes that an execution shows as they come. Then it leaves out delays up to `LONG_SECONDS`, and since when each
wait lasts: a loop that polls, or takes one event after another, would write an event for every iteration."""


async def watch_waits(flow: Flow, end: "asyncio.Future[RawValue | None]") -> None:
    """Show what the flow waits for, until `end` is done."""
    shown = tuple(workflow.info().typed_search_attributes.get(WAITING) or ())
    changes = 0

    def describe() -> tuple[str, ...]:
        return describe_waits(flow, shown, is_busy=changes >= MAX_CHANGES)

    def has_changed() -> bool:
        return describe() != shown

    while not end.done():
        await workflow.wait_condition(has_changed)
        shown = describe()
        value = WAITING.value_set(list(shown)) if shown else WAITING.value_unset()
        workflow.upsert_search_attributes([value, MOVED_AT.value_set(workflow.now())])
        changes += 1


def describe_waits(flow: Flow, shown: tuple[str, ...], *, is_busy: bool) -> tuple[str, ...]:
    """Return what the flow waits for; what is shown while it only pauses for the server."""
    effects, state = flow.effects, flow.state
    if effects.is_between_tasks():
        return shown
    if state.status != "running":
        return ()
    waits = _iterate_waits(flow, LONG_SECONDS if is_busy else SHORT_SECONDS)
    has_branches = any(child.path for child in effects.children.running.values())
    if effects.children.running and not has_branches:
        # Called workflows: Temporal lists their runs by their caller.
        waits = (wait for wait in waits if wait["kind"] in SHOWN_BESIDE_WORK)
    is_working = effects.working > 0
    return encode_waits(waits, has_branches=has_branches, is_working=is_working, with_times=not is_busy)


def _iterate_waits(flow: Flow, short_seconds: float) -> Iterator[dict[str, Any]]:
    if flow.is_pause_shown():
        yield {"node_id": None, "kind": "paused"}
    for step in flow.state.open.values():
        wait = step.waiting_for
        if wait is None or (wait["kind"] == "delay" and _is_short(step.started_at, wait["until"], short_seconds)):
            continue
        yield {"node_id": step.node_id, "since": find_since(step), **wait}


def _is_short(started_at: datetime, until: str, short_seconds: float) -> bool:
    return (datetime.fromisoformat(until) - started_at).total_seconds() <= short_seconds
