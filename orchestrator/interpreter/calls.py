"""Call other workflows. Replay-sensitive."""

from orchestrator.errors import StepFailed
from orchestrator.interpreter.base import NodeRun
from orchestrator.interpreter.effects import CallRequest
from orchestrator.interpreter.pure_nodes import NEXT, Exit
from orchestrator.interpreter.waits import describe_problems
from orchestrator.model.plan import Call, Plan
from orchestrator.model.plan_nodes import list_inner_scopes


async def call(run: NodeRun, node: Call) -> Exit:
    """Run another workflow."""
    callee = run.plan.workflows[node.workflow]
    call_input = run.render(node.input)
    run.step.input = call_input
    if callee.input_schema is not None and (problems := describe_problems(run, callee.input_schema, call_input)):
        raise StepFailed(
            f"config.input does not match the input_schema of workflow {callee.id}: {problems}",
            error_type="validation_error",
            recoverable=False,
        )
    callee_names = sorted(collect_callees(callee, run.plan.workflows))
    plan = callee.model_copy(update={"workflows": {name: run.plan.workflows[name] for name in callee_names}})
    if node.wait:
        run.step.status = "waiting"
        run.step.waiting_for = {"kind": "child"}
    run.step.output = await run.effects.call_workflow(
        CallRequest(plan=plan, input=call_input, wait=node.wait, step_id=run.step.id, title=node.title)
    )
    return NEXT


def collect_callees(plan: Plan, workflows: dict[str, Plan]) -> set[str]:
    """Return the names of the workflows that a plan calls, directly or through others."""
    names: set[str] = set()
    scopes = [plan.scope]
    while scopes:
        for node in scopes.pop().nodes:
            if isinstance(node, Call) and node.workflow not in names:
                names.add(node.workflow)
                scopes.append(workflows[node.workflow].scope)
            else:
                scopes.extend(list_inner_scopes(node))
    return names
