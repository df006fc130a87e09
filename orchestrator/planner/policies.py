"""Retry, on_error, compensation and notification: what their short forms stand for (SPEC §6)."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

from orchestrator.errors import ERROR_TYPES
from orchestrator.jsontools.json_types import describe_type
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.model.plan import ActionCall, Fallback, OnError, Pause, Retry, RetryFrom, Skip
from orchestrator.planner.report import Report

SYNONYMS = {
    "max_retries": "maximum_attempts",
    "max_attempts": "maximum_attempts",
    "initial_delay": "initial_interval",
    "max_delay": "maximum_interval",
    "exponential_base": "backoff_coefficient",
}
BOUNDS: dict[str, tuple[float, float]] = {
    "maximum_attempts": (1, 1_000_000),
    "initial_interval": (0.001, 31 * 86_400),
    "maximum_interval": (0.001, 366 * 86_400),
    "backoff_coefficient": (1, 1_000),
}
RETRYABLE = tuple(name for name in ERROR_TYPES if name not in ("retry_exhausted", "cancelled"))
ON_ERROR_FORMS = "`fail`, `skip`, `pause`, {fallback: value} or {retry_from: node, max: n}"


class ActionLike(Protocol):
    """What the planner asks of a registered action."""

    name: str
    parameters: Any
    """A pydantic model."""
    retry: Mapping[str, Any] | None
    timeout_seconds: float | None
    heartbeat_seconds: float | None
    execution: str


class Catalogue(Protocol):
    """The actions that a worker serves."""

    def get(self, name: str) -> ActionLike | None:
        """Find an action."""

    def list_names(self) -> list[str]:
        """Name all actions."""


def read_retry(policy: Mapping[str, Any] | None, pointer: str, report: Report) -> dict[str, Any]:
    """Read a retry policy; what is wrong is reported and left out."""
    read: dict[str, Any] = {}
    for key, value in (policy or {}).items():
        name = SYNONYMS.get(key, key)
        at = f"{pointer}/{key}"
        if name == "retry_on":
            _read_retry_on(value, at, read, report)
        elif name not in BOUNDS:
            known = (*BOUNDS, "retry_on", *SYNONYMS)
            report.add_error("unknown_key", at, f"a retry policy has no {key!r}", did_you_mean(key, known))
        elif name in read:
            report.add_error("duplicate_key", at, f"{key!r} says again what another key has said")
        elif value is not None:
            _read_bounded(name, value, at, read, report)
    return read


def _read_bounded(name: str, value: Any, at: str, read: dict[str, Any], report: Report) -> None:
    least, most = BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        report.add_error("wrong_type", at, f"this must be a number, it is {describe_type(value)}")
    elif name == "maximum_attempts" and value == 0:
        hint = "1 is no retry; Temporal's 0 (without end) is not offered"
        report.add_error("out_of_bounds", at, "0 attempts would never run the action", hint)
    elif not least <= value <= most:
        report.add_error("out_of_bounds", at, f"{value:g} is not between {least:g} and {most:g}")
    elif name == "maximum_attempts" and value != int(value):
        report.add_error("wrong_type", at, "attempts are a whole number")
    else:
        read[name] = int(value) if name == "maximum_attempts" else float(value)


def _read_retry_on(value: Any, at: str, read: dict[str, Any], report: Report) -> None:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        report.add_error("wrong_type", at, f"this must be a list of error types, it is {describe_type(value)}")
        return
    for index, name in enumerate(names):
        if name not in RETRYABLE:
            hint = did_you_mean(name, RETRYABLE) or f"one of {join_names(RETRYABLE)}"
            report.add_error("unknown_error_type", f"{at}/{index}", f"{name!r} is no error type to retry on", hint)
    read["retry_on"] = tuple(name for name in names if name in RETRYABLE)


def merge_retry(*policies: Mapping[str, Any]) -> Retry:
    """Lay policies over each other, the strongest last."""
    merged: dict[str, Any] = {}
    for policy in policies:
        merged |= policy
    retry = Retry(**merged)
    if retry.maximum_interval < retry.initial_interval:
        return retry.model_copy(update={"maximum_interval": retry.initial_interval})
    return retry


def read_on_error(value: Any, pointer: str, report: Report) -> OnError | None:
    """Read an `on_error`; `None` is `fail`."""
    match value:
        case None | "fail" | "":
            return None
        case "skip":
            return Skip(kind="skip")
        case "pause":
            return Pause(kind="pause")
        case str():
            hint = did_you_mean(value, ("fail", "skip", "pause", "fallback", "retry_from")) or ON_ERROR_FORMS
            report.add_error("bad_on_error", pointer, f"{value!r} is not known here", hint)
        case {"fallback": value, **rest} if not rest:
            return Fallback(kind="fallback", value=value)
        case {"retry_from": str() as node, **rest} if not rest.keys() - {"max"}:
            return _read_retry_from(node, rest.get("max", 1), pointer, report)
        case _:
            report.add_error("bad_on_error", pointer, "this cannot be read", ON_ERROR_FORMS)
    return None


def _read_retry_from(node: str, most: Any, pointer: str, report: Report) -> OnError | None:
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        report.add_error("out_of_bounds", f"{pointer}/max", "max is a whole number from 1")
        return None
    return RetryFrom(kind="retry_from", node=node, max=most)


def read_side_call(value: Any, pointer: str, report: Report) -> dict[str, Any] | None:
    """Check an `{action, config}` outside the flow."""
    if not value:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("action"), str) or not value["action"]:
        report.add_error("missing_action", f"{pointer}/action", "this names no action", "{action: name, config: {…}}")
        return None
    for key in value:
        if key not in ("action", "config", "retry", "timeout_seconds"):
            known = ("action", "config", "retry", "timeout_seconds")
            report.add_error("unknown_key", f"{pointer}/{key}", f"{key!r} is not known here", did_you_mean(key, known))
    if not isinstance(value.get("config") or {}, dict):
        report.add_error(
            "wrong_type", f"{pointer}/config", f"this must be an object, it is {describe_type(value['config'])}"
        )
        return None
    return cast(dict[str, Any], value)


def build_side_call(value: Mapping[str, Any], retry: Retry, timeout_seconds: float) -> ActionCall:
    """Make the call that stands in the plan."""
    config = value.get("config") or {}
    return ActionCall(action=value["action"], config=config, retry=retry, timeout_seconds=timeout_seconds)
