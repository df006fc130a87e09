"""Failures of steps, and what unwinds scopes. Replay-sensitive."""

from datetime import datetime

from orchestrator.errors import ConditionError, ErrorType, ExpressionError, StepFailed
from orchestrator.jsontools.json_values import NotJson, normalize_json, replace_surrogates
from orchestrator.model.plan import Node
from orchestrator.model.run import ErrorDocument

# Rewind, LimitReached and HistoryFull are not in here, so that no `on_error`, `continue_on_error` or join can swallow
# them: they unwind every scope on their way and are turned into failures at the top of the flow only.
KNOWN_ERRORS = (StepFailed, ExpressionError, ConditionError)

MAX_QUOTED = 120
"""Characters of a template that an error quotes."""


class Rewind(Exception):
    """Unwind to the scope that has a node, and go back to that node."""

    def __init__(self, node_id: str, failure: StepFailed) -> None:
        super().__init__(node_id)
        self.node_id = node_id
        self.failure = failure
        """Raised instead when that node has never started."""


class LimitReached(Exception):
    """The run needs more than `max_steps` steps."""


class HistoryFull(Exception):
    """The history of the run has no space left for more steps, only for compensations."""

    def __init__(self, events: int, size: int) -> None:
        super().__init__(events, size)
        self.events = events
        self.size = size
        """In bytes."""
        self.node_id: str | None = None
        """The node that was to run next."""


def to_step_failure(error: StepFailed | ExpressionError | ConditionError, node_id: str | None) -> StepFailed:
    """Return what a node raised as the failure of its step; the id of the innermost node stays."""
    if isinstance(error, StepFailed):
        error.node_id = error.node_id or node_id
        return error
    error_type: ErrorType = "condition_error" if isinstance(error, ConditionError) else "execution_error"
    message = f"{error}{_quote_template(error)}"
    return StepFailed(message, error_type=error_type, recoverable=False, node_id=node_id)


def _quote_template(error: ExpressionError | ConditionError) -> str:
    """Return which template failed: a node may have many, and the position alone does not tell."""
    if not isinstance(error, ExpressionError) or not error.source:
        return ""
    source = " ".join(error.source.split())
    return f", in `{source if len(source) <= MAX_QUOTED else f'{source[: MAX_QUOTED - 1]}…'}`"


def build_error_document(failure: StepFailed, now: datetime, node_id: str | None = None) -> ErrorDocument:
    """Return the error document of a failure; `node_id` is the node to name where the failure names none."""
    try:
        details, _ = normalize_json(failure.details)
    except NotJson as error:
        details = {"dropped": f"the details cannot be stored: {error}"}
    return ErrorDocument(
        message=replace_surrogates(failure.message),
        error_type=failure.error_type,
        details=details,
        node_id=failure.node_id or node_id,
        recoverable=failure.recoverable,
        timestamp=now,
    )


def build_retry_exhausted(failure: StepFailed, attempts: int) -> StepFailed:
    """Return the failure of a step whose last attempt failed with `failure` (SPEC §6)."""
    last = {"message": failure.message, "error_type": failure.error_type, "details": failure.details}
    return StepFailed(
        failure.message,
        error_type="retry_exhausted",
        details={"attempts": attempts, "last_error": last},
        attempts=attempts,
    )


def build_recorded_failure(error: ErrorDocument, attempts: int = 1) -> StepFailed:
    """Return the failure that a document describes."""
    return StepFailed(
        error.message,
        error_type=error.error_type,
        details=error.details,
        recoverable=error.recoverable,
        attempts=attempts,
        node_id=error.node_id,
    )


def build_branch_failure(node: Node, index: int, error: ErrorDocument, statuses: list[str]) -> StepFailed:
    """Return the failure of a parallel that one of its branches failed."""
    return StepFailed(
        f"branch {index} of {node.title} failed: {error.message}",
        error_type=error.error_type,
        details={"branch": index, "error": error.to_json(), "statuses": statuses},
        recoverable=error.recoverable,
        node_id=error.node_id,
    )
