"""Call an action. Replay-sensitive."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.base import NodeRun, take_warnings
from orchestrator.interpreter.compiled import Compiled
from orchestrator.interpreter.effects import ActionResult, ActRequest
from orchestrator.interpreter.pure_nodes import NEXT, Exit
from orchestrator.interpreter.step_record import Step
from orchestrator.jsontools.json_values import SURROGATES_REPLACED, NotJson, normalize_json
from orchestrator.jsontools.pointer import split_pointer
from orchestrator.language import map_links
from orchestrator.language.functions import APPROVAL_LINK
from orchestrator.model.plan import Action


async def act(run: NodeRun, node: Action, edits: Sequence[dict[str, Any]]) -> Exit:
    """Call the node's action, with the parameters that operators have changed; their templates are rendered here."""
    step = run.step
    parameters, secrets = run.interpreter.compiled.parameters(node.config, run.scope.env)
    edits = [*run.state.list_parameters(step), *edits]
    for edit in edits:
        # A compiler of its own: that of the plan remembers sources by identity, and an edit may be gone by then.
        changed, deferred = Compiled().parameters(edit, run.scope.env)
        parameters = {**parameters, **changed}
        secrets = {at: parts for at, parts in secrets.items() if split_pointer(at)[0] not in edit} | deferred
    secrets = place_links(secrets, run.scope.path)
    step.input = parameters
    take_warnings(run.scope, step)
    # A request with other parameters is another effect: it must not hide behind the first one's key.
    suffix = f"~{len(edits)}" if edits else ""
    request = ActRequest(
        action=node.action,
        parameters=parameters,
        secrets=secrets,
        step_id=step.id,
        node_id=node.id,
        title=node.title,
        idempotency_key=run.interpreter.make_idempotency_key(f"{step.id}{suffix}"),
        retry=node.retry,
        timeout_seconds=node.timeout_seconds,
        heartbeat_seconds=node.heartbeat_seconds,
        task_queue=node.task_queue or run.plan.task_queue,
        local=node.local,
        fused=node.fused,
    )
    try:
        answer = await run.effects.act(request)
    except StepFailed as failure:
        step.retry_count += max(failure.attempts - 1, 0)
        raise
    step.retry_count += answer.attempts - 1
    accept_result(step, answer)
    return NEXT


def place_links(secrets: Mapping[str, list[Any]], path: str) -> dict[str, list[Any]]:
    """Add to approval links the path of the step that sends them: whose iteration or branch they are about."""
    return map_links(secrets, lambda link: {APPROVAL_LINK: {**link, "path": path}})


def accept_result(step: Step, answer: ActionResult) -> None:
    """Store the result of an action as the output of its step: an object, so that templates can name its parts.

    Raises StepFailed for a result that cannot be stored. The action is not called again: it has done its work.
    """
    try:
        output, has_surrogates = (answer.result, False) if answer.is_normal else normalize_json(answer.result)
    except NotJson as error:
        raise StepFailed(f"cannot store the result: {error}", error_type="action_error", recoverable=False) from None
    step.warnings += answer.warnings
    if has_surrogates:
        step.warnings += (SURROGATES_REPLACED,)
    step.output = output if isinstance(output, dict) else {"result": output}
