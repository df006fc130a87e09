"""Log context: the run, node and customer that a log line is about."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

log_context: ContextVar[Mapping[str, Any]] = ContextVar("orchestrator_about")
"""Fields that log lines carry: `run_id`, `workflow_id`, `node_id`, `customer_id`."""
