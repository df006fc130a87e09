"""The nodes that need something from outside: act, delay, wait, call. Replay-sensitive."""

from orchestrator.interpreter.effects import ActRequest, Resolution
from orchestrator.interpreter.frames import Step
from orchestrator.interpreter.scopes import Machine, Place
from orchestrator.jsontools.pointer import split_pointer
from orchestrator.model.plan import Action


async def act(machine: Machine, node: Action, step: Step, place: Place, words: list[Resolution]) -> str:
    """Call the node's action."""
    parameters, secrets = machine.compiled.parameters(node.config, place.env)
    edits = [word.parameters for word in words if word.parameters]
    for edit in edits:
        parameters = {**parameters, **edit}
        secrets = {at: parts for at, parts in secrets.items() if split_pointer(at)[0] not in edit}
    step.input = parameters
    # A request with other parameters is another effect: it must not hide behind the first one's key.
    suffix = f"~{len(edits)}" if edits else ""
    acted = await machine.effects.act(
        ActRequest(
            action=node.action,
            parameters=parameters,
            secrets=secrets,
            step_id=step.id,
            node_id=node.id,
            title=node.title,
            idempotency_key=machine.key(f"{step.id}{suffix}"),
            retry=node.retry,
            timeout_seconds=node.timeout_seconds,
            heartbeat_seconds=node.heartbeat_seconds,
            task_queue=node.task_queue or machine.plan.task_queue,
            local=node.local,
        )
    )
    result = acted.result
    step.output = result if isinstance(result, dict) else {"result": result}
    step.retry_count += acted.attempts - 1
    return "next"
