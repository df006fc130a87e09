"""Run one attempt of an action as a Temporal activity: secrets, validation, heartbeats, errors (SPEC §5, §6).

The named boundary where any exception becomes an ApplicationError; nothing else here catches all.
"""

import asyncio
import contextlib
import json
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.approvals import sign_links
from activities.redaction import Redactor
from activities.registry import ActionContext, ActionFailed, ActionSpec, Registry
from activities.resources import Resources
from activities.results import ActionAnswer, encode_answer, get_max_result_bytes
from activities.secrets import Secret
from activities.time_limits import await_within
from orchestrator.errors import ERROR_TYPES, ExpressionError
from orchestrator.expressions import default_env
from orchestrator.jsontools.json_values import normalize_json, replace_surrogates
from orchestrator.jsontools.parameters import (
    list_invalid_parameters,
    summarize_invalid_parameters,
    validate_parameters,
)
from orchestrator.jsontools.text import shorten
from orchestrator.language import Env, find_secret_names, resolve_part, reveal
from orchestrator.model.activity_input import ActivityInput
from orchestrator.model.permissions import describe_forbidden_action, describe_missing_secret
from orchestrator.model.plan import MAX_DELAY_SECONDS
from orchestrator.settings import Settings
from orchestrator.telemetry.context import log_context, redact_log
from orchestrator.telemetry.metrics import ACTION_SECONDS, ACTIONS
from orchestrator.telemetry.workflow_labels import WORKFLOWS

log = logging.getLogger("orchestrator.activities")

MAX_MESSAGE = 10_000
"""Characters of an error message."""
MAX_DETAIL_BYTES = 100_000
"""Larger details of an error are dropped: Temporal would refuse the failure, and repeat the attempt."""
HEARTBEATS_PER_TIMEOUT = 3
QUICK_HEARTBEATS = 50
"""Up to this many actions of a worker send a heartbeat every second, which is how soon they learn of a cancellation."""
SLOW_HEARTBEATS = 500
"""From this many on a heartbeat is sent every `MAX_HEARTBEAT_SECONDS`."""
MIN_HEARTBEAT_SECONDS, MAX_HEARTBEAT_SECONDS = 1.0, 5.0
NON_RETRYABLE = frozenset({"validation_error"})
NOTHING_TO_REDACT = Redactor()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at an action."""

    number: int
    """From 1."""
    timeout_seconds: float | None
    heartbeat_seconds: float | None = None
    """`None` where nobody expects heartbeats."""
    heartbeat: Callable[..., None] = lambda *details: None


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
    """Run the attempt of the current activity; raises ApplicationError."""
    attempt = _read_attempt(activity.info())
    answer = await make_attempt(spec, ActivityInput.from_json(argument), resources, attempt)
    return answer.to_activity_result(attempt.number)


async def make_attempt(spec: ActionSpec, call: ActivityInput, resources: Resources, attempt: Attempt) -> ActionAnswer:
    """Run one attempt of an action; raises ApplicationError."""
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
            answer = await _run(spec, call, resources, attempt)
        outcome = "completed"
    except asyncio.CancelledError:
        outcome = "cancelled"
        raise
    finally:
        ACTIONS.labels(WORKFLOWS.pick(call.workflow_id), spec.name, outcome).inc()
    return answer


def _read_attempt(info: activity.Info) -> Attempt:
    heartbeat_seconds = None if info.is_local else _to_seconds(info.heartbeat_timeout)
    return Attempt(info.attempt, _to_seconds(info.start_to_close_timeout), heartbeat_seconds, activity.heartbeat)


async def _run(spec: ActionSpec, call: ActivityInput, resources: Resources, attempt: Attempt) -> ActionAnswer:
    redactor = NOTHING_TO_REDACT
    warnings: list[str] = []
    try:
        secrets: dict[str, Secret] = {}
        if call.secrets:
            secrets = await _find_secrets(spec, call, resources)
            call, tokens = sign_links(call, resources.settings)
            redactor = Redactor([*_list_sent_secrets(call, secrets), *tokens])
        redact_log.set(redactor.redact_text)
        parameters = _validate_parameters(spec, call, secrets)
        context = _build_context(call, attempt, resources, redactor, warnings, secrets)
        work = await_within(attempt.timeout_seconds, _call(spec, parameters, context, resources))
        if attempt.heartbeat_seconds:
            async with _send_heartbeats(attempt, attempt.heartbeat_seconds, resources):
                result = await work
        else:
            result = await work
        return encode_answer(result, redactor, warnings, get_max_result_bytes(resources.settings))
    except ActionFailed as failure:
        raise _to_application_error(failure, attempt.number, redactor) from None
    except TimeoutError:
        timeout = ActionFailed(f"{spec.name} took too long", error_type="timeout_error")
        raise _to_application_error(timeout, attempt.number, redactor) from None
    except Exception as error:  # noqa: BLE001 - the named boundary, see above
        # The traceback stays in the worker's log.
        text = redactor.redact_text(traceback.format_exc())
        log.error("%s failed", spec.name, extra={"traceback": text})  # noqa: TRY400 - without the values it shows
        unhandled = ActionFailed(
            f"{type(error).__name__}: {error}", error_type="unknown", details={"type": type(error).__name__}
        )
        raise _to_application_error(unhandled, attempt.number, redactor) from None


async def _call(spec: ActionSpec, parameters: BaseModel, context: ActionContext, resources: Resources) -> Any:
    """Call the function of an action: an async one here, another in a thread, which learns when its attempt ends."""
    if not spec.runs_in_thread:
        return await spec.call(parameters, context)
    loop = asyncio.get_running_loop()

    def send_heartbeat(*details: Any) -> None:
        loop.call_soon_threadsafe(context.heartbeat, *details)  # the SDK sends heartbeats from the event loop only

    call = partial(spec.call, parameters, replace(context, heartbeat=send_heartbeat))
    try:
        return await resources.threads.call(spec.name, call)
    finally:
        context.cancellation.set()


async def _find_secrets(spec: ActionSpec, call: ActivityInput, resources: Resources) -> dict[str, Secret]:
    """Return the secrets that a call names; raises ActionFailed for one that it may not use."""
    secrets: dict[str, Secret] = {}
    try:
        names = find_secret_names(call.secrets)
    except ExpressionError as error:
        raise _make_validation_error(error.message) from None
    for name in names:
        secret = await resources.secrets.find(call.customer_id, name)
        if secret is None:
            raise _make_validation_error(describe_missing_secret(name, call.customer_id))
        if not secret.info.allows_action(spec.name):
            raise _make_validation_error(describe_forbidden_action(name, spec.name))
        secrets[name] = secret
    return secrets


def _make_env(secrets: Mapping[str, Secret]) -> Env:
    return default_env({"secrets": {name: secret.value for name, secret in secrets.items()}}, strict=True)


def _make_validation_error(message: str) -> ActionFailed:
    return ActionFailed(message, error_type="validation_error", recoverable=False)


def _validate_parameters(spec: ActionSpec, call: ActivityInput, secrets: Mapping[str, Secret]) -> BaseModel:
    """Put the secrets in and validate; raises ActionFailed."""
    parameters = call.parameters
    if call.secrets:
        try:
            parameters = reveal(parameters, call.secrets, _make_env(secrets))
        except ExpressionError as error:
            raise _make_validation_error(error.message) from None
    try:
        return validate_parameters(spec.parameters, parameters)
    except ValidationError as error:
        problems = list_invalid_parameters(error)
        raise ActionFailed(
            summarize_invalid_parameters(spec.name, problems),
            error_type="validation_error",
            details={"problems": problems},
            recoverable=False,
        ) from None


def _build_context(
    call: ActivityInput,
    attempt: Attempt,
    resources: Resources,
    redactor: Redactor,
    warnings: list[str],
    secrets: Mapping[str, Secret],
) -> ActionContext:
    return ActionContext(
        run_id=call.run_id,
        workflow_id=call.workflow_id,
        customer_id=call.customer_id,
        node_id=call.node_id,
        idempotency_key=call.idempotency_key,
        attempt=attempt.number,
        resources=resources,
        heartbeat=attempt.heartbeat,
        warn=warnings.append,
        redact=redactor.redact_text,
        bound_secrets=tuple(secret.info for secret in secrets.values() if secret.info.hosts is not None),
    )


def _to_seconds(timeout: timedelta | None) -> float | None:
    return None if timeout is None else timeout.total_seconds()


@contextlib.asynccontextmanager
async def _send_heartbeats(attempt: Attempt, seconds: float, resources: Resources) -> Any:
    """Send heartbeats for the duration of the context: they carry cancellation back, and show that the worker lives."""

    async def beat() -> None:
        while True:
            attempt.heartbeat()
            await asyncio.sleep(min(seconds / HEARTBEATS_PER_TIMEOUT, heartbeat_interval(resources.heartbeating)))

    resources.heartbeating += 1
    heartbeat_task = asyncio.create_task(beat())
    try:
        yield
    finally:
        resources.heartbeating -= 1
        heartbeat_task.cancel()
        await asyncio.gather(heartbeat_task, return_exceptions=True)


def heartbeat_interval(running: int) -> float:
    """Return the seconds between two heartbeats of an action on a worker that runs `running` of them.

    Linear between 1 s and 5 s, so that 50 to 500 actions cost the server 50 to 100 heartbeats a second.
    """
    share = (running - QUICK_HEARTBEATS) / (SLOW_HEARTBEATS - QUICK_HEARTBEATS)
    return MIN_HEARTBEAT_SECONDS + (MAX_HEARTBEAT_SECONDS - MIN_HEARTBEAT_SECONDS) * min(max(share, 0.0), 1.0)


def _list_sent_secrets(call: ActivityInput, secrets: Mapping[str, Secret]) -> list[str]:
    """Return the secrets of a call, and what its pipes make of them: texts that must not come back."""
    values = [secret.value for secret in secrets.values()]
    env = _make_env(secrets)
    for part in (part for parts in call.secrets.values() for part in parts if isinstance(part, Mapping)):
        with contextlib.suppress(ExpressionError):  # the call will fail with it
            values += _iterate_texts(resolve_part(part, env))
    return values


def _iterate_texts(value: Any) -> Iterator[str]:
    match value:
        case None | bool():
            return
        case Mapping():
            for key, item in value.items():
                yield str(key)
                yield from _iterate_texts(item)
        case list() | tuple():
            for item in value:
                yield from _iterate_texts(item)
        case _:
            yield str(value)


def _to_application_error(failure: ActionFailed, attempt: int, redactor: Redactor) -> ApplicationError:
    error_type = failure.error_type if failure.error_type in ERROR_TYPES else "unknown"
    detail = {
        "details": redactor.redact(_encode_details(failure.details)),
        "recoverable": failure.recoverable,
        "attempt": attempt,
    }
    delay = failure.retry_after_seconds
    message = redactor.redact_text(replace_surrogates(failure.message))
    return ApplicationError(
        shorten(message, MAX_MESSAGE),
        detail,
        type=error_type,
        non_retryable=not failure.recoverable or error_type in NON_RETRYABLE,
        next_retry_delay=None if delay is None else timedelta(seconds=min(max(0.0, delay), MAX_DELAY_SECONDS)),
    )


def _encode_details(details: Mapping[str, Any]) -> Any:
    try:
        text = json.dumps(details, default=str, allow_nan=False)
        encoded, _ = normalize_json(json.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        return {"dropped": f"the details cannot be stored: {error}"}
    if len(text) > MAX_DETAIL_BYTES:
        return {"dropped": f"the details are {len(text):,} bytes; the limit is {MAX_DETAIL_BYTES:,}"}
    return encoded
