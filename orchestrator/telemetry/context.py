"""Log context: which run and node a log line is about."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

log_context: ContextVar[Mapping[str, Any]] = ContextVar("orchestrator_about")
"""Whom what is being done is for: `run_id`, `workflow_id`, `node_id`, `customer_id`; log lines carry it."""
