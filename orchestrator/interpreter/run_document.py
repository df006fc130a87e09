"""Build the run document (SPEC §9) from the state of a run."""

from typing import Any

from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.model.plan import Plan
from orchestrator.model.run import RESERVED, Run, RunInfo, Status, find_owner, summarize_run


def list_waits(state: RunState) -> list[dict[str, Any]]:
    """Return the open waits of the run."""
    return [
        {"node_id": step.node_id, "step_id": step.id, **step.waiting_for}
        for step in state.open.values()
        if step.waiting_for is not None
    ]


def derive_status(state: RunState) -> Status:
    """Return the status of the run: `waiting` when every open step waits."""
    if state.status != "running":
        return state.status
    leaves = [
        step for step in state.open.values() if step.status != "running" or not has_open_steps_inside(state, step)
    ]
    return "waiting" if leaves and all(step.status == "waiting" for step in leaves) else "running"


def has_open_steps_inside(state: RunState, step: Step) -> bool:
    """Return whether a step is a loop or a parallel with open steps inside."""
    return any(find_owner(other.path) == step.id for other in state.open.values())


def build_run_document(plan: Plan, info: RunInfo, state: RunState) -> Run:
    """Return the run document of this flow alone; the client adds the steps of child branches."""
    context = state.data.context
    leaf = next(reversed(state.open.values()), None)
    return Run.from_summary(
        summarize_run(
            plan, info, status=derive_status(state), started_at=state.started_at, completed_at=state.completed_at
        ),
        workflow_name=plan.name,
        trigger_data=context.get("trigger"),
        input_data=context.get("input"),
        context={name: value for name, value in context.items() if name not in RESERVED},
        steps=[step.to_document() for step in state.log],
        current_node_id=leaf.node_id if leaf else None,
        error=state.failure.message if state.failure else None,
        failure=state.failure and state.failure.to_json(),
        output=state.output,
        steps_completed=state.completed,
        steps_total=state.started - state.dropped,
        waiting_for=list_waits(state),
        warnings=list(state.warnings),
        parent_run_id=info.parent_run_id,
    )
