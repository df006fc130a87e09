"""Hand a part of a flow to a child workflow: a branch, or a batch of iterations. Replay-sensitive."""

from collections.abc import Iterable

from orchestrator.interpreter.base import NodeRun
from orchestrator.interpreter.effects import BranchRequest, BranchResult
from orchestrator.interpreter.repairs import Override
from orchestrator.model.plan import Plan, Scope
from orchestrator.model.run_paths import is_inside


def build_part(plan: Plan, scope: Scope, workflows: Iterable[str], steps_left: int) -> Plan:
    """Return a part of the graph as a plan of its own."""
    # The flow outside the child enforces the time limit of the run, its input was checked when the run started, and
    # the context holds the variables as they are now.
    return plan.model_copy(
        update={
            "scope": scope,
            "variables": {},
            "max_steps": steps_left,
            "timeout_seconds": None,
            "input_schema": None,
            "workflows": {name: plan.workflows[name] for name in workflows},
        }
    )


def select_overrides(run: NodeRun, scope: Scope, path: str) -> tuple[Override, ...]:
    """Return what operators have decided on steps of a branch."""
    if not run.state.overrides:
        return ()
    owned = run.interpreter.list_owned(scope)
    return tuple(
        each
        for each in run.state.overrides
        if each.node_id in owned and (is_inside(path, each.path) or is_inside(each.path, path))
    )


async def run_child(run: NodeRun, request: BranchRequest) -> BranchResult:
    """Run a child workflow to its end; what it has done is then to be undone with the flow."""
    result = await run.effects.run_branch(request)
    run.state.compensations.extend(result.compensations)
    run.state.started += result.steps_started
    run.state.completed += result.steps_started
    return result


def has_used_up_steps(result: BranchResult, steps_left: int) -> bool:
    """Return whether a child failed because it needs more steps than were left of the run's `max_steps`."""
    error = result.error
    return error is not None and result.steps_started >= steps_left and error.details.get("limit") == "max_steps"
