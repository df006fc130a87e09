"""Show in search attributes what a flow waits for, once nothing else happens in it. Replay-sensitive.

Conditions are checked when no task of the flow can go on by itself, so a wait that ends in the same workflow task is
never shown. Setting the attributes costs one event, which is sent with the timer of the wait.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

from orchestrator.interpreter.run_document import list_waits
from orchestrator.temporal.search_attributes import MOVED_AT, WAITING
from orchestrator.temporal.waiting import encode_waits
from orchestrator.temporal.workflow.flow import Flow

SHORT_SECONDS = 1.0
"""A delay that is not longer is not shown."""


async def watch_waits(flow: Flow, end: "asyncio.Future[RawValue | None]") -> None:
    """Show what the flow waits for, until `end` is done."""
    shown = tuple(workflow.info().typed_search_attributes.get(WAITING) or ())

    def has_changed() -> bool:
        return describe_waits(flow, shown) != shown

    while not end.done():
        await workflow.wait_condition(has_changed)
        shown = describe_waits(flow, shown)
        value = WAITING.value_set(list(shown)) if shown else WAITING.value_unset()
        workflow.upsert_search_attributes([value, MOVED_AT.value_set(workflow.now())])


def describe_waits(flow: Flow, shown: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the flow waits for; what is shown while it only pauses for the server."""
    effects, state = flow.effects, flow.state
    if effects.is_between_tasks():
        return shown
    if effects.working or state.status != "running":
        return ()
    has_branches = any(child.path for child in effects.children.running.values())
    if effects.children.running and not has_branches:
        return ()  # called workflows: Temporal lists their runs by their caller
    return encode_waits(_iterate_waits(flow), has_branches=has_branches)


def _iterate_waits(flow: Flow) -> Iterator[dict[str, Any]]:
    if flow.effects.held:
        yield {"node_id": None, "kind": "paused"}
    started = {step.id: step.started_at for step in flow.state.open.values()}
    for wait in list_waits(flow.state):
        if wait["kind"] == "delay" and _is_short(started[wait["step_id"]], wait["until"]):
            continue
        yield wait


def _is_short(started_at: datetime, until: str) -> bool:
    return (datetime.fromisoformat(until) - started_at).total_seconds() <= SHORT_SECONDS
