"""Encode and read the result of a branch that ran as a child workflow. Replay-sensitive."""

from collections.abc import Mapping
from typing import Any, cast

from orchestrator.interpreter.effects import BranchResult
from orchestrator.interpreter.pending_compensation import PendingCompensation
from orchestrator.model.run import ErrorDocument
from orchestrator.temporal.payloads import is_within
from orchestrator.temporal.requests import omit_empty


def encode_branch_result(result: BranchResult, read: list[int]) -> dict[str, Any]:
    """Encode the result of a branch; an output that equals the variables is left out."""
    entries = omit_empty(
        variables=dict(result.variables),
        steps=dict(result.steps),
        compensations=[pending.to_json() for pending in result.compensations],
        left=list(result.exits),
        steps_started=result.steps_started,
        read=read,
    )
    if result.status == "completed" and result.output != result.variables:
        entries["output"] = result.output
    return entries


def result_within_limit(entries: dict[str, Any], limit: int) -> dict[str, Any]:
    """Trim the result of a branch that has not completed; its compensations are dropped last."""
    if is_within(entries, limit):
        return entries
    trimmed = {name: value for name, value in entries.items() if name not in ("steps", "variables", "output")}
    return trimmed if is_within(trimmed, limit) else {**trimmed, "compensations": []}


def read_branch_result(entries: Mapping[str, Any]) -> BranchResult:
    """Read the result of a completed branch."""
    variables = entries.get("variables", {})
    return BranchResult(
        "completed",
        output=entries.get("output", variables),
        variables=variables,
        steps=entries.get("steps", {}),
        compensations=_read_compensations(entries),
        exits=tuple(entries.get("left", ())),
        steps_started=entries.get("steps_started", 0),
    )


def read_unfinished_branch(status: str, error: ErrorDocument | None, entries: Mapping[str, Any]) -> BranchResult:
    """Read the result of a branch that failed or was cancelled."""
    return BranchResult(
        cast(Any, status),
        error=error,
        steps=entries.get("steps", {}),
        compensations=_read_compensations(entries),
        steps_started=entries.get("steps_started", 0),
    )


def _read_compensations(entries: Mapping[str, Any]) -> tuple[PendingCompensation, ...]:
    return tuple(PendingCompensation.from_json(entry) for entry in entries.get("compensations", ()))
