"""What a flow waits for, as a search attribute: reasons to filter by, then a line for each wait. Replay-sensitive.

`["event", "event order.paid hear"]`: the node `hear` waits for the event `order.paid`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast, get_args
from urllib.parse import quote, unquote

from orchestrator.model.run import Reason, Status, format_timestamp

BRANCHES = "branches"
"""A flow waits for its branches, which say themselves what they wait for."""
MAX_WAITS = 5
"""Waits of a flow that are shown."""
MAX_LENGTH = 240
"""Characters of one value: Temporal takes 255."""
MAX_TEXT = 100
DETAILS = {"delay": "until", "event": "event", "operator": "error_type"}
"""What of a wait is shown, by its kind."""
PEOPLE_FIRST = ("operator", "paused", "event", "delay", "child")
"""Reasons in the order in which one of several is chosen for a list."""


def encode_waits(waits: Iterable[dict[str, Any]], *, has_branches: bool) -> tuple[str, ...]:
    """Return the values of the attribute for the waits of a run document; an empty one where nothing waits."""
    shown = [wait for wait in waits if wait["kind"] in get_args(Reason)][:MAX_WAITS]
    reasons = dict.fromkeys([wait["kind"] for wait in shown] + [BRANCHES] * has_branches)
    return (*reasons, *(_encode_wait(wait) for wait in shown))


def _encode_wait(wait: dict[str, Any]) -> str:
    detail = wait.get(DETAILS.get(wait["kind"], ""))
    text = ",".join(map(str, detail)) if isinstance(detail, list) else str(detail or "")
    return f"{wait['kind']} {quote(text[:MAX_TEXT], safe=':._-*,')} {wait['node_id'] or ''}"[:MAX_LENGTH]


def waits_for_branches(values: Sequence[str]) -> bool:
    """Return whether a flow waits for branches."""
    return BRANCHES in values


def decode_waits(values: Sequence[str], since: datetime | None) -> list[dict[str, Any]]:
    """Return the waits in the attribute, as in a run document, with the time since which the flow waits."""
    waits: list[dict[str, Any]] = []
    for value in values:
        kind, detail, node_id = (*value.split(" ", 2), "", "")[:3]
        if " " not in value:
            continue
        wait: dict[str, Any] = {"node_id": node_id or None, "kind": kind}
        if kind in DETAILS:
            wait[DETAILS[kind]] = unquote(detail)
        if since is not None:
            wait["since"] = format_timestamp(since)
        waits.append(wait)
    return waits


def summarize_waits(waits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the fields of a run in a list that has these waits: a person comes first."""
    status: Status = "waiting" if waits else "running"
    first = min(waits, key=lambda wait: PEOPLE_FIRST.index(wait["kind"]), default=None)
    reason = None if first is None else cast(Reason, first["kind"])
    node_id = None if first is None else first["node_id"]
    ordered = [] if first is None else [first, *(wait for wait in waits if wait is not first)]
    return {"status": status, "reason": reason, "node_id": node_id, "waiting_for": ordered}
