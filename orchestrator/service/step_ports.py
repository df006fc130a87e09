"""Say by which port a recorded step has left its node. No I/O."""

from collections.abc import Mapping
from typing import Any

NO_PORTS = ("when", "skipped", "break")
"""Decisions whether a node runs or a loop ends, not which node comes next."""


def find_port(step_id: str, status: str, is_over: bool, decision: Any, output: Any) -> str | None:
    """Return the port by which a step has left its node; `None` where it has left by none."""
    if not is_over or status == "cancelled" or step_id.endswith("/compensate"):
        return None
    port = decision.get("port") if isinstance(decision, Mapping) else None
    if isinstance(port, str) and port not in NO_PORTS:
        return port
    if isinstance(output, Mapping) and output.get("timed_out") is True:
        return "timeout"
    return "error" if status == "failed" else "next"
