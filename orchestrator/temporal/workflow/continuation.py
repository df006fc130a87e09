"""Continue a run as new once every path has come to rest: itself, or another version. Replay-sensitive.

A path that reaches a node boundary while this is due is held there. Actions under way end; delays, waits and steps that
wait for an operator are written down as they are. What is to be written down is looked at when no task of the run can
run by itself (`workflow.wait_condition`), so it does not depend on the order in which paths came to rest. The run's
tasks stay where they are: the server drops their timers, and the worker their coroutines.
"""

import asyncio

from temporalio import workflow
from temporalio.common import RawValue

from orchestrator.temporal.workflow.flow import Flow
from orchestrator.temporal.workflow.task_budget import YIELD_SECONDS


async def watch_for_continuation(flow: Flow, end: "asyncio.Future[list[RawValue] | None]") -> None:
    """Set the arguments of the next execution as the result of `end` when all paths are at rest."""
    if not flow.effects.lineup.is_open:
        await _wait_until_idle()
        flow.effects.lineup.open()
        # An event is handed out to several waits only where they are open (`Inbox.deliver`).
        await _wait_until_idle()
        await flow.effects.deliver_early()
    while not end.done():
        await workflow.wait_condition(flow.has_gathered)
        if flow.has_handled_signals:
            # The SDK handles the signals of a workflow task first: a cancellation in the same task would be lost.
            await workflow.sleep(YIELD_SECONDS)
            await _wait_until_idle()
        if end.done() or not flow.has_gathered():
            continue
        if flow.effects.has_to_release():
            flow.effects.release()
        elif flow.migration is not None:
            if (request := flow.encode_move(flow.migration)) is not None:
                end.set_result(request)
        elif (request := flow.encode_continuation()) is not None:
            end.set_result(request)
        else:
            workflow.logger.warning("the state is too large to continue as new")
            flow.effects.postpone_continuation()


async def _wait_until_idle() -> None:
    """Return when no other task of the run can continue by itself: conditions are checked then."""
    await workflow.wait_condition(lambda: True)
