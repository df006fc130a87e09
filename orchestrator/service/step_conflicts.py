"""Say which operator was first where two have acted on the same step. No I/O."""

from orchestrator.model.run import Intervention, InterventionKind, Run
from orchestrator.service.intervention_words import describe_intervention

DECIDING: frozenset[InterventionKind] = frozenset({"resolve", "set_result", "skip_node", "skip_wait", "retry_now"})
"""What ends the wait of a step."""
DECIDABLE = frozenset({"operator", "approval", "event", "delay", "paused"})
"""Waits that an operator can end; a step that is tried again may wait for a worker, or for the run that it calls."""


def describe_first_operator(run: Run, step: str, path: str | None = None) -> str:
    """Return what was decided on a step, by its ID or that of its node, by whom and when.

    Empty where the step still waits, or no operator has decided on it: the refusal has another reason.
    """
    waits = [wait for wait in run.waiting_for if wait["kind"] in DECIDABLE]
    if any(step in (wait.get("step_id"), wait.get("node_id")) for wait in waits):
        return ""
    decided = [each for each in run.interventions if _is_decision(each, step, path)]
    return f"{describe_intervention(decided[-1])}, at {decided[-1].at:%Y-%m-%d %H:%M:%S} UTC" if decided else ""


def _is_decision(done: Intervention, step: str, path: str | None) -> bool:
    return done.kind in DECIDING and step in (done.step_id, done.node_id) and path in (None, done.path)
