"""Check triggers: keys, names and bounds of each type (SPEC §7)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import OrchestratorError, ProblemCode
from orchestrator.jsontools import schema
from orchestrator.jsontools.suggestions import join_names
from orchestrator.language import condition_reader
from orchestrator.model.definition import TRIGGER_TYPES, Trigger
from orchestrator.planner import webhook_checks
from orchestrator.planner.report import Report, suggest_choice
from orchestrator.planner.structure import check_config_keys
from orchestrator.timing import clock_changes, cron, schedule
from orchestrator.timing.clock_changes import AmbiguousTime

MAX_EVENT = 200
EVENT_NAME = re.compile(r"(\*\*?|[A-Za-z0-9_-]+)(\.(\*\*?|[A-Za-z0-9_-]+))*")

CONFIG_KEYS: dict[str, tuple[str, ...]] = {
    "manual": ("input",),
    "schedule": (
        "timezone", "overlap", "catchup_window_seconds", "jitter_seconds", "start_at", "end_at", "input",
    ),
    "event": ("filter", "schema"),
    "webhook": webhook_checks.CONFIG_KEYS,
}  # fmt: skip
OWN_KEYS = {
    "manual": (),
    "schedule": ("cron", "interval_seconds"),
    "event": ("event",),
    "webhook": ("webhook_path",),
}
AT = "/trigger"
WIDE_STEP_HINT = "a step begins again with each hour, day, month or year; for a fixed distance use `interval_seconds`"


def check(trigger: Trigger, report: Report, now: datetime | None = None) -> None:
    """Report the problems of a trigger; `now` decides which fire times are still to come."""
    if trigger.type not in TRIGGER_TYPES:
        if not trigger.type:
            report.add_error("missing_trigger", AT, "the workflow has no trigger", 'write {"type": "manual"}')
            return
        hint = suggest_choice(trigger.type, TRIGGER_TYPES)
        report.add_error("unknown_trigger", f"{AT}/type", f"there is no trigger type {trigger.type!r:.60}", hint)
        return
    for key in ("event", "cron", "interval_seconds", "webhook_path"):
        if getattr(trigger, key) and key not in OWN_KEYS[trigger.type]:
            users = join_names(name for name, keys in OWN_KEYS.items() if key in keys)
            message = f"a trigger of type {trigger.type} does not use `{key}`"
            report.add_error("unused_key", f"{AT}/{key}", message, f"remove it; `{key}` belongs to type {users}")
    known = CONFIG_KEYS[trigger.type]
    check_config_keys(trigger.config, known, f"{AT}/config", f"config of the {trigger.type} trigger", report)
    before = len(report.problems)
    CHECKS[trigger.type](trigger, report)
    if trigger.type == "schedule" and len(report.problems) == before:
        _check_fire_times(trigger, report, now or datetime.now(UTC))


def _check_manual(trigger: Trigger, report: Report) -> None:
    """Accept: a manual trigger has no keys to check."""


def _check_schedule(trigger: Trigger, report: Report) -> None:
    if bool(trigger.cron) == (trigger.interval_seconds is not None):
        message = "a schedule needs `cron` or `interval_seconds`, not both"
        if not trigger.cron:
            message = "a schedule needs `cron` or `interval_seconds`"
        report.add_error("bad_schedule", AT, message)
    problem = cron.find_problem(trigger.cron) if trigger.cron else None
    if problem is not None:
        report.add_error("bad_cron", f"{AT}/cron", problem)
    config = trigger.config
    interval = trigger.interval_seconds
    if interval is not None:
        _check_readable("out_of_bounds", f"{AT}/interval_seconds", report, schedule.parse_interval, interval)
    for key in ("catchup_window_seconds", "jitter_seconds"):
        if config.get(key) is not None:
            _check_readable("out_of_bounds", f"{AT}/config/{key}", report, schedule.parse_seconds, config[key], key)
    _check_overlap(config.get("overlap"), report)
    where = _check_readable(
        "bad_timezone", f"{AT}/config/timezone", report, schedule.parse_time_zone, config.get("timezone")
    )
    for key in ("start_at", "end_at"):
        zone = where or schedule.parse_time_zone(None)
        _check_readable("bad_time", f"{AT}/config/{key}", report, schedule.parse_time, config.get(key), key, zone)


def _check_fire_times(trigger: Trigger, report: Report, now: datetime) -> None:
    """Check when a readable schedule fires: never, no longer, rarer than it says, or inside a clock change.

    What depends on the clock is a warning: a definition that was valid must stay usable for runs started by hand.
    """
    start_at, end_at = schedule.parse_bounds(trigger)
    if start_at is not None and end_at is not None and end_at < start_at:
        message = f"the schedule never fires: end_at ({_format(end_at)}) is before start_at ({_format(start_at)})"
        report.add_error("never_fires", f"{AT}/config/end_at", message, "swap them, or omit one")
        return
    if not schedule.list_fire_times(trigger, cron.EPOCH - cron.INSTANT, 1):
        pointer = f"{AT}/config/{'start_at' if end_at is None else 'end_at'}"
        bounds = [f"from {_format(start_at)}"] if start_at else []
        bounds.append(f"to {_format(end_at)}" if end_at else f"to the end of {cron.LAST_YEAR}")
        message = f"the schedule never fires: it has no fire time {' '.join(bounds)}"
        report.add_error("never_fires", pointer, message, "change start_at or end_at")
        return
    if not schedule.list_fire_times(trigger, now, 1):
        ending = f"end_at, {_format(end_at)}" if end_at else f"the end of {cron.LAST_YEAR}"
        message = f"the schedule has ended: it has no fire time before {ending}"
        report.add_warning("schedule_ended", f"{AT}/config/end_at", message, "move end_at, or leave it out")
        return
    _check_clock_changes(trigger, report, max(now, start_at or now), end_at)
    for problem in cron.find_wide_steps(trigger.cron) if trigger.cron else ():
        report.add_warning("wide_step", f"{AT}/cron", problem, WIDE_STEP_HINT)


def _check_clock_changes(trigger: Trigger, report: Report, after: datetime, until: datetime | None) -> None:
    where = schedule.read_zone(trigger)
    found = clock_changes.find_ambiguous_time(trigger.cron, where.key, after, until) if trigger.cron else None
    if found is not None:
        hint = "choose another time of day, or a time zone without clock changes, such as UTC"
        report.add_warning("clock_change", f"{AT}/cron", _describe_ambiguous_time(found, where.key), hint)
    for key in ("start_at", "end_at"):
        text = trigger.config.get(key)
        wall = datetime.fromisoformat(text) if text else None
        change = clock_changes.find_change_at(wall, where) if wall and wall.tzinfo is None else None
        read = schedule.parse_time(text, key, where)
        if change is None or read is None:
            continue
        reason = f"skip {text}" if change.forward else f"show {text} twice"
        message = f"{key}: the clocks of {where.key} {reason}; it is read as {_format(read)}"
        report.add_warning("clock_change", f"{AT}/config/{key}", message, "write it with an offset, or as UTC with `Z`")


def _describe_ambiguous_time(found: AmbiguousTime, zone: str) -> str:
    """Describe what a schedule does in the next night in which clocks change at one of its times."""
    wall, fires = found.wall, found.fires
    if found.change.forward:
        reason = f"on {wall:%Y-%m-%d} the clocks of {zone} skip {wall:%H:%M}"
        moved = ", ".join(f"{moment + found.change.after:%H:%M}" for moment in fires)
        return f"{reason}: the schedule fires at {moved} instead" if fires else f"{reason}: the schedule does not fire"
    reason = f"on {wall:%Y-%m-%d} the clocks of {zone} show {wall:%H:%M} twice"
    if len(fires) == 1:
        order = "first" if fires[0] < found.change.at else "second"
        return f"{reason}: the schedule fires once, the {order} time"
    return f"{reason}: the schedule {'fires twice' if fires else 'does not fire'}"


def _format(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def _check_readable(code: ProblemCode, pointer: str, report: Report, read: Callable[..., Any], *arguments: Any) -> Any:
    """Parse a value as the schedule will; report the error and return None if it is invalid."""
    try:
        return read(*arguments)
    except OrchestratorError as error:
        report.add_error(code, pointer, error.message, error.hint)
        return None


def _check_overlap(value: Any, report: Report) -> None:
    try:
        schedule.parse_overlap(value)
    except OrchestratorError as error:
        hint = suggest_choice(value, schedule.OVERLAPS)
        report.add_error("bad_overlap", f"{AT}/config/overlap", error.message, hint)


def _check_event(trigger: Trigger, report: Report) -> None:
    if not trigger.event:
        report.add_error("missing_event", f"{AT}/event", "the event trigger names no event", "set `event` to its name")
    elif not EVENT_NAME.fullmatch(trigger.event):
        hint = "join parts of letters, digits, `_` and `-` by dots; `*` matches one part, `**` the rest"
        report.add_error("bad_event", f"{AT}/event", f"{trigger.event!r:.60} is not a valid event name", hint)
    elif len(trigger.event) > MAX_EVENT:
        report.add_error("bad_event", f"{AT}/event", f"the event name is longer than {MAX_EVENT} characters")
    elif "**" in trigger.event.split(".")[:-1]:
        report.add_error(
            "bad_event", f"{AT}/event", "`**` must be the last part of an event name", "use `*` for one part"
        )
    data_schema = trigger.config.get("schema")
    if data_schema:
        report.problems.extend(schema.find_schema_problems(data_schema, f"{AT}/config/schema"))
    condition = trigger.config.get("filter")
    if condition:
        report.problems.extend(condition_reader.find_problems(condition, f"{AT}/config/filter"))


CHECKS: dict[str, Callable[[Trigger, Report], None]] = {
    "manual": _check_manual,
    "schedule": _check_schedule,
    "event": _check_event,
    "webhook": webhook_checks.check,
}
