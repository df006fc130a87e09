"""Build the run document (SPEC §9) from the state of a run."""

from collections.abc import Iterator
from typing import Any

from orchestrator.interpreter.frames import Frame, LoopFrame, ParallelFrame
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.model.plan import Loop, Parallel, Plan, Scope
from orchestrator.model.run import RESERVED, Run, RunInfo, Status, find_owner, summarize_run


def list_waits(state: RunState) -> list[dict[str, Any]]:
    """Return the open waits of the run."""
    return [
        {"node_id": step.node_id, "step_id": step.id, **step.waiting_for}
        for step in state.open.values()
        if step.waiting_for is not None
    ]


def list_held_nodes(plan: Plan, state: RunState) -> list[tuple[str, str]]:
    """Return the nodes before which the paths of a paused flow are held, each with the path of its scope."""
    return list(_iterate_held(plan.scope, state.frame, state.path))


def _iterate_held(scope: Scope, frame: Frame, path: str) -> Iterator[tuple[str, str]]:
    if frame.open is None:
        if frame.active:
            yield scope.nodes[frame.active[0]].id, path
        return
    step = frame.open.step
    node = next(node for node in scope.nodes if node.id == step.node_id)
    match frame.open, node:
        case LoopFrame() as loop, Loop():
            if loop.frame is not None:
                yield from _iterate_held(node.body, loop.frame, step.make_inner_path(loop.index))
            for index, fork in loop.forks.items():
                yield from _iterate_held(node.body, fork.frame, step.make_inner_path(index))
            if loop.frame is None and not loop.forks:  # held between two iterations
                yield node.id, path
        case ParallelFrame() as parallel, Parallel():
            for index, fork in parallel.forks.items():
                yield from _iterate_held(node.branches[index].scope, fork.frame, step.make_inner_path(index))


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
