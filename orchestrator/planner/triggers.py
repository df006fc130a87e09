"""What starts a workflow: one row a kind of trigger (SPEC §7)."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from orchestrator import conditions, cron
from orchestrator.definition import TRIGGER_TYPES, Trigger
from orchestrator.planner.report import Report, did_you_mean, listed
from orchestrator.planner.structure import check_keys

OVERLAPS = ("skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MIN_INTERVAL_SECONDS = 1
WEBHOOK_PATH = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
EVENT_NAME = re.compile(r"(\*\*?|[A-Za-z0-9_-]+)(\.(\*\*?|[A-Za-z0-9_-]+))*")

CONFIG_KEYS: dict[str, tuple[str, ...]] = {
    "manual": ("input",),
    "schedule": (
        "timezone", "overlap", "catchup_window_seconds", "jitter_seconds", "start_at", "end_at", "input",
    ),
    "event": ("filter",),
    "webhook": (
        "methods", "secret", "signature_header", "signature_prefix", "timestamp_header", "tolerance_seconds",
        "respond", "timeout_seconds", "idempotency_header", "resume",
    ),
}  # fmt: skip
OWN_KEYS = {
    "manual": (),
    "schedule": ("cron", "interval_seconds"),
    "event": ("event",),
    "webhook": ("webhook_path",),
}
AT = "/trigger"


def check(trigger: Trigger, report: Report) -> None:
    """Check a trigger."""
    if trigger.type not in TRIGGER_TYPES:
        if not trigger.type:
            report.error("missing_trigger", AT, "the workflow has no trigger", 'write {"type": "manual"}')
            return
        hint = did_you_mean(trigger.type, TRIGGER_TYPES) or f"one of {listed(TRIGGER_TYPES)}"
        report.error("unknown_trigger", f"{AT}/type", f"there is no trigger {trigger.type!r}", hint)
        return
    for key in ("event", "cron", "interval_seconds", "webhook_path"):
        if getattr(trigger, key) and key not in OWN_KEYS[trigger.type]:
            message = f"a {trigger.type} trigger does not use {key!r}"
            report.error("unused_key", f"{AT}/{key}", message)
    known = CONFIG_KEYS[trigger.type]
    check_keys(trigger.config, known, f"{AT}/config", f"config of a {trigger.type} trigger", report)
    CHECKS[trigger.type](trigger, report)


def _manual(trigger: Trigger, report: Report) -> None:
    """Nothing can be wrong with a manual trigger."""


def _schedule(trigger: Trigger, report: Report) -> None:
    if bool(trigger.cron) == (trigger.interval_seconds is not None):
        which = "neither is" if not trigger.cron else "both are"
        report.error("bad_schedule", AT, f"a schedule has `cron` or `interval_seconds`: {which} given")
    wrong = cron.problem(trigger.cron) if trigger.cron else None
    if wrong is not None:
        report.error("bad_cron", f"{AT}/cron", wrong)
    interval = trigger.interval_seconds
    if interval is not None and interval < MIN_INTERVAL_SECONDS:
        report.error("out_of_bounds", f"{AT}/interval_seconds", "interval_seconds must be 1 or more")
    config = trigger.config
    _check_zone(config.get("timezone"), report)
    overlap = config.get("overlap")
    if overlap and overlap not in OVERLAPS:
        hint = did_you_mean(overlap, OVERLAPS) or f"one of {listed(OVERLAPS)}"
        report.error("bad_overlap", f"{AT}/config/overlap", f"there is no overlap policy {overlap!r}", hint)
    for key in ("catchup_window_seconds", "jitter_seconds"):
        _check_seconds(config.get(key), f"{AT}/config/{key}", report)
    for key in ("start_at", "end_at"):
        _check_time(config.get(key), f"{AT}/config/{key}", report)


def _check_zone(name: Any, report: Report) -> None:
    if not name:
        return
    try:
        cron.zone(str(name))
    except cron.CronError as error:
        report.error("bad_timezone", f"{AT}/config/timezone", error.message, error.hint)


def _check_seconds(value: Any, pointer: str, report: Report) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
        report.error("out_of_bounds", pointer, f"a number of seconds, 0 or more, is needed, not {value!r:.60}")


def _check_time(value: Any, pointer: str, report: Report) -> None:
    if not value:
        return
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        report.error("bad_time", pointer, f"{value!r:.60} is not an ISO 8601 time")


def _event(trigger: Trigger, report: Report) -> None:
    if not trigger.event:
        report.error("missing_event", f"{AT}/event", "an event trigger names the event")
    elif not EVENT_NAME.fullmatch(trigger.event):
        hint = "parts of letters, digits, `_`, `-`, joined by dots; `*` for one part, `**` for the rest"
        report.error("bad_event", f"{AT}/event", f"{trigger.event!r} is not an event name", hint)
    elif "**" in trigger.event.split(".")[:-1]:
        report.error("bad_event", f"{AT}/event", "`**` stands for the rest: it can only come last")
    condition = trigger.config.get("filter")
    if condition:
        report.problems.extend(conditions.problems(condition, f"{AT}/config/filter"))


def _webhook(trigger: Trigger, report: Report) -> None:
    path = trigger.webhook_path.strip("/")
    if not path:
        report.error("missing_webhook_path", f"{AT}/webhook_path", "a webhook trigger has a webhook_path")
    elif not WEBHOOK_PATH.fullmatch(path):
        message = f"{trigger.webhook_path!r} cannot be a path: letters, digits, `.`, `_`, `~`, `-` and `/` can"
        report.error("bad_webhook_path", f"{AT}/webhook_path", message)
    config = trigger.config
    methods = config.get("methods") or []
    for at, method in enumerate(methods if isinstance(methods, list) else [methods]):
        if str(method).upper() not in METHODS:
            pointer = f"{AT}/config/methods/{at}" if isinstance(methods, list) else f"{AT}/config/methods"
            hint = did_you_mean(str(method).upper(), METHODS) or f"one of {listed(METHODS)}"
            report.error("bad_method", pointer, f"{method!r} is no HTTP method", hint)
    respond = config.get("respond")
    if respond and respond not in ("accepted", "output"):
        report.error("bad_respond", f"{AT}/config/respond", f"{respond!r}: `accepted` or `output` can be answered")
    for key in ("timeout_seconds", "tolerance_seconds"):
        _check_seconds(config.get(key), f"{AT}/config/{key}", report)


CHECKS: dict[str, Callable[[Trigger, Report], None]] = {
    "manual": _manual,
    "schedule": _schedule,
    "event": _event,
    "webhook": _webhook,
}
