"""Build and read the request that starts a run. Replay-sensitive."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from orchestrator.model.plan import FORMAT, Plan
from orchestrator.model.run import ErrorDocument, RunInfo
from orchestrator.temporal.failures import build_run_failure
from orchestrator.temporal.payloads import decode_shared


def omit_empty(**entries: Any) -> dict[str, Any]:
    """Return the entries that are not empty: each byte of a request is stored for every run."""
    return {name: value for name, value in entries.items() if value not in (None, {}, [], (), "", 0, False)}


def build_run_request(
    plan: Plan, info: RunInfo, *, input_data: Any = None, trigger: Any = None, state: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Build the request of a run that begins at the trigger, or from a state."""
    request = {"plan": plan.to_json(), "run": info.model_dump(mode="json", exclude_defaults=True)}
    if input_data is not None:
        request["input"] = input_data
    if trigger is not None:
        request["trigger"] = trigger
    if state is not None:
        request["state"] = dict(state)
    return request


def read_request(value: Any) -> Mapping[str, Any]:
    """Return the request in a workflow's input; an empty one where it is invalid."""
    try:
        request = decode_shared(value)
    except ValueError:
        return {}
    return request if isinstance(request, Mapping) else {}


def read_plan(request: Mapping[str, Any]) -> tuple[Plan, RunInfo]:
    """Return the plan and the identity of the run.

    Raises ApplicationError, which fails the run, where the plan is invalid. A plan of a newer release raises
    RuntimeError, which fails the workflow task: the run waits for a worker of that release.
    """
    plan_json = request.get("plan")
    plan_format = plan_json.get("format", FORMAT) if isinstance(plan_json, dict) else FORMAT
    if plan_format != FORMAT:
        raise RuntimeError(
            f"plan format {plan_format} is not supported by this worker (format {FORMAT}): upgrade the worker"
        )
    try:
        return Plan.model_validate(plan_json), RunInfo.model_validate(request.get("run"))
    except ValidationError as error:
        if any(problem["type"] == "extra_forbidden" for problem in error.errors()):
            raise RuntimeError(
                f"the plan has fields that this worker does not know: upgrade the worker: {error}"
            ) from error
        raise build_unreadable_error("plan", error) from error


def build_unreadable_error(what: str, error: Exception) -> ApplicationError:
    """Return the error that fails a run whose request is invalid."""
    message = f"the {what} of this run is invalid: {error}"
    return build_run_failure(
        ErrorDocument(message=message, error_type="validation_error", recoverable=False, timestamp=workflow.now())
    )
