"""Replay recorded histories with the current code."""

from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer

from orchestrator.errors import OrchestratorError
from orchestrator.temporal.workflow.run_workflow import RunWorkflow


class HistoryUnreadable(OrchestratorError):
    """The text is not a workflow history in JSON."""

    code = "history_unreadable"


async def replay(run_id: str, history: str, converter: DataConverter = DataConverter.default) -> Exception | None:
    """Replay a history, the JSON that Temporal exports; return the nondeterminism error, or `None`.

    `converter` reads stored payloads. The sandbox is on, which also finds what workflow code must not do.
    """
    try:
        parsed = WorkflowHistory.from_json(run_id, history)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HistoryUnreadable(f"the file is not a workflow history in JSON: {error}") from error
    # The native part of the SDK panics and then hangs on a history that does not begin like this.
    first = parsed.events[0].workflow_execution_started_event_attributes if parsed.events else None
    if first is None or not first.original_execution_run_id or not first.workflow_type.name:
        raise HistoryUnreadable("the history does not begin with WorkflowExecutionStarted")
    # The SDK's deadlock detection goes by the clock: on a busy machine it would take slowness for a difference.
    replayer = Replayer(workflows=[RunWorkflow], data_converter=converter, debug_mode=True)
    result = await replayer.replay_workflow(parsed, raise_on_replay_failure=False)
    return result.replay_failure
