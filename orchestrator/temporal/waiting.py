"""What a flow waits for, as a search attribute: reasons to filter by, then a line for each wait. Replay-sensitive.

`["event", "event order.paid 2026-01-31T08:00:00Z hear"]`: the node `hear` waits for the event `order.paid` since then.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any, cast
from urllib.parse import quote, unquote

from orchestrator.model.run import Reason, Status, format_timestamp

BRANCHES = "branches"
"""A flow waits for its branches, which say themselves what they wait for."""
WORKING = "working"
"""Another path of the flow works beside these waits."""
TAKING_EVENTS = ("event", "approval")
ANY_KEY, ONE_KEY = "any:", "key:"
"""Begin the address of an event: that of a wait that takes any key, and that of one that asks for a key."""
MAX_ADDRESSES = 100
"""Addresses of a flow; what is waited for beyond is found when others have ended."""
DIGEST_LENGTH = 24
MAX_WAITS = 5
"""Waits of a flow that are shown."""
MAX_LENGTH = 250
"""Characters of one value: Temporal takes 255."""
MAX_TEXT = 100
NO_SINCE = "-"
DETAILS = {"delay": "until", "event": "event", "operator": "error_type"}
"""What of a wait is shown, by its kind."""
PEOPLE_FIRST = ("operator", "paused", "approval", "event", "delay", "child")
"""Reasons in the order in which one of several is chosen for a list."""
SHOWN_BESIDE_WORK = ("operator", "paused", "approval", "event")
"""Reasons that a list shows though another path of the run works: a person has to act."""


def encode_waits(
    waits: Iterable[dict[str, Any]], *, has_branches: bool, is_working: bool = False, with_times: bool = True
) -> tuple[str, ...]:
    """Return the values of the attribute for the waits of a run document; an empty one where nothing waits.

    While the flow works, only what a person has to do is a wait.
    """
    kinds = SHOWN_BESIDE_WORK if is_working else PEOPLE_FIRST
    listed = [wait for wait in waits if wait["kind"] in kinds]
    shown = sorted(listed, key=lambda wait: PEOPLE_FIRST.index(wait["kind"]))[:MAX_WAITS]
    if is_working and not shown:
        return ()
    reasons = dict.fromkeys([wait["kind"] for wait in shown] + [BRANCHES] * has_branches + [WORKING] * is_working)
    return (*reasons, *_encode_lines(shown, with_times), *_encode_addresses(listed))


def _encode_addresses(waits: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the address of each event that is waited for, by which the service finds the waits of a name and key."""
    addresses: dict[str, None] = {}
    for wait in waits:
        events = wait.get("event") if wait["kind"] in TAKING_EVENTS else None
        for name in events if isinstance(events, list) else [events] if events else ():
            addresses[encode_address(str(name), wait.get("key"))] = None
    yield from islice(addresses, MAX_ADDRESSES)


def encode_address(name: str, key: str | None) -> str:
    """Return the address of the events of a name and a key, or of any key; a digest, because names may be long."""
    digest = sha256(name.encode() if key is None else f"{name}\0{key}".encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{ANY_KEY if key is None else ONE_KEY}{digest}"


def _encode_lines(waits: Sequence[dict[str, Any]], with_times: bool) -> Iterator[str]:
    """Yield a line for each wait, and one without a time for those of many iterations that are alike.

    Every change of the attribute costs an event, and the times of many would change with each of them.
    """
    alike = Counter(_encode_wait(wait, NO_SINCE) for wait in waits)
    for wait in waits:
        line = _encode_wait(wait, NO_SINCE)
        if with_times and alike[line] == 1:
            yield _encode_wait(wait, wait.get("since", NO_SINCE))
        elif alike[line]:
            del alike[line]  # the others read 0
            yield line


def _encode_wait(wait: dict[str, Any], since: str) -> str:
    detail = wait["approval"]["title"] if wait["kind"] == "approval" else wait.get(DETAILS.get(wait["kind"], ""))
    text = ",".join(map(str, detail)) if isinstance(detail, list) else str(detail or "")
    node_id = wait["node_id"] or ""
    length = MAX_LENGTH - len(f"{wait['kind']}  {since} {node_id}")
    return f"{wait['kind']} {_quote_start(text[:MAX_TEXT], length)} {since} {node_id}"


def _quote_start(text: str, length: int) -> str:
    """Return as many characters of a text, quoted, as fit: an escape that is cut could not be read."""
    quoted = ""
    for character in text:
        escaped = quote(character, safe=":._-*,")
        if len(quoted) + len(escaped) > length:
            break
        quoted += escaped
    return quoted


def list_addresses(values: Sequence[str]) -> tuple[str, ...]:
    """Return the addresses of the events that a flow waits for."""
    return tuple(value for value in values if value.startswith((ANY_KEY, ONE_KEY)))


def waits_for_branches(values: Sequence[str]) -> bool:
    """Return whether a flow waits for branches."""
    return BRANCHES in values


def works_beside(values: Sequence[str]) -> bool:
    """Return whether a flow works beside its waits."""
    return WORKING in values


def decode_waits(values: Sequence[str], moved_at: datetime | None) -> list[dict[str, Any]]:
    """Return the waits in the attribute, as in a run document; `moved_at` is when it last changed."""
    waits: list[dict[str, Any]] = []
    for value in values:
        kind, detail, since, node_id = (*value.split(" ", 3), "", "", "")[:4]
        if " " not in value:
            continue
        wait: dict[str, Any] = {"node_id": node_id or None, "kind": kind}
        if kind in DETAILS:
            wait[DETAILS[kind]] = unquote(detail)
        if kind == "approval":
            wait["approval"] = {"title": unquote(detail)}
        if since != NO_SINCE:
            wait["since"] = since
        elif moved_at is not None:
            wait["since"] = format_timestamp(moved_at)
        waits.append(wait)
    return waits


def summarize_waits(waits: Sequence[dict[str, Any]], *, is_working: bool = False) -> dict[str, Any]:
    """Return the fields of a run in a list that has these waits: a person comes first."""
    status: Status = "waiting" if waits and not is_working else "running"
    first = min(waits, key=lambda wait: PEOPLE_FIRST.index(wait["kind"]), default=None)
    reason = None if first is None else cast(Reason, first["kind"])
    node_id = None if first is None else first["node_id"]
    ordered = [] if first is None else [first, *(wait for wait in waits if wait is not first)]
    return {"status": status, "reason": reason, "node_id": node_id, "waiting_for": ordered}
