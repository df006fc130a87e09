"""Format what runs have used."""

from collections.abc import Mapping
from typing import Any

from orchestrator.cli.forecasts import format_count_of, format_size


def format_usage(usage: Mapping[str, Any]) -> str:
    """Return in one line what a run has used, or several: `2 executions, 40 events, 12 kB, 1.5 worker seconds`."""
    facts = [format_count_of(usage[f"{noun}s"], noun) for noun in ("execution", "event")]
    facts += [format_size(usage["bytes"]), f"{usage['worker_seconds']:,.1f} worker seconds"]
    return ", ".join(facts) + ("" if usage["complete"] else ", and more that is not counted")
