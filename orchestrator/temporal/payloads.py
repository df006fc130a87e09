"""What stands in history: the request of a run, the result of a branch, and how large either may be.

Replay-sensitive. Keys are left out where they say nothing: each byte is stored for every run.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from orchestrator.errors import StepFailed
from orchestrator.interpreter.effects import BranchResult
from orchestrator.model.plan import FORMAT, Plan
from orchestrator.model.run import RunInfo, RunState, timestamp
from orchestrator.temporal.failures import run_error

MAX_PAYLOAD_BYTES = 1_900_000
"""Temporal refuses payloads of 2 MiB and more, and would refuse them at every retry of the workflow task."""
MAX_TASK_BYTES = 3_000_000
"""What one workflow task may send: a gRPC message holds 4 MiB."""
MAX_STATE_BYTES = 1_048_576
"""What a run that continues as new carries along."""
MAX_DOCUMENT_BYTES = 1_900_000

TRIMMED = "(dropped: the record of this run is too long)"


def packed(value: Any, what: str) -> RawValue:
    """Convert a value for Temporal, once; StepFailed when it is too large or cannot be written as JSON."""
    try:
        payload: Payload = workflow.payload_converter().to_payload(value)
    except (TypeError, ValueError, RuntimeError, RecursionError) as error:
        raise StepFailed(f"{what} cannot be written as JSON: {error}", recoverable=False) from error
    if len(payload.data) > MAX_PAYLOAD_BYTES:
        raise StepFailed(
            f"{what} takes {len(payload.data):,} bytes, more than the {MAX_PAYLOAD_BYTES:,} that Temporal holds;"
            " keep large data elsewhere and pass a reference",
            details={"bytes": len(payload.data), "limit": MAX_PAYLOAD_BYTES},
            recoverable=False,
        )
    return RawValue(payload)


def json_size(value: Any) -> int:
    """Give the bytes that a value takes as JSON."""
    return len(json.dumps(value, separators=(",", ":")))


def written(**entries: Any) -> dict[str, Any]:
    """Make an object of the entries that say something."""
    return {name: value for name, value in entries.items() if value not in (None, {}, [], (), "", 0, False)}


def run_request(
    plan: Plan, info: RunInfo, *, given: Any = None, trigger: Any = None, state: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Make the request that starts a whole run, from the start or from a state."""
    request = {"plan": plan.to_json(), "run": info.model_dump(mode="json", exclude_defaults=True)}
    if given is not None:
        request["input"] = given
    if trigger is not None:
        request["trigger"] = trigger
    if state is not None:
        request["state"] = dict(state)
    return request


def read_plan(request: Mapping[str, Any]) -> tuple[Plan, RunInfo]:
    """Read the plan and who the run is.

    A plan that cannot be read fails the run. One that a newer release has made fails the workflow task:
    it waits for a worker of that release.
    """
    written_plan = request.get("plan")
    form = written_plan.get("format", FORMAT) if isinstance(written_plan, dict) else FORMAT
    if form != FORMAT:
        raise RuntimeError(f"the plan has format {form}, this worker reads {FORMAT}: upgrade the worker")
    try:
        return Plan.model_validate(written_plan), RunInfo.model_validate(request.get("run"))
    except ValidationError as error:
        if any(problem["type"] == "extra_forbidden" for problem in error.errors()):
            raise RuntimeError(f"the plan names what this worker does not know: {error}") from error
        raise unreadable("the plan", error) from error


def unreadable(what: str, error: Exception) -> ApplicationError:
    """Say that a request holds nothing that can be run; ends the run."""
    return run_error(
        {
            "message": f"{what} of this run cannot be read: {error}",
            "error_type": "validation_error",
            "details": {},
            "node_id": None,
            "recoverable": False,
            "timestamp": timestamp(workflow.now()),
        }
    )


def fitted_state(state: RunState, *, rewinds: bool) -> dict[str, Any] | None:
    """Write the state down, without what the oldest steps were given and gave where it is too large.

    `None` when even that does not fit.
    """
    whole = state.to_json()
    size = json_size(whole)
    for step in whole["log"]:
        if size <= MAX_STATE_BYTES:
            break
        size -= trim_step(step, "input", "output")
    if size > MAX_PAYLOAD_BYTES and not rewinds:  # only a retry of the run would miss it
        size -= json_size(whole["journal"])
        whole["journal"] = None
    return whole if size <= MAX_PAYLOAD_BYTES else None


def trim_step(step: dict[str, Any], *names: str) -> int:
    """Drop data of a step; give the bytes that this saves."""
    saved = 0
    for name in names:
        size = json_size(step.get(name))
        if size > len(TRIMMED):
            step[name] = TRIMMED
            saved += size - len(TRIMMED) - 2
    return saved


def fitted_document(shown: dict[str, Any]) -> dict[str, Any]:
    """Keep the answer to a query under Temporal's limit: the oldest steps lose their data first."""
    size = json_size(shown)
    for step in shown.get("steps", ()):
        if size <= MAX_DOCUMENT_BYTES:
            break
        size -= trim_step(step, "input_data", "output_data")
    for name in ("context", "input_data", "trigger_data", "output"):
        if size > MAX_DOCUMENT_BYTES and name in shown:
            size -= json_size(shown[name])
            shown[name] = {"dropped": TRIMMED}
    return shown


def branch_result_json(result: BranchResult, read: list[int]) -> dict[str, Any]:
    """Write down what a branch gives back; an output that is the variables again is left out."""
    entries = written(
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


def fitted_result(entries: dict[str, Any]) -> dict[str, Any]:
    """Keep what a branch that has not completed gives back under Temporal's limit: what is owed comes first."""
    if json_size(entries) <= MAX_PAYLOAD_BYTES:
        return entries
    kept = {name: value for name, value in entries.items() if name not in ("steps", "variables", "output")}
    return kept if json_size(kept) <= MAX_PAYLOAD_BYTES else {**kept, "compensations": []}


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


def ended_branch(status: str, error: dict[str, Any] | None, entries: Mapping[str, Any]) -> BranchResult:
    """Read what a branch that failed or was cancelled gave back."""
    return BranchResult(
        cast(Any, status),
        error=error,
        steps=entries.get("steps", {}),
        compensations=tuple(entries.get("compensations", ())),
        steps_started=entries.get("steps_started", 0),
    )
