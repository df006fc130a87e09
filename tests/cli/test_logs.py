"""Log lines: untrusted text cannot forge a line, and secrets are redacted."""

import json
import logging
import sys
from typing import Any

from activities.redaction import Redactor
from orchestrator.cli.logs import TEXT, JsonLines, TextLines
from orchestrator.telemetry.context import redact_log


def make_record(message: str, **extra: Any) -> logging.LogRecord:
    record = logging.LogRecord("api.requests", logging.INFO, "api.py", 1, "%s", (message,), None)
    record.__dict__.update(extra)
    return record


def test_line_breaks_in_a_message_are_escaped() -> None:
    """A line break in the URL of a request once wrote a forged line into the log."""
    line = TextLines(TEXT).format(make_record("GET /a\n2026-01-01 ERROR x\r\x85\u2028y\x1b[2J"))

    assert line.splitlines() == [line]
    assert r"GET /a\n2026-01-01 ERROR x\r\x85\u2028y" in line


def test_the_lines_of_a_traceback_are_indented() -> None:
    try:
        int("bad\n2026-01-01 ERROR forged")
    except ValueError:
        failed = make_record("failed")
        failed.exc_info = sys.exc_info()

    for record in (failed, make_record("failed", traceback="ValueError: bad\n2026-01-01 ERROR forged")):
        first, *others = TextLines(TEXT).format(record).splitlines()
        assert first.endswith("failed")
        assert others
        assert all(line.startswith("    ") for line in others)


def test_secrets_of_the_running_action_are_redacted() -> None:
    token = redact_log.set(Redactor(["s3cret-t0ken"]).redact_text)
    try:
        text = TextLines(TEXT).format(make_record("sent s3cret-t0ken"))
        entry = json.loads(JsonLines().format(make_record("sent s3cret-t0ken")))
    finally:
        redact_log.reset(token)

    assert text.endswith("sent [secret]")
    assert entry["message"] == "sent [secret]"
