"""Log context: the run, node and customer that a log line is about, and the secrets that it must not show."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

log_context: ContextVar[Mapping[str, Any]] = ContextVar("orchestrator_about")
"""Fields that log lines carry: `run_id`, `workflow_id`, `node_id`, `customer_id`."""
redact_log: ContextVar[Callable[[str], str]] = ContextVar("orchestrator_redact_log")
"""Redacts the secrets of the action that is running in what it logs."""
