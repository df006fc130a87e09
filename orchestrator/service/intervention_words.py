"""Say in words what operators have done to a run. No I/O."""

from typing import assert_never

from orchestrator.model.run import Intervention, InterventionKind


def describe_intervention(done: Intervention) -> str:
    """Return what was done, by whom and why: `ann set variables: rate (a new tariff)`."""
    target = done.step_id or (f"{done.path}/{done.node_id}" if done.path and done.node_id else done.node_id)
    details = [*done.names, *([done.action] if done.action else []), *done.refused]
    version = f" to version {done.version}" if done.version is not None else ""
    return "".join(
        (
            f"{done.by or 'someone'} {'could not move the run' if done.refused else _choose_words(done.kind)}",
            f" {target}" if target else version,
            f": {', '.join(details)}" if details else "",
            f" ({done.reason})" if done.reason else "",
        )
    )


def _choose_words(kind: InterventionKind) -> str:
    match kind:
        case "set_variables":
            return "set variables"
        case "set_parameters":
            return "edited parameters of"
        case "set_result":
            return "gave a result to"
        case "skip_node":
            return "skipped"
        case "skip_wait":
            return "skipped the wait of"
        case "retry_now":
            return "retried"
        case "resolve":
            return "resolved"
        case "pause":
            return "paused the run"
        case "resume":
            return "resumed the run"
        case "migrate":
            return "moved the run"
        case _:
            assert_never(kind)
