"""Begin a new run at a node of one that has ended, with what was known there. No I/O.

Only nodes of the run's own scope: a loop, a parallel or a called workflow begins anew as a whole.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.data import restore
from orchestrator.errors import OperationRefused
from orchestrator.plan import Plan
from orchestrator.run import RunInfo, timestamp

WELL = ("completed", "skipped")


def resumed(
    plan: Plan, kept: Mapping[str, Any], node_id: str | None, failed_at: str | None, info: RunInfo, now: datetime
) -> dict[str, Any]:
    """Give the state that a new run begins with; `kept` is that of the old one, as `RunState.to_json` writes it.

    Without a node it is the one that has not ended well. Paths that were still to be gone are gone, too.
    Raises OperationRefused.
    """
    if any(step["id"].endswith("/compensate") for step in kept["log"]):
        raise OperationRefused(
            "what this run had done has been undone by compensations: nothing is left to go on from",
            hint="start the workflow anew",
        )
    wanted = node_id or _unwell(plan, kept, failed_at)
    ranks = {node.id: rank for rank, node in enumerate(plan.scope.nodes)}
    if wanted not in ranks:
        known = ", ".join(list(ranks)[:20])
        raise OperationRefused(
            f"a run cannot begin at {wanted!r}: it is no node of the run's own scope", hint=f"one of {known}"
        )
    frame = kept["frame"]
    context = dict(kept["context"])
    loop = frame["loop"]
    if loop is not None:
        restore(context, loop["shadowed"])
    context["run"] = {"id": info.id, "started_at": timestamp(now), "attempt": info.attempt}
    return {
        **kept,
        "started_at": timestamp(now),
        "context": context,
        "frame": {**frame, "active": sorted({ranks[wanted], *frame["active"]}), "loop": None},
        "log": [],
        "completed": 0,
        "dropped": kept["started"],
    }


def _unwell(plan: Plan, kept: Mapping[str, Any], failed_at: str | None) -> str:
    """Name the node of the run's own scope that has failed, was cancelled, or was under way."""
    for step in reversed(kept["log"]):
        if not step.get("path") and step["status"] not in WELL:
            return str(step["node_id"])
    if failed_at is None:
        raise OperationRefused("no node of this run has failed", hint="name the node to begin at: node_id")
    return failed_at
