"""Build what an activity is sent. Replay-sensitive."""

from orchestrator.interpreter.effects import ActRequest
from orchestrator.model.activity_input import ActivityInput
from orchestrator.model.run import RunInfo


def build_activity_input(info: RunInfo, workflow_id: str, request: ActRequest) -> ActivityInput:
    """Return the argument of the activity of an action."""
    return ActivityInput(
        parameters=request.parameters,
        run_id=info.id,
        workflow_id=workflow_id,
        node_id=request.node_id,
        idempotency_key=request.idempotency_key,
        customer_id=info.customer_id,
        secrets=request.secrets,
    )
