"""What an error becomes: the error document, and what `on_error` says to do. Replay-sensitive."""

from datetime import datetime
from typing import Any, Literal

from orchestrator.errors import ConditionError, ErrorType, ExpressionError, StepFailed
from orchestrator.model.plan import Action, Call, Loop, Node, Parallel
from orchestrator.model.run import format_timestamp

KNOWN_ERRORS = (StepFailed, ExpressionError, ConditionError)
CAN_PAUSE = (Action, Call, Loop, Parallel)


class Rewind(Exception):
    """Go back to a node of an enclosing scope."""

    def __init__(self, node_id: str, failure: StepFailed) -> None:
        super().__init__(node_id)
        self.node_id = node_id
        self.failure = failure
        """What to fail with when that node has never started."""


class LimitReached(Exception):
    """The run has made as many steps as it may."""


def to_step_failure(error: StepFailed | ExpressionError | ConditionError, node_id: str) -> StepFailed:
    """Turn what a node raised into a failure of its step; the innermost node keeps its name."""
    if isinstance(error, StepFailed):
        error.node_id = error.node_id or node_id
        return error
    error_type: ErrorType = "condition_error" if isinstance(error, ConditionError) else "execution_error"
    return StepFailed(str(error), error_type=error_type, recoverable=False, node_id=node_id)


def build_error_document(failure: StepFailed, node_id: str, now: datetime) -> dict[str, Any]:
    """Write the error document of SPEC §6."""
    return {
        "message": failure.message,
        "error_type": failure.error_type,
        "details": failure.details,
        "node_id": failure.node_id or node_id,
        "recoverable": failure.recoverable,
        "timestamp": format_timestamp(now),
    }


def build_branch_failure(node: Node, index: int, error: dict[str, Any], branches: list[dict[str, Any]]) -> StepFailed:
    """Say that a branch failed its parallel."""
    return StepFailed(
        f"branch {index} of {node.title} failed: {error['message']}",
        error_type=error["error_type"],
        details={"branch": index, "error": error, "statuses": [branch["status"] for branch in branches]},
        recoverable=error.get("recoverable", True),
        node_id=error.get("node_id"),
    )


Handled = Literal["next", "error", "retry"]
