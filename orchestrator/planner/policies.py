"""Parse retry policies, `on_error`, compensations and notifications (SPEC §6)."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

from orchestrator.errors import ERROR_TYPES
from orchestrator.jsontools.json_types import describe_type, describe_value
from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.model.definition import Node
from orchestrator.model.plan import MAX_DELAY_SECONDS, ActionCall, Fallback, OnError, Pause, Retry, RetryFrom, Skip
from orchestrator.planner.report import Report, suggest_choice

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
SIDE_CALL_KEYS = ("action", "config", "retry", "timeout_seconds")
RETRYABLE = tuple(name for name in ERROR_TYPES if name not in ("retry_exhausted", "cancelled"))
ON_ERROR_FORMS = "use `fail`, `skip`, `pause`, {fallback: value} or {retry_from: node, max: n}"


class ActionLike(Protocol):
    """The part of a registered action that the planner needs."""

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
        """Return an action, or None."""

    def list_names(self) -> list[str]:
        """Return the names of all actions."""


def read_retry(policy: Mapping[str, Any] | None, pointer: str, report: Report) -> dict[str, Any]:
    """Return a retry policy under Temporal's names; report invalid values and leave them out."""
    read: dict[str, Any] = {}
    for key, value in (policy or {}).items():
        name = SYNONYMS.get(key, key)
        at = f"{pointer}/{escape(key)}"
        if name == "retry_on":
            _read_retry_on(value, at, read, report)
        elif name not in BOUNDS:
            hint = did_you_mean(key, (*BOUNDS, "retry_on", *SYNONYMS)) or f"known keys: {join_names(BOUNDS)}, retry_on"
            report.add_error("unknown_key", at, f"unknown key {key!r:.60} in a retry policy", hint)
        elif name in read:
            report.add_error("duplicate_key", at, f"`{name}` is set twice, here as `{key}`", "remove one of the keys")
        elif value is not None:
            _read_bounded(name, value, at, read, report)
    return read


def _read_bounded(name: str, value: Any, at: str, read: dict[str, Any], report: Report) -> None:
    least, most = BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        report.add_error("wrong_type", at, f"{name} must be a number, not {describe_type(value)}")
    elif name == "maximum_attempts" and value == 0:
        hint = "use 1 for a single attempt; unlimited attempts are not supported"
        report.add_error("out_of_bounds", at, "maximum_attempts must be at least 1", hint)
    elif not least <= value <= most:
        report.add_error(
            "out_of_bounds", at, f"{name} must be between {least:g} and {most:g}, not {describe_value(value)}"
        )
    elif name == "maximum_attempts" and value != int(value):
        report.add_error("wrong_type", at, f"maximum_attempts must be a whole number, not {value:g}")
    else:
        read[name] = int(value) if name == "maximum_attempts" else float(value)


def read_reminder_call(node: Node) -> dict[str, Any] | None:
    """Return the action call of the reminder of an approval."""
    approval = node.config.get("approval") if node.type == "wait" else None
    reminder = approval.get("reminder") if isinstance(approval, Mapping) else None
    if not isinstance(reminder, Mapping) or not reminder:
        return None
    own = {key: value for key, value in reminder.items() if key in SIDE_CALL_KEYS}
    return {"action": None, **own}


def check_timeout(seconds: Any, pointer: str, report: Report) -> bool:
    """Report a `timeout_seconds` that is not a number above zero and at most ten years; return whether it is one."""
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if is_number and 0 < seconds <= MAX_DELAY_SECONDS:  # false for NaN
        return True
    limits = f"greater than 0 and at most {MAX_DELAY_SECONDS:,.0f} (ten years)"
    message = f"timeout_seconds must be a number {limits}, not {describe_value(seconds)}"
    report.add_error("out_of_bounds", pointer, message)
    return False


def _read_retry_on(value: Any, at: str, read: dict[str, Any], report: Report) -> None:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        report.add_error("wrong_type", at, f"retry_on must be a list of error types, not {describe_type(value)}")
        return
    for index, name in enumerate(names):
        if name not in RETRYABLE:
            path = at if names is not value else f"{at}/{index}"
            message = f"{describe_value(name)} is not an error type that can be retried"
            report.add_error("unknown_error_type", path, message, suggest_choice(name, RETRYABLE))
    read["retry_on"] = tuple(name for name in names if name in RETRYABLE)


def merge_retry(*policies: Mapping[str, Any]) -> Retry:
    """Merge retry policies; later ones override earlier ones."""
    merged: dict[str, Any] = {}
    for policy in policies:
        merged |= policy
    retry = Retry(**merged)
    if retry.maximum_interval < retry.initial_interval:
        return retry.model_copy(update={"maximum_interval": retry.initial_interval})
    return retry


def read_on_error(value: Any, pointer: str, report: Report) -> OnError | None:
    """Parse an `on_error`; return None for `fail`."""
    match value:
        case None | "fail" | "":
            return None
        case "skip":
            return Skip(kind="skip")
        case "pause":
            return Pause(kind="pause")
        case str():
            hint = did_you_mean(value, ("fail", "skip", "pause", "fallback", "retry_from")) or ON_ERROR_FORMS
            report.add_error("bad_on_error", pointer, f"unknown on_error {value!r:.60}", hint)
        case {"fallback": value, **rest} if not rest:
            return Fallback(kind="fallback", value=value)
        case {"retry_from": str() as node, **rest} if not rest.keys() - {"max"}:
            return _read_retry_from(node, rest.get("max", 1), pointer, report)
        case _:
            report.add_error("bad_on_error", pointer, "on_error has an unknown form", ON_ERROR_FORMS)
    return None


def _read_retry_from(node: str, most: Any, pointer: str, report: Report) -> OnError | None:
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        message = f"max must be a whole number of at least 1, not {describe_value(most)}"
        report.add_error("out_of_bounds", f"{pointer}/max", message)
        return None
    return RetryFrom(kind="retry_from", node=node, max=most)


def read_side_call(value: Any, pointer: str, report: Report) -> dict[str, Any] | None:
    """Return the `{action, config}` of a compensation or notification, or None if there is none or it is invalid."""
    if not value:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("action"), str) or not value["action"]:
        hint = "write {action: name, config: {…}}"
        report.add_error("missing_action", f"{pointer}/action", "no action is named", hint)
        return None
    for key in value:
        if key not in SIDE_CALL_KEYS:
            hint = suggest_choice(key, SIDE_CALL_KEYS)
            report.add_error("unknown_key", f"{pointer}/{escape(key)}", f"unknown key {key!r:.60}", hint)
    if not isinstance(value.get("config") or {}, dict):
        message = f"config must be an object, not {describe_type(value['config'])}"
        report.add_error("wrong_type", f"{pointer}/config", message)
        return None
    return cast(dict[str, Any], value)


def build_side_call(value: Mapping[str, Any], retry: Retry, timeout_seconds: float) -> ActionCall:
    """Build the call for the plan."""
    config = value.get("config") or {}
    return ActionCall(action=value["action"], config=config, retry=retry, timeout_seconds=timeout_seconds)
