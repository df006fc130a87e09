"""Approvals: waits that people decide. Replay-sensitive."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.actions import place_links
from orchestrator.interpreter.base import NodeRun
from orchestrator.interpreter.compiled import describe_kind
from orchestrator.interpreter.effects import ActRequest, ReceivedEvent
from orchestrator.interpreter.failures import KNOWN_ERRORS, to_step_failure
from orchestrator.interpreter.leaf_frames import BusyNode, WaitFrame
from orchestrator.interpreter.pool import is_cancelled
from orchestrator.interpreter.step_record import Step
from orchestrator.language.values import to_text
from orchestrator.model.plan import Approval, Reminder, Wait
from orchestrator.model.run import format_timestamp

MAX_ASSIGNEES = 100
MAX_TITLE = 500
"""Characters."""


def render_approval(run: NodeRun, approval: Approval) -> dict[str, Any]:
    """Return what an approval adds to the wait in a document; raises StepFailed."""
    title = to_text(run.render(approval.title), run.scope.env.spend)[:MAX_TITLE]
    assignees = run.render(approval.assignees)
    if isinstance(assignees, str):
        assignees = [assignees]
    if (
        not isinstance(assignees, list)
        or not assignees
        or not all(isinstance(name, str) and name for name in assignees)
    ):
        message = f"the assignees are {describe_kind(assignees)}; expected a list of names or addresses"
        raise StepFailed(message, recoverable=False)
    if len(assignees) > MAX_ASSIGNEES:
        message = f"the approval has {len(assignees):,} assignees; the limit is {MAX_ASSIGNEES}"
        raise StepFailed(message, recoverable=False)
    shown = {"title": title, "assignees": list(dict.fromkeys(assignees)), "fields": list(approval.fields)}
    return {"kind": "approval", "approval": shown}


def may_decide(step: Step, received: ReceivedEvent) -> bool:
    """Return whether the sender of an answer may decide: one with a link has to be an assignee."""
    waits = step.waiting_for or {}
    return received.step_id is None or received.by in waits.get("approval", {}).get("assignees", ())


def describe_decision(received: ReceivedEvent, now: datetime) -> dict[str, Any]:
    """Return who decided, by a link or through the API, and when."""
    via = "api" if received.step_id is None else "link"
    return {"by": received.by, "via": via, "decided_at": format_timestamp(now)}


def plan_reminder(run: NodeRun, approval: Approval, progress: WaitFrame) -> None:
    """Set when the assignees are reminded next, if at all."""
    reminder = approval.reminder
    is_due = reminder is not None and progress.reminders < reminder.at_most
    seconds = reminder.every_seconds if reminder is not None else 0.0
    progress.remind_at = run.effects.now() + timedelta(seconds=seconds) if is_due else None


async def remind(run: NodeRun, node: Wait, progress: WaitFrame) -> None:
    """Remind each assignee; a reminder that fails is only a warning on the step."""
    if node.approval is None or node.approval.reminder is None:
        return
    progress.reminders += 1
    assignees = (run.step.waiting_for or {})["approval"]["assignees"]
    run.scope.frame.open = BusyNode(run.step)  # the action has to end before the run can be written down
    for index, assignee in enumerate(assignees):
        await _remind_one(run, node.approval.reminder, f"remind~{progress.reminders}.{index + 1}", assignee)
        if is_cancelled():  # it arrived with the result of the reminder, which has absorbed it
            raise asyncio.CancelledError
    run.scope.frame.open = progress
    plan_reminder(run, node.approval, progress)


async def _remind_one(run: NodeRun, reminder: Reminder, name: str, assignee: str) -> None:
    call, step = reminder.call, run.step
    call_id = f"{step.id}/{name}"
    env = run.interpreter.make_env({**run.scope.data.context, "assignee": assignee})
    try:
        parameters, secrets = run.interpreter.compiled.parameters(call.config, env)
        await run.effects.act(
            ActRequest(
                action=call.action,
                parameters=parameters,
                secrets=place_links(secrets, run.scope.path),
                step_id=call_id,
                node_id=run.node.id,
                title=f"remind {assignee}: {run.node.title}",
                idempotency_key=run.interpreter.make_idempotency_key(call_id),
                retry=call.retry,
                timeout_seconds=call.timeout_seconds,
                task_queue=run.plan.task_queue,
            )
        )
    except KNOWN_ERRORS as error:
        step.warnings += (f"the reminder of {assignee} failed: {to_step_failure(error, run.node.id).message}",)
