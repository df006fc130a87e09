"""Build and read the request that starts a run or a branch. Replay-sensitive.

It is sent as three arguments or more, which Temporal's page shows one below the other:

    input       what was sent to start the run; the variables that a branch is given
    envelope    `{run, trigger, branch, state, …}`, compressed with a large state
    plan        what runs
    chunks      parts of the long lists and texts in the envelope; only where there is a payload store
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.converter import DefaultPayloadConverter, PayloadConverter
from temporalio.exceptions import ApplicationError

from orchestrator.model.plan import FORMAT, Plan
from orchestrator.model.run import ErrorDocument, RunInfo
from orchestrator.temporal.failures import build_run_failure
from orchestrator.temporal.payloads import decode_shared
from orchestrator.temporal.search_attributes import WORKFLOW_ID

M = TypeVar("M", bound=BaseModel)
ARGUMENTS = 3
"""Without chunks."""
PLAN = 2
"""Position of the plan."""
JSON = b"json/plain"


def omit_empty(**entries: Any) -> dict[str, Any]:
    """Return the entries that are not empty: each byte of a request is stored for every run."""
    return {name: value for name, value in entries.items() if value not in (None, {}, [], (), "", 0, False)}


def build_run_request(plan: Plan, info: RunInfo, *, input_data: Any = None, trigger: Any = None) -> dict[str, Any]:
    """Build the request of a run that begins at the trigger."""
    request = {"plan": plan.to_json(), "run": info.model_dump(mode="json", exclude_defaults=True)}
    if input_data is not None:
        request["input"] = input_data
    if trigger is not None:
        request["trigger"] = trigger
    return request


def split_request(request: Mapping[str, Any]) -> tuple[Any, dict[str, Any], Any]:
    """Return the arguments of a workflow for a request: input, envelope and plan."""
    envelope = {name: value for name, value in request.items() if name not in ("input", "plan")}
    return request.get("input"), envelope, request["plan"]


def encode_request(request: Mapping[str, Any], encoded: Sequence[RawValue] = ()) -> list[RawValue]:
    """Encode the arguments of a workflow; `encoded` is an envelope that is encoded already, with its chunks."""
    run_input, fields, plan = split_request(request)
    converter = DefaultPayloadConverter()
    envelope, *chunks = encoded or [RawValue(converter.to_payload(fields))]
    return [RawValue(converter.to_payload(run_input)), envelope, RawValue(converter.to_payload(plan)), *chunks]


def wrap_whole_request(encoded: Sequence[RawValue]) -> list[RawValue]:
    """Return the arguments of a workflow for an envelope that holds the plan, too."""
    envelope, *chunks = encoded
    nothing = RawValue(DefaultPayloadConverter().to_payload(None))
    return [nothing, envelope, nothing, *chunks]


def measure_arguments(args: Sequence[RawValue]) -> int:
    """Return the bytes of the arguments of a workflow; `ValueTable` limits those of chunks."""
    return sum(len(arg.payload.data) for arg in args[:ARGUMENTS])


def decode_arguments(args: Sequence[RawValue], converter: PayloadConverter) -> list[Any]:
    """Decode the arguments of a workflow, but for the plan, which stays text: most workers know it by then."""
    values = [None if index == PLAN else converter.from_payload(arg.payload) for index, arg in enumerate(args)]
    if len(args) > PLAN and args[PLAN].payload.metadata.get("encoding") == JSON:
        text = args[PLAN].payload.data
        values[PLAN] = None if text == b"null" else text
    return values


def read_request(args: Sequence[Any]) -> Mapping[str, Any]:
    """Return the request in the arguments of a workflow; an empty one where it is invalid."""
    if len(args) < ARGUMENTS:
        return {}
    run_input, encoded, plan, *chunks = args
    try:
        envelope = decode_shared(encoded, chunks)
    except ValueError:
        return {}
    return {"input": run_input, "plan": plan, **envelope} if isinstance(envelope, Mapping) else {}


def read_plan(request: Mapping[str, Any]) -> tuple[Plan, RunInfo]:
    """Return the plan and the identity of the run; raises what `validate_plan` raises."""
    return validate_plan(request.get("plan")), validate_info(request.get("run"))


def validate_plan(value: Any) -> Plan:
    """Return the plan in decoded JSON.

    Raises ApplicationError, which fails the run, where the plan is invalid. A plan of a newer release raises
    RuntimeError, which fails the workflow task: the run waits for a worker of that release.
    """
    plan_format = value.get("format", FORMAT) if isinstance(value, dict) else FORMAT
    if plan_format != FORMAT:
        raise RuntimeError(
            f"plan format {plan_format} is not supported by this worker (format {FORMAT}): upgrade the worker"
        )
    return _validate(Plan, value)


def validate_info(value: Any) -> RunInfo:
    """Return the identity of a run in decoded JSON; raises what `validate_plan` raises."""
    return _validate(RunInfo, value)


def _validate(model: type[M], value: Any) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        if any(problem["type"] == "extra_forbidden" for problem in error.errors()):
            raise RuntimeError(
                f"the plan has fields that this worker does not know: upgrade the worker: {error}"
            ) from error
        raise build_unreadable_error("plan", error) from error


def require_own_workflow(info: workflow.Info) -> None:
    """Raise ApplicationError, which fails the workflow, where it is not a run or a branch of this engine."""
    if info.typed_search_attributes.get(WORKFLOW_ID) is None:
        message = (
            f"task queue {info.task_queue!r} runs workflows of the orchestrator only, and this one, of type"
            f" {info.workflow_type!r}, has no search attribute {WORKFLOW_ID.name}:"
            " start runs through the orchestrator, and other workflows on another task queue"
        )
        raise build_run_failure(
            ErrorDocument(message=message, error_type="validation_error", recoverable=False, timestamp=workflow.now())
        )


def build_unreadable_error(what: str, error: Exception) -> ApplicationError:
    """Return the error that fails a run whose request is invalid."""
    message = f"the {what} of this run is invalid: {error}"
    return build_run_failure(
        ErrorDocument(message=message, error_type="validation_error", recoverable=False, timestamp=workflow.now())
    )
