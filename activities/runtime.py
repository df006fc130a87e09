"""Run one attempt of an action as a Temporal activity: secrets, validation, heartbeats, errors (SPEC §5, §6).

The named boundary where any exception becomes an ApplicationError; nothing else here catches all.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.registry import ActionContext, ActionFailed, ActionSpec, Registry
from activities.resources import Resources
from orchestrator.errors import ERROR_TYPES, ExpressionError
from orchestrator.expressions import default_env
from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.validation_messages import describe_validation_error, suggest_choice, suggest_pipe
from orchestrator.language import compile_expression, reveal
from orchestrator.model.activity_input import ActivityInput
from orchestrator.model.run import ATTEMPT_KEY
from orchestrator.settings import Settings
from orchestrator.telemetry.context import log_context
from orchestrator.telemetry.metrics import ACTION_SECONDS, ACTIONS

log = logging.getLogger("orchestrator.activities")

MAX_RESULT_BYTES = 1_800_000
"""Temporal refuses payloads over 2 MiB, and would retry the attempt; here the step fails with the size it has."""
MIN_SCRUBBED_LENGTH = 4
"""Shorter secrets are not redacted: too much other text contains them."""
REDACTED = "[secret]"
HEARTBEATS_PER_TIMEOUT = 3
NON_RETRYABLE = frozenset({"validation_error"})


class Activities:
    """The activities of a worker and the connections they share."""

    def __init__(self, registry: Registry, resources: Resources) -> None:
        self.resources = resources
        self.activities: list[Callable[..., Any]] = [self._activity(spec) for spec in registry]

    def _activity(self, spec: ActionSpec) -> Callable[..., Any]:
        async def run(argument: dict[str, Any]) -> Any:
            return await run_action(spec, argument, self.resources)

        return activity.defn(name=spec.name)(run)

    async def aclose(self) -> None:
        """Close connections."""
        await self.resources.aclose()


def build_activities(registry: Registry, settings: Settings) -> Activities:
    """Build the activities of a registry's actions."""
    return Activities(registry, Resources(settings))


async def run_action(spec: ActionSpec, argument: Mapping[str, Any], resources: Resources) -> Any:
    """Run one attempt of an action with the argument of its activity; raises ApplicationError."""
    call = ActivityInput.from_json(argument)
    log_context.set(
        {
            "run_id": call.run_id,
            "workflow_id": call.workflow_id,
            "node_id": call.node_id,
            "customer_id": call.customer_id,
        }
    )
    outcome = "failed"
    try:
        with ACTION_SECONDS.labels(spec.name).time():
            result_json = await _run(spec, call, resources)
        outcome = "completed"
    except asyncio.CancelledError:
        outcome = "cancelled"
        raise
    finally:
        ACTIONS.labels(spec.name, outcome).inc()
    return result_json


async def _run(spec: ActionSpec, call: ActivityInput, resources: Resources) -> Any:
    info = activity.info()
    secret_values = _find_secret_values(call, resources)
    try:
        parameters = _validate_parameters(spec, call, resources)
        context = _build_context(call, info.attempt, resources)
        async with _send_heartbeats(spec, info), asyncio.timeout(_to_seconds(info.start_to_close_timeout)):
            result = await (spec.function(parameters, context) if spec.takes_context else spec.function(parameters))
        result_json = _scrub(_encode_result(result), secret_values)
    except ActionFailed as failure:
        raise _to_application_error(failure, info.attempt, secret_values) from None
    except TimeoutError:
        timeout = ActionFailed(f"{spec.name} took too long", error_type="timeout_error")
        raise _to_application_error(timeout, info.attempt, secret_values) from None
    except Exception as error:
        # The traceback stays in the worker's log: it may show parameters, and so secrets.
        log.exception("%s failed", spec.name)
        unhandled = ActionFailed(
            f"{type(error).__name__}: {error}", error_type="unknown", details={"type": type(error).__name__}
        )
        raise _to_application_error(unhandled, info.attempt, secret_values) from None
    return result_json if info.attempt == 1 else {ATTEMPT_KEY: info.attempt, "result": result_json}


def _validate_parameters(spec: ActionSpec, call: ActivityInput, resources: Resources) -> BaseModel:
    """Put the secrets in and validate; raises ActionFailed."""
    parameters = call.parameters
    if call.secrets:
        try:
            parameters = reveal(
                parameters, call.secrets, default_env({"secrets": dict(resources.secrets)}, strict=True)
            )
        except ExpressionError as error:
            raise ActionFailed(str(error.message), error_type="validation_error", recoverable=False) from None
    try:
        return spec.parameters.model_validate(parameters)
    except ValidationError as error:
        # Types, not values: they may be secrets.
        problems = [
            {"path": format_pointer(found["loc"]), "message": _describe_problem(found)}
            for found in error.errors(include_url=False)
        ]
        listed = "; ".join(f"{problem['path'] or '/'}: {problem['message']}" for problem in problems[:5])
        raise ActionFailed(
            f"invalid parameters for {spec.name}: {listed}",
            error_type="validation_error",
            details={"problems": problems},
            recoverable=False,
        ) from None


def _describe_problem(error: Mapping[str, Any]) -> str:
    hint = suggest_choice(error) or suggest_pipe(error)
    return describe_validation_error(error) + (f" ({hint})" if hint else "")


def _build_context(call: ActivityInput, attempt: int, resources: Resources) -> ActionContext:
    return ActionContext(
        run_id=call.run_id,
        workflow_id=call.workflow_id,
        customer_id=call.customer_id,
        node_id=call.node_id,
        idempotency_key=call.idempotency_key,
        attempt=attempt,
        resources=resources,
        heartbeat=activity.heartbeat,
    )


def _to_seconds(timeout: timedelta | None) -> float | None:
    return None if timeout is None else timeout.total_seconds()


@contextlib.asynccontextmanager
async def _send_heartbeats(spec: ActionSpec, info: activity.Info) -> Any:
    """Send heartbeats for the duration of the context: they carry cancellation back, and show that the worker lives."""
    timeout = _to_seconds(info.heartbeat_timeout)
    if not timeout or info.is_local:
        yield
        return

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(timeout / HEARTBEATS_PER_TIMEOUT)

    heartbeat_task = asyncio.create_task(beat())
    try:
        yield
    finally:
        heartbeat_task.cancel()
        await asyncio.gather(heartbeat_task, return_exceptions=True)


def _encode_result(result: Any) -> Any:
    """Return a result as JSON; raises ActionFailed where it is too large or not JSON."""
    if result is None:
        return {}
    result_json = result.model_dump(mode="json", by_alias=True) if isinstance(result, BaseModel) else result
    if not isinstance(result_json, dict):
        result_json = {"result": result_json}
    try:
        size = len(json.dumps(result_json, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ActionFailed(f"the action's result is not JSON: {error}", recoverable=False) from None
    if size > MAX_RESULT_BYTES:
        raise ActionFailed(
            f"the action's result is {size:,} bytes; the limit is {MAX_RESULT_BYTES:,}."
            " Store large data elsewhere and return a reference",
            details={"bytes": size, "limit": MAX_RESULT_BYTES},
            recoverable=False,
        )
    return result_json


def _find_secret_values(call: ActivityInput, resources: Resources) -> list[str]:
    """Return the values of the secrets that a call names, the longest first."""
    values: set[str] = set()
    for part in (part for parts in call.secrets.values() for part in parts if isinstance(part, Mapping)):
        for name in compile_expression(part["expression"]).names:
            value = resources.secrets.get(str(name.path[0]) if name.path else "")
            if value is not None and len(value) >= MIN_SCRUBBED_LENGTH:
                values.add(value)
    return sorted(values, key=lambda value: (-len(value), value))


def _scrub(value: Any, secret_values: list[str]) -> Any:
    """Redact secrets in what an action returns: a server may have echoed them."""
    if not secret_values:
        return value
    if isinstance(value, str):
        for secret in secret_values:
            value = value.replace(secret, REDACTED)
        return value
    if isinstance(value, Mapping):
        return {_scrub(key, secret_values): _scrub(item, secret_values) for key, item in value.items()}
    if isinstance(value, list):
        return [_scrub(item, secret_values) for item in value]
    return value


def _to_application_error(failure: ActionFailed, attempt: int, secret_values: list[str]) -> ApplicationError:
    error_type = failure.error_type if failure.error_type in ERROR_TYPES else "unknown"
    detail = {
        "details": _scrub(json.loads(json.dumps(failure.details, default=str)), secret_values),
        "recoverable": failure.recoverable,
        "attempt": attempt,
    }
    delay = failure.retry_after_seconds
    return ApplicationError(
        _scrub(failure.message, secret_values),
        detail,
        type=error_type,
        non_retryable=not failure.recoverable or error_type in NON_RETRYABLE,
        next_retry_delay=None if delay is None else timedelta(seconds=delay),
    )
