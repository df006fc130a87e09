"""Run recorded histories through the code of now. No HTTP, no printing."""

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from orchestrator.errors import OrchestratorError
from orchestrator.temporal.workflow.run_workflow import RunWorkflow


class HistoryUnreadable(OrchestratorError):
    """The text is no workflow history in JSON."""

    code = "history_unreadable"


async def replay(run_id: str, history: str) -> Exception | None:
    """Run a recorded history through the code of now; give what does not fit, `None` when all does.

    `history` is the JSON that Temporal exports. The sandbox is on: it also finds what workflow code must not do.
    """
    try:
        read = WorkflowHistory.from_json(run_id, history)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HistoryUnreadable(f"the text is no workflow history in JSON: {error}") from error
    # The native part of the SDK would panic, and then wait for ever, on what does not begin like this.
    first = read.events[0].workflow_execution_started_event_attributes if read.events else None
    if first is None or not first.original_execution_run_id or not first.workflow_type.name:
        raise HistoryUnreadable("the history does not begin with the start of a workflow")
    result = await Replayer(workflows=[RunWorkflow]).replay_workflow(read, raise_on_replay_failure=False)
    return result.replay_failure
