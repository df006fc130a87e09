"""Write and read the result of a branch that ran as a child workflow."""

from collections.abc import Mapping
from typing import Any, cast

from orchestrator.interpreter.effects import BranchResult
from orchestrator.model.run import ErrorDocument
from orchestrator.temporal.payloads import MAX_PAYLOAD_BYTES, measure_json
from orchestrator.temporal.requests import omit_empty


def encode_branch_result(result: BranchResult, read: list[int]) -> dict[str, Any]:
    """Write down what a branch gives back; an output that is the variables again is left out."""
    entries = omit_empty(
        variables=dict(result.variables),
        steps=dict(result.steps),
        compensations=list(result.compensations),
        left=list(result.left),
        steps_started=result.steps_started,
        read=read,
    )
    if result.status == "completed" and result.output != result.variables:
        entries["output"] = result.output
    return entries


def result_within_limit(entries: dict[str, Any]) -> dict[str, Any]:
    """Keep what a branch that has not completed gives back under Temporal's limit: what is owed comes first."""
    if measure_json(entries) <= MAX_PAYLOAD_BYTES:
        return entries
    trimmed = {name: value for name, value in entries.items() if name not in ("steps", "variables", "output")}
    return trimmed if measure_json(trimmed) <= MAX_PAYLOAD_BYTES else {**trimmed, "compensations": []}


def read_branch_result(entries: Mapping[str, Any]) -> BranchResult:
    """Read what a completed branch gave back."""
    variables = entries.get("variables", {})
    return BranchResult(
        "completed",
        output=entries.get("output", variables),
        variables=variables,
        steps=entries.get("steps", {}),
        compensations=tuple(entries.get("compensations", ())),
        left=tuple(entries.get("left", ())),
        steps_started=entries.get("steps_started", 0),
    )


def read_unfinished_branch(status: str, error: ErrorDocument | None, entries: Mapping[str, Any]) -> BranchResult:
    """Read what a branch that failed or was cancelled gave back."""
    return BranchResult(
        cast(Any, status),
        error=error,
        steps=entries.get("steps", {}),
        compensations=tuple(entries.get("compensations", ())),
        steps_started=entries.get("steps_started", 0),
    )
