"""What starts a workflow: one row a kind of trigger (SPEC §7)."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.errors import OrchestratorError, ProblemCode
from orchestrator.jsontools.json_types import describe_type
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language import condition_reader
from orchestrator.model.definition import TRIGGER_TYPES, Trigger
from orchestrator.planner.references import collect_uses
from orchestrator.planner.report import Report
from orchestrator.planner.structure import check_config_keys
from orchestrator.timing import cron, schedule

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MAX_ANSWER_SECONDS = 300
"""How long a webhook may keep its sender waiting for the output."""
MAX_PATH = 400
MAX_EVENT = 200
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A token (RFC 9110, section 5.6.2)."""
HEADERS = ("signature_header", "timestamp_header", "idempotency_header")
RESUME_KEYS = ("run_id", "event")
REQUEST = ("body", "headers", "query", "method", "path", "trigger")
"""What the templates of `resume` can read: the request."""
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
            report.add_error("missing_trigger", AT, "the workflow has no trigger", 'write {"type": "manual"}')
            return
        hint = did_you_mean(trigger.type, TRIGGER_TYPES) or f"one of {join_names(TRIGGER_TYPES)}"
        report.add_error("unknown_trigger", f"{AT}/type", f"there is no trigger {trigger.type!r}", hint)
        return
    for key in ("event", "cron", "interval_seconds", "webhook_path"):
        if getattr(trigger, key) and key not in OWN_KEYS[trigger.type]:
            message = f"a {trigger.type} trigger does not use {key!r}"
            report.add_error("unused_key", f"{AT}/{key}", message)
    known = CONFIG_KEYS[trigger.type]
    check_config_keys(trigger.config, known, f"{AT}/config", f"config of a {trigger.type} trigger", report)
    CHECKS[trigger.type](trigger, report)


def _check_manual(trigger: Trigger, report: Report) -> None:
    """Nothing can be wrong with a manual trigger."""


def _check_schedule(trigger: Trigger, report: Report) -> None:
    if bool(trigger.cron) == (trigger.interval_seconds is not None):
        which = "neither is" if not trigger.cron else "both are"
        report.add_error("bad_schedule", AT, f"a schedule has `cron` or `interval_seconds`: {which} given")
    wrong = cron.find_problem(trigger.cron) if trigger.cron else None
    if wrong is not None:
        report.add_error("bad_cron", f"{AT}/cron", wrong)
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


def _check_readable(code: ProblemCode, pointer: str, report: Report, read: Callable[..., Any], *arguments: Any) -> Any:
    """Read a value as the schedule will be made of it; report why it cannot be."""
    try:
        return read(*arguments)
    except OrchestratorError as error:
        report.add_error(code, pointer, error.message, error.hint)
        return None


def _check_overlap(value: Any, report: Report) -> None:
    try:
        schedule.parse_overlap(value)
    except OrchestratorError as error:
        hint = did_you_mean(value, schedule.OVERLAPS) or error.hint
        report.add_error("bad_overlap", f"{AT}/config/overlap", error.message, hint)


def _check_event(trigger: Trigger, report: Report) -> None:
    if not trigger.event:
        report.add_error("missing_event", f"{AT}/event", "an event trigger names the event")
    elif not EVENT_NAME.fullmatch(trigger.event):
        hint = "parts of letters, digits, `_`, `-`, joined by dots; `*` for one part, `**` for the rest"
        report.add_error("bad_event", f"{AT}/event", f"{trigger.event!r:.60} is not an event name", hint)
    elif len(trigger.event) > MAX_EVENT:
        report.add_error("bad_event", f"{AT}/event", f"an event name has {MAX_EVENT} characters at most")
    elif "**" in trigger.event.split(".")[:-1]:
        report.add_error("bad_event", f"{AT}/event", "`**` stands for the rest: it can only come last")
    condition = trigger.config.get("filter")
    if condition:
        report.problems.extend(condition_reader.find_problems(condition, f"{AT}/config/filter"))


def _check_webhook(trigger: Trigger, report: Report) -> None:
    path = trigger.webhook_path.strip("/")
    if not path:
        report.add_error("missing_webhook_path", f"{AT}/webhook_path", "a webhook trigger has a webhook_path")
    elif not WEBHOOK_PATH.fullmatch(path):
        message = f"{trigger.webhook_path!r:.60} cannot be a path: letters, digits, `.`, `_`, `~`, `-` and `/` can"
        report.add_error("bad_webhook_path", f"{AT}/webhook_path", message)
    elif len(path) > MAX_PATH:
        report.add_error("bad_webhook_path", f"{AT}/webhook_path", f"a path has {MAX_PATH} characters at most")
    config = trigger.config
    _check_methods(config.get("methods"), report)
    respond = config.get("respond")
    if respond and respond not in ("accepted", "output"):
        report.add_error(
            "bad_respond", f"{AT}/config/respond", f"{respond!r:.60}: `accepted` or `output` can be answered"
        )
    _check_above_zero(config, "timeout_seconds", MAX_ANSWER_SECONDS, report)
    _check_signature(config, report)
    _check_resume(config.get("resume"), report)


def _check_signature(config: Mapping[str, Any], report: Report) -> None:
    _check_above_zero(config, "tolerance_seconds", schedule.MAX_SECONDS, report)
    for key in HEADERS:
        name = config.get(key)
        if name not in (None, "") and not (isinstance(name, str) and HEADER.fullmatch(name)):
            report.add_error("bad_header", f"{AT}/config/{key}", f"no header can be named {name!r:.60}")
    prefix = config.get("signature_prefix", "")
    if not isinstance(prefix, str):
        hint = "leave it out for the usual one, or give an empty text for none"
        report.add_error(
            "wrong_type", f"{AT}/config/signature_prefix", f"this must be text, it is {describe_type(prefix)}", hint
        )
    _check_secret(config.get("secret"), report)


def _check_methods(methods: Any, report: Report) -> None:
    pointer = f"{AT}/config/methods"
    if methods in (None, ""):
        return
    if not isinstance(methods, list | str):
        report.add_error("wrong_type", pointer, f"this must be a list of methods, it is {describe_type(methods)}")
        return
    for index, method in enumerate([methods] if isinstance(methods, str) else methods):
        if not isinstance(method, str) or method.upper() not in METHODS:
            path = pointer if isinstance(methods, str) else f"{pointer}/{index}"
            hint = did_you_mean(str(method).upper(), METHODS) or f"one of {join_names(METHODS)}"
            report.add_error("bad_method", path, f"{method!r:.60} is no HTTP method", hint)


def _check_above_zero(config: Mapping[str, Any], key: str, most: int, report: Report) -> None:
    value = config.get(key)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        message = f"{key} is a number above 0, {most:,} at most, not {value!r:.60}"
        report.add_error("out_of_bounds", f"{AT}/config/{key}", message)


def _check_secret(secret: Any, report: Report) -> None:
    """Check what requests are signed with: a text, or a template of secrets alone."""
    pointer = f"{AT}/config/secret"
    if secret is None:
        return
    if not isinstance(secret, str):
        report.add_error("bad_secret", pointer, f"a secret is text, this is {describe_type(secret)}")
    elif not secret.strip():
        hint = "leave it out where requests are not signed"
        report.add_error("bad_secret", pointer, "an empty secret signs nothing", hint)
    for _, name in collect_uses([(pointer, secret, "secret")], report) if isinstance(secret, str) else ():
        if name.root != "secrets":
            message = f"{name.line}:{name.column}: a secret can name `secrets` only, not {name.root!r}"
            report.add_error("bad_secret", pointer, message)


def _check_resume(resume: Any, report: Report) -> None:
    """Check how a waiting run is found: nothing given means that each request starts one."""
    pointer = f"{AT}/config/resume"
    if resume in (None, "", [], {}):
        return
    if not isinstance(resume, dict):
        hint = 'write {"run_id": "{{ query.run }}", "event": "approved"}'
        report.add_error("bad_resume", pointer, f"resume is an object, this is {describe_type(resume)}", hint)
        return
    check_config_keys(resume, RESUME_KEYS, pointer, "resume of a webhook", report)
    for key in RESUME_KEYS:
        text = resume.get(key)
        if not isinstance(text, str) or not text.strip():
            report.add_error("bad_resume", f"{pointer}/{key}", f"resume needs {key!r}: a text or a template")
    texts = [(f"{pointer}/{key}", resume.get(key)) for key in RESUME_KEYS if isinstance(resume.get(key), str)]
    for at, name in collect_uses([(at, text, "template") for at, text in texts], report):
        if name.root not in (*REQUEST, "secrets") and not name.optional:
            message = f"{name.line}:{name.column}: a request has no {name.root!r}: it is null"
            report.add_warning("unknown_variable", at, message, did_you_mean(name.root, REQUEST))


CHECKS: dict[str, Callable[[Trigger, Report], None]] = {
    "manual": _check_manual,
    "schedule": _check_schedule,
    "event": _check_event,
    "webhook": _check_webhook,
}
