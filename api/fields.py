"""Parameters that several routes take."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, TypeAdapter
from pydantic_core import PydanticCustomError

from orchestrator.model.definition import WORKFLOW_NAME
from orchestrator.store.records import Stored
from orchestrator.store.workflows import EditConflict

RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)([Zz]|[+ -]\d\d:\d\d)")
TIME = TypeAdapter(AwareDatetime)
PLAIN = r"^[^\x00-\x1f\x7f/]+$"
"""What can be a part of an address."""
MAX_VERSION = 2_147_483_647

WorkflowId = Annotated[
    str, Path(pattern=f"^{WORKFLOW_NAME.pattern}$", description="Id of the workflow.", examples=["invoice-reminder"])
]
RunId = Annotated[str, Path(pattern=PLAIN, max_length=300, description="Id of the run.")]
Version = Annotated[int, Path(ge=1, le=MAX_VERSION, description="Number of a published version.")]


def _parse_time(value: Any) -> datetime:
    """Take times as RFC 3339 only; in an address a plus sign arrives as a space."""
    match = RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("bad_time", "a time with its offset is needed: 2026-01-31T08:00:00Z")
    return TIME.validate_python(f"{match[1]}{match[2].replace(' ', '+')}")


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("bad_time", "that time is out of range") from None


UtcTime = Annotated[AwareDatetime, BeforeValidator(_parse_time), AfterValidator(_to_utc)]
"""A time, in UTC."""
Since = Annotated[UtcTime | None, Query(description="Not before this time (RFC 3339).")]
Until = Annotated[UtcTime | None, Query(description="Before this time (RFC 3339).")]

IfMatch = Annotated[
    str | None, Header(max_length=1000, description="The ETag that was read: a definition changed since is left alone.")
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$",
        max_length=255,
        description="Started once for each key: a second request answers the first one's run.",
    ),
]


def require_revision(if_match: str | None, stored: Stored) -> int | None:
    """Give the revision that a change asks for; raises EditConflict where the definition is no longer what was read.

    Weak tags count: a proxy that compresses answers makes ours weak. Our tags have no comma in them.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    if format_etag(stored) not in {each.strip().removeprefix("W/") for each in if_match.split(",")}:
        hint = "read it again, and change that: If-Match is its ETag as given"
        raise EditConflict("If-Match does not name the definition as it is", hint=hint)
    return stored.revision


def format_etag(stored: Stored) -> str:
    """Write a state of a definition as an ETag; one that was deleted and made anew begins with another moment."""
    return f'"{stored.revision}-{int(stored.created_at.timestamp() * 1_000_000):x}"'
