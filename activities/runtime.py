"""The one wrapper around every action: secrets, validation, heartbeats, errors (SPEC §5, §6).

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
from orchestrator.jsontools.validation_messages import describe_validation_error
from orchestrator.language import compile_expression, reveal
from orchestrator.model.run import ATTEMPT_KEY
from orchestrator.settings import Settings
from orchestrator.telemetry.context import log_context
from orchestrator.telemetry.metrics import ACTION_SECONDS, ACTIONS

log = logging.getLogger("orchestrator.activities")

MAX_RESULT_BYTES = 1_800_000
"""Temporal holds payloads of up to 2 MiB."""
MIN_SCRUBBED_LENGTH = 4
"""Shorter secrets are not looked for: they are part of too many words."""
REDACTED = "[secret]"
LOGGED_FIELDS = ("run_id", "workflow_id", "node_id", "customer_id")
HEARTBEATS_PER_TIMEOUT = 3
NON_RETRYABLE = frozenset({"validation_error"})


class Activities:
    """The activities of a worker, and what they share."""

    def __init__(self, registry: Registry, resources: Resources) -> None:
        self.resources = resources
        self.activities: list[Callable[..., Any]] = [self._activity(spec) for spec in registry]

    def _activity(self, spec: ActionSpec) -> Callable[..., Any]:
        async def run(activity_input: dict[str, Any]) -> Any:
            return await run_action(spec, activity_input, self.resources)

        return activity.defn(name=spec.name)(run)

    async def aclose(self) -> None:
        """Close connections."""
        await self.resources.aclose()


def build_activities(registry: Registry, settings: Settings) -> Activities:
    """Make the activities of a registry's actions."""
    return Activities(registry, Resources(settings))


async def run_action(spec: ActionSpec, activity_input: Mapping[str, Any], resources: Resources) -> Any:
    """Run one attempt of an action; raises ApplicationError."""
    log_context.set({name: (activity_input.get("context") or {}).get(name, "") for name in LOGGED_FIELDS})
    outcome = "failed"
    try:
        with ACTION_SECONDS.labels(spec.name).time():
            result_json = await _run(spec, activity_input, resources)
        outcome = "completed"
    except asyncio.CancelledError:
        outcome = "cancelled"
        raise
    finally:
        ACTIONS.labels(spec.name, outcome).inc()
    return result_json


async def _run(spec: ActionSpec, activity_input: Mapping[str, Any], resources: Resources) -> Any:
    info = activity.info()
    secret_values = _find_secret_values(activity_input, resources)
    try:
        parameters = _validate_parameters(spec, activity_input, resources)
        context = _build_context(activity_input, info.attempt, resources)
        async with _send_heartbeats(spec, info), asyncio.timeout(_to_seconds(info.start_to_close_timeout)):
            result = await (spec.function(parameters, context) if spec.takes_context else spec.function(parameters))
        result_json = _scrub(_encode_result(result), secret_values)
    except ActionFailed as failure:
        raise _to_application_error(failure, info.attempt, secret_values) from None
    except TimeoutError:
        timeout = ActionFailed(f"{spec.name} took too long", error_type="timeout_error")
        raise _to_application_error(timeout, info.attempt, secret_values) from None
    except Exception as error:
        # The traceback is for the worker's log alone: it may show parameters, and so secrets.
        log.exception("%s failed", spec.name)
        unhandled = ActionFailed(
            f"{type(error).__name__}: {error}", error_type="unknown", details={"type": type(error).__name__}
        )
        raise _to_application_error(unhandled, info.attempt, secret_values) from None
    return result_json if info.attempt == 1 else {ATTEMPT_KEY: info.attempt, "result": result_json}


def _validate_parameters(spec: ActionSpec, activity_input: Mapping[str, Any], resources: Resources) -> BaseModel:
    given = activity_input.get("parameters") or {}
    deferred = activity_input.get("secrets") or {}
    if deferred:
        try:
            given = reveal(given, deferred, default_env({"secrets": dict(resources.secrets)}, strict=True))
        except ExpressionError as error:
            raise ActionFailed(str(error.message), error_type="validation_error", recoverable=False) from None
    try:
        return spec.parameters.model_validate(given)
    except ValidationError as error:
        # Types, not values: they may be secrets.
        problems = [
            {"path": format_pointer(found["loc"]), "message": describe_validation_error(found)}
            for found in error.errors(include_url=False)
        ]
        listed = "; ".join(f"{one['path'] or '/'}: {one['message']}" for one in problems[:5])
        raise ActionFailed(
            f"the parameters of {spec.name} are wrong: {listed}",
            error_type="validation_error",
            details={"problems": problems},
            recoverable=False,
        ) from None


def _build_context(activity_input: Mapping[str, Any], attempt: int, resources: Resources) -> ActionContext:
    given = activity_input.get("context") or {}
    names = ("run_id", "workflow_id", "customer_id", "node_id", "idempotency_key")
    return ActionContext(
        **{name: str(given.get(name, "")) for name in names},
        attempt=attempt,
        resources=resources,
        heartbeat=activity.heartbeat,
    )


def _to_seconds(timeout: timedelta | None) -> float | None:
    return None if timeout is None else timeout.total_seconds()


@contextlib.asynccontextmanager
async def _send_heartbeats(spec: ActionSpec, info: activity.Info) -> Any:
    """Tell Temporal that the action is alive: so it can be cancelled, and its worker's death is noticed."""
    limit = _to_seconds(info.heartbeat_timeout)
    if not limit or info.is_local:
        yield
        return

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(limit / HEARTBEATS_PER_TIMEOUT)

    heartbeat_task = asyncio.create_task(beat())
    try:
        yield
    finally:
        heartbeat_task.cancel()
        await asyncio.gather(heartbeat_task, return_exceptions=True)


def _encode_result(result: Any) -> Any:
    """Write a result; raises ActionFailed for one that is too large or no JSON."""
    if result is None:
        return {}
    result_json = result.model_dump(mode="json", by_alias=True) if isinstance(result, BaseModel) else result
    if not isinstance(result_json, dict):
        result_json = {"result": result_json}
    try:
        size = len(json.dumps(result_json, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ActionFailed(f"the result cannot be written as JSON: {error}", recoverable=False) from None
    if size > MAX_RESULT_BYTES:
        raise ActionFailed(
            f"the result takes {size:,} bytes, more than the {MAX_RESULT_BYTES:,} that Temporal holds;"
            " keep large data elsewhere and give a reference",
            details={"bytes": size, "limit": MAX_RESULT_BYTES},
            recoverable=False,
        )
    return result_json


def _find_secret_values(activity_input: Mapping[str, Any], resources: Resources) -> list[str]:
    """Give the values of the secrets that a call names, the longest first."""
    found: set[str] = set()
    for parts in (activity_input.get("secrets") or {}).values():
        for part in parts:
            if isinstance(part, Mapping):
                for name in compile_expression(part["expression"]).names:
                    value = resources.secrets.get(str(name.path[0]) if name.path else "")
                    if value is not None and len(value) >= MIN_SCRUBBED_LENGTH:
                        found.add(value)
    return sorted(found, key=lambda value: (-len(value), value))


def _scrub(value: Any, secret_values: list[str]) -> Any:
    """Take secrets out of what an action tells: a server may have echoed them."""
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
