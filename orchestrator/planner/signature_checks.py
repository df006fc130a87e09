"""Check how the requests to a webhook are signed: its scheme, and what replaces parts of it."""

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.jsontools.json_types import describe_type, describe_value
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.model.webhook_responses import HEADER_NAME
from orchestrator.model.webhook_schemes import (
    ALGORITHMS,
    BODY,
    ENCODINGS,
    HEADERS,
    HMAC_KEYS,
    PLACEHOLDER,
    SCHEMES,
    SECRET_ENCODINGS,
    TIMESTAMP,
    list_headers,
    resolve_scheme,
)
from orchestrator.planner.report import Report, suggest_choice

AT = "/trigger/config"
HEADER_KEYS = ("signature_header", "timestamp_header", "idempotency_header")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "scheme": tuple(SCHEMES),
    "algorithm": ALGORITHMS,
    "encoding": ENCODINGS,
    "secret_encoding": SECRET_ENCODINGS,
}
KEY = re.compile(r"[A-Za-z0-9_-]{1,40}")
MAX_SIGNED = 500


def check(config: Mapping[str, Any], report: Report) -> None:
    """Report the problems of the keys that say how a request is signed."""
    before = len(report.problems)
    for key, choices in CHOICES.items():
        value = config.get(key)
        if value not in (None, "") and value not in choices:
            message = f"unknown {key} {describe_value(value)}"
            report.add_error("unknown_choice", f"{AT}/{key}", message, suggest_choice(value, choices))
    for key in HEADER_KEYS:
        name = config.get(key)
        if name not in (None, "") and not (isinstance(name, str) and HEADER_NAME.fullmatch(name)):
            report.add_error("bad_header", f"{AT}/{key}", f"{describe_value(name)} is not a valid header name")
    prefix = config.get("signature_prefix", "")
    if not isinstance(prefix, str):
        message = f"signature_prefix must be text, not {describe_type(prefix)}"
        hint = "leave it out for the default, or use empty text for no prefix"
        report.add_error("wrong_type", f"{AT}/signature_prefix", message, hint)
    timestamp_key = config.get("timestamp_key")
    if timestamp_key not in (None, "") and not (isinstance(timestamp_key, str) and KEY.fullmatch(timestamp_key)):
        message = f"{describe_value(timestamp_key)} is not a key such as `t`"
        report.add_error("bad_signed", f"{AT}/timestamp_key", message)
    _check_signed(config.get("signed"), report)
    if len(report.problems) == before:
        _check_together(config, report)


def _check_signed(signed: Any, report: Report) -> None:
    pointer = f"{AT}/signed"
    if signed in (None, ""):
        return
    hint = "write what the sender signs, such as `{timestamp}.{body}`"
    if not isinstance(signed, str) or len(signed) > MAX_SIGNED:
        report.add_error("bad_signed", pointer, f"signed must be a short text, not {describe_type(signed)}", hint)
        return
    for name in PLACEHOLDER.findall(signed):
        header = name.removeprefix(HEADERS) if name.startswith(HEADERS) else None
        if name not in (BODY, TIMESTAMP) and not (header and HEADER_NAME.fullmatch(header)):
            known = did_you_mean(name, (BODY, TIMESTAMP)) or "use {body}, {timestamp} or {headers.<name>}"
            report.add_error("bad_signed", pointer, f"signed has no placeholder {{{name[:40]}}}", known)
    if BODY not in PLACEHOLDER.findall(signed):
        report.add_error("bad_signed", pointer, "signed must contain {body}: else anybody could change the body", hint)


def _check_together(config: Mapping[str, Any], report: Report) -> None:
    scheme = resolve_scheme(config)
    if config.get("scheme") and not config.get("secret"):
        message = f"the scheme {config['scheme']} needs a `secret`: without one, requests are not checked"
        report.add_error("bad_secret", f"{AT}/secret", message, 'such as "{{ secrets.hook }}"')
    if scheme.is_token:
        for key in (key for key in HMAC_KEYS if config.get(key)):
            report.add_warning("no_effect", f"{AT}/{key}", f"`{key}` has no effect on a token: nothing is signed")
        return
    if scheme.signed is not None and not scheme.needs_timestamp:
        for key in (key for key in ("timestamp_header", "timestamp_key", "tolerance_seconds") if config.get(key)):
            message = f"`{key}` has no effect: the time of sending is not part of what is signed"
            report.add_warning("no_effect", f"{AT}/{key}", message, "put {timestamp} into `signed` if the sender does")
    if scheme.needs_timestamp and not (scheme.timestamp_header or scheme.timestamp_key):
        report.add_error("bad_signed", f"{AT}/signed", "where {timestamp} is sent is missing", "set `timestamp_header`")
    if scheme.signature_header.lower() in (name.lower() for name in list_headers(scheme.signed or "")):
        report.add_error("bad_signed", f"{AT}/signed", "the signature cannot be part of what is signed")
