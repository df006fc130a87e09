"""Check webhook triggers: who may send, how requests are read, and what they are answered (SPEC §7)."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.jsontools.charsets import find_charset
from orchestrator.jsontools.json_types import describe_type, describe_value
from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.language import condition_reader
from orchestrator.model.definition import Trigger
from orchestrator.model.permissions import MIN_SIGNING_SECRET, describe_weak_secret
from orchestrator.model.webhook_responses import (
    HEADER_NAME,
    HEADER_VALUE,
    MAX_STATUS,
    MIN_STATUS,
    RESPOND_KEYS,
    RESPOND_NAMES,
    WITHOUT_BODY,
    explain_forbidden_header,
)
from orchestrator.planner import signature_checks
from orchestrator.planner.references import collect_uses
from orchestrator.planner.report import Report, suggest_choice
from orchestrator.planner.structure import check_config_keys
from orchestrator.timing.schedule import MAX_SECONDS

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MAX_ANSWER_SECONDS = 300
"""Longest time, in seconds, that a webhook waits for the output before it answers."""
MAX_BODY_BYTES = 100_000_000
MAX_PATH = 400
MAX_SECRETS = 5
RESPONSES = ("accepted", "output")
RESUME_KEYS = ("run_id", "event")
REQUEST = ("body", "headers", "query", "method", "path", "trigger")
"""The names that templates of `resume` and `idempotency_key` can read, all from the request."""
WEBHOOK_PATH = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
CONFIG_KEYS = (
    "methods", "secret", "scheme", "signature_header", "signature_prefix", "signed", "algorithm", "encoding",
    "secret_encoding", "timestamp_header", "timestamp_key", "tolerance_seconds", "respond", "timeout_seconds",
    "idempotency_header", "idempotency_key", "filter", "resume", "charset", "max_body_bytes",
)  # fmt: skip
AT = "/trigger"
OPEN_HINT = "set `secret` to a template such as `{{ secrets.shop }}`, and let the sender sign its requests"
WEAK_HINT = "use a random one, such as that of `openssl rand -hex 24`"


def check(trigger: Trigger, report: Report) -> None:
    """Report the problems of a webhook trigger."""
    path = trigger.webhook_path.strip("/")
    if not path:
        report.add_error(
            "missing_webhook_path", f"{AT}/webhook_path", "the webhook trigger has no path", "set `webhook_path`"
        )
    elif not WEBHOOK_PATH.fullmatch(path):
        message = f"{trigger.webhook_path!r:.60} is not a valid path"
        hint = "use letters, digits, `.`, `_`, `~`, `-` and `/`"
        report.add_error("bad_webhook_path", f"{AT}/webhook_path", message, hint)
    elif len(path) > MAX_PATH:
        report.add_error("bad_webhook_path", f"{AT}/webhook_path", f"the path is longer than {MAX_PATH} characters")
    config = trigger.config
    _check_methods(config.get("methods"), report)
    _check_above_zero(config, "timeout_seconds", MAX_ANSWER_SECONDS, report)
    _check_above_zero(config, "tolerance_seconds", MAX_SECONDS, report)
    charset = config.get("charset")
    if charset and (not isinstance(charset, str) or find_charset(charset) is None):
        hint = "such as `utf-8`, `iso-8859-1` or `shift_jis`"
        report.add_error("bad_charset", f"{AT}/config/charset", f"unknown charset {describe_value(charset)}", hint)
    _check_above_zero(config, "max_body_bytes", MAX_BODY_BYTES, report, whole=True)
    _check_secrets(config, report)
    signature_checks.check(config, report)
    _check_respond(config.get("respond"), report)
    if config.get("filter"):
        report.problems.extend(condition_reader.find_problems(config["filter"], f"{AT}/config/filter"))
    _check_key(config.get("idempotency_key"), report)
    _check_resume(config.get("resume"), report)


def _check_methods(methods: Any, report: Report) -> None:
    pointer = f"{AT}/config/methods"
    if methods in (None, ""):
        return
    if not isinstance(methods, list | str):
        report.add_error("wrong_type", pointer, f"methods must be a list of HTTP methods, not {describe_type(methods)}")
        return
    for index, method in enumerate([methods] if isinstance(methods, str) else methods):
        if not isinstance(method, str) or method.upper() not in METHODS:
            path = pointer if isinstance(methods, str) else f"{pointer}/{index}"
            hint = suggest_choice(str(method).upper(), METHODS)
            report.add_error("bad_method", path, f"{describe_value(method)} is not an HTTP method", hint)


def _check_above_zero(config: Mapping[str, Any], key: str, most: int, report: Report, *, whole: bool = False) -> None:
    value = config.get(key)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 < value <= most:
        what = "a whole number" if whole else "a number"
        message = f"{key} must be {what} greater than 0 and at most {most:,}, not {describe_value(value)}"
        report.add_error("out_of_bounds", f"{AT}/config/{key}", message)


def _check_secrets(config: Mapping[str, Any], report: Report) -> None:
    secret, pointer = config.get("secret"), f"{AT}/config/secret"
    if secret is None and not config.get("scheme"):
        message = "the webhook has no secret: anyone who reaches its address can send requests"
        report.add_warning("open_webhook", f"{AT}/config", message, OPEN_HINT)
    if not isinstance(secret, list):
        _check_secret(secret, pointer, report)
        return
    if not 1 <= len(secret) <= MAX_SECRETS:
        message = f"secret must be text, or a list of 1 to {MAX_SECRETS} texts"
        report.add_error("bad_secret", pointer, message, "list the new secret and the old one while you rotate them")
    for index, each in enumerate(secret[:MAX_SECRETS]):
        _check_secret("" if each is None else each, f"{pointer}/{index}", report)


def _check_secret(secret: Any, pointer: str, report: Report) -> None:
    """Check a signing secret: plain text, or a template that reads only secrets."""
    if secret is None:
        return
    if not isinstance(secret, str):
        report.add_error("bad_secret", pointer, f"secret must be text, not {describe_type(secret)}")
    elif not secret.strip():
        hint = "omit it if requests are not signed"
        report.add_error("bad_secret", pointer, "the secret is empty", hint)
    elif "{{" not in secret and len(secret) < MIN_SIGNING_SECRET:
        report.add_warning("weak_secret", pointer, describe_weak_secret("the secret"), WEAK_HINT)
    for _, name in collect_uses([(pointer, secret, "secret")], report) if isinstance(secret, str) else ():
        if name.root != "secrets":
            message = (
                f"{name.line}:{name.column}: the secret may only reference `secrets.<name>`, not {name.root!r:.60}"
            )
            report.add_error("bad_secret", pointer, message)


def _check_respond(respond: Any, report: Report) -> None:
    pointer = f"{AT}/config/respond"
    if respond in (None, "", [], {}):
        return
    if not isinstance(respond, dict):
        if respond not in RESPONSES:
            message = f"respond must be `accepted`, `output` or an object, not {describe_value(respond)}"
            report.add_error("bad_respond", pointer, message, suggest_choice(respond, RESPONSES))
        return
    check_config_keys(respond, RESPOND_KEYS, pointer, "respond of the webhook trigger", report, closed=True)
    status = respond.get("status")
    if not _is_template(status) and not _is_status(status):
        message = f"the status must be a number from {MIN_STATUS} to {MAX_STATUS}, not {describe_value(status)}"
        report.add_error("bad_respond", f"{pointer}/status", message)
    elif status in WITHOUT_BODY and respond.get("body") not in (None, ""):
        report.add_error("bad_respond", f"{pointer}/body", f"a response with status {status} has no body")
    headers = respond.get("headers")
    if headers is not None and not isinstance(headers, dict):
        report.add_error(
            "bad_respond", f"{pointer}/headers", f"headers must be an object, not {describe_type(headers)}"
        )
    for name, value in headers.items() if isinstance(headers, dict) else ():
        _check_response_header(name, value, f"{pointer}/headers/{escape(name)}", report)
    sites = [(f"{pointer}/{key}", respond.get(key)) for key in RESPOND_KEYS]
    _check_names(sites, RESPOND_NAMES, "a response", report)


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def _is_status(value: Any) -> bool:
    return value in (None, "") or (
        isinstance(value, int) and not isinstance(value, bool) and MIN_STATUS <= value <= MAX_STATUS
    )


def _check_response_header(name: str, value: Any, pointer: str, report: Report) -> None:
    reason = explain_forbidden_header(name)
    if not HEADER_NAME.fullmatch(name):
        report.add_error("bad_header", pointer, f"{describe_value(name)} is not a valid header name")
    elif reason is not None:
        report.add_error("forbidden_header", pointer, f"the header {name:.60} {reason}", "remove it")
    elif isinstance(value, dict | list):
        report.add_error("bad_header", pointer, f"the value of a header must be text, not {describe_type(value)}")
    elif isinstance(value, str) and not _is_template(value) and not HEADER_VALUE.fullmatch(value):
        report.add_error("bad_header", pointer, "the value of a header must be printable ASCII in one line")


def _check_names(sites: Iterable[tuple[str, Any]], known: tuple[str, ...], what: str, report: Report) -> None:
    """Warn about names that templates over a request cannot read."""
    for at, name in collect_uses([(at, value, "template") for at, value in sites], report):
        if name.root not in (*known, "secrets") and not name.optional:
            message = f"{name.line}:{name.column}: {what} has no field {name.root!r:.60}: it is null"
            report.add_warning("unknown_variable", at, message, did_you_mean(name.root, known))


def _check_key(template: Any, report: Report) -> None:
    """Check the template of the idempotency key."""
    pointer = f"{AT}/config/idempotency_key"
    if template in (None, ""):
        return
    if not isinstance(template, str):
        message = f"idempotency_key must be a template, not {describe_type(template)}"
        report.add_error("wrong_type", pointer, message, "such as `{{ body.id }}`")
        return
    if "{{" not in template:
        hint = "such as `{{ body.id }}`; `idempotency_header` names a header"
        report.add_error("no_effect", pointer, "idempotency_key is the same for every request", hint)
    _check_names([(pointer, template)], REQUEST, "a request", report)


def _check_resume(resume: Any, report: Report) -> None:
    """Check how a request finds the waiting run that it resumes; without `resume` each request starts a run."""
    pointer = f"{AT}/config/resume"
    if resume in (None, "", [], {}):
        return
    if not isinstance(resume, dict):
        hint = 'write {"run_id": "{{ query.run }}", "event": "approved"}'
        report.add_error("bad_resume", pointer, f"resume must be an object, not {describe_type(resume)}", hint)
        return
    check_config_keys(resume, RESUME_KEYS, pointer, "resume of the webhook trigger", report)
    for key in RESUME_KEYS:
        text = resume.get(key)
        if not isinstance(text, str) or not text.strip():
            report.add_error("bad_resume", f"{pointer}/{key}", f"resume requires `{key}`, as text or a template")
    texts = [(f"{pointer}/{key}", resume.get(key)) for key in RESUME_KEYS if isinstance(resume.get(key), str)]
    _check_names(texts, REQUEST, "a request", report)
