"""Configure logging to stderr, as text or JSON lines. Stdout is for results only."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.cli.output import clean
from orchestrator.model.run import format_timestamp
from orchestrator.telemetry.context import log_context, redact_log
from orchestrator.telemetry.metrics import SdkMetrics

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
ESCAPES = {letter: ascii(letter)[1:-1] for letter in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"}
WORKER_LOGGER = "temporalio.worker._worker"
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes of every record; all others come from `extra`."""


def redact(text: str) -> str:
    """Return a text without the secrets of the action that logs it."""
    redactor = redact_log.get(None)
    return text if redactor is None else redactor(text)


class TextLines(logging.Formatter):
    """Formats a record as one line, and its traceback indented below it.

    Escapes line breaks in messages and replaces control characters, so that no text from outside forges a line.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Format the first line."""
        return clean(LINE_BREAK.sub(lambda match: ESCAPES[match.group()], redact(super().formatMessage(record))))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        """Format a traceback."""
        return _indent(redact(super().formatException(ei)))

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        traceback = getattr(record, "traceback", None)
        line = super().format(record)
        return f"{line}\n{_indent(str(traceback))}" if traceback else line


def _indent(text: str) -> str:
    return "\n".join(f"    {clean(line)}" for line in text.splitlines())


class JsonLines(logging.Formatter):
    """Formats a record as a JSON object, with all `extra` fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        extra = {name: value for name, value in vars(record).items() if name not in STANDARD}
        entry = {
            "time": format_timestamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            **extra,
        }
        if record.exc_info:
            entry["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False, default=str)


def shorten_traceback(record: logging.LogRecord) -> bool:
    """Replace the traceback of a failed action or worker by one line: it would only show Temporal's own code."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and (type(error).__module__ == "temporalio.exceptions" or record.name == WORKER_LOGGER):
        record.msg, record.args = f"{record.getMessage()}: {error}", ()
        record.exc_info, record.exc_text = None, None
    return True


def add_run_context(record: logging.LogRecord) -> bool:
    """Add the IDs of run, workflow, node and customer to a record, as far as they are known."""
    known = dict(log_context.get({}))
    temporal = getattr(record, "temporal_workflow", None) or getattr(record, "temporal_activity", None) or {}
    if "run_id" not in known and temporal.get("workflow_id"):
        known["run_id"] = temporal["workflow_id"]
    for name, value in known.items():
        if not hasattr(record, name):
            setattr(record, name, value)
    return True


def configure(log_format: str, level: str, file: Path | None = None, *, metrics: bool = False) -> None:
    """Send log records to stderr or a file; with `metrics` the Temporal client exports its own metrics."""
    handler = logging.StreamHandler(sys.stderr) if file is None else logging.FileHandler(file, encoding="utf-8")
    handler.addFilter(shorten_traceback)
    handler.addFilter(add_run_context)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines(TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    _forward_core(level, metrics=metrics)
    # httpx logs every request at `info`; the step shows it already.
    for noisy in ("httpx", "httpcore", "asyncio", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


def _forward_core(level: str, *, metrics: bool) -> None:
    """Forward the log of the Temporal client's native core, which writes to stdout otherwise."""
    from temporalio.runtime import (
        LogForwardingConfig,
        LoggingConfig,
        PrometheusConfig,
        Runtime,
        TelemetryConfig,
        TelemetryFilter,
    )

    from orchestrator.temporal.devserver import find_free_port

    core = TelemetryFilter(core_level="WARN" if level in ("debug", "info", "warning") else "ERROR", other_level="ERROR")
    forwarded = LogForwardingConfig(logging.getLogger("temporalio.core"), append_target_to_name=False)
    counted = None
    if metrics:
        SdkMetrics.address = f"127.0.0.1:{find_free_port()}"
        counted = PrometheusConfig(SdkMetrics.address, durations_as_seconds=True)
    telemetry = TelemetryConfig(logging=LoggingConfig(filter=core, forwarding=forwarded), metrics=counted)
    Runtime.set_default(Runtime(telemetry=telemetry), error_if_already_set=False)
