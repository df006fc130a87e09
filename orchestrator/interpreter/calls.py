"""Calls of other workflows."""

from orchestrator.errors import StepFailed
from orchestrator.interpreter.effects import CallRequest
from orchestrator.interpreter.frames import Step
from orchestrator.interpreter.scopes import Machine, Place
from orchestrator.jsontools import schema
from orchestrator.model.plan import Call, Plan, list_inner_scopes


async def call(machine: Machine, node: Call, step: Step, place: Place) -> str:
    """Run another workflow."""
    callee = machine.plan.workflows[node.workflow]
    given = machine.compiled.render(node.input, place.env)
    step.input = given
    if callee.input_schema is not None and (found := schema.find_problems(callee.input_schema, given)):
        listed = "; ".join(f"{problem.path or '/'}: {problem.message}" for problem in found[:5])
        raise StepFailed(
            f"the input does not fit workflow {callee.id}: {listed}",
            error_type="validation_error",
            recoverable=False,
        )
    needed = {name: machine.plan.workflows[name] for name in sorted(collect_callees(callee, machine.plan.workflows))}
    plan = callee.model_copy(update={"workflows": needed})
    step.output = await machine.effects.call_workflow(
        CallRequest(plan=plan, input=given, wait=node.wait, step_id=step.id, title=node.title)
    )
    return "next"


def collect_callees(plan: Plan, workflows: dict[str, Plan]) -> set[str]:
    """Give the names of the workflows that a plan calls, directly or through others."""
    found: set[str] = set()
    scopes = [plan.scope]
    while scopes:
        for node in scopes.pop().nodes:
            if isinstance(node, Call) and node.workflow not in found:
                found.add(node.workflow)
                scopes.append(workflows[node.workflow].scope)
            else:
                scopes.extend(list_inner_scopes(node))
    return found
