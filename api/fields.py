"""Parameters shared by several routes."""

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
WORKFLOW_ID = f"^{WORKFLOW_NAME.pattern}$"
PLAIN = r"^[^\x00-\x1f\x7f/]+$"
"""One segment of a path."""
LINE = r"^[^\x00-\x1f\x7f]+$"
TEXT = r"^[^\x00]*$"
EVENT_NAME = r"^[^\s\x00-\x1f\x7f.*]+(\.[^\s\x00-\x1f\x7f.*]+)*$"
BUSINESS_KEY = r"^[^=\x00-\x1f\x7f]+=[^\x00]*$"
HEADER_VALUE = r"^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$"
ALLOWED_CHARACTERS = {
    WORKFLOW_ID: "use letters, digits, `.`, `_`, `~` and `-`; begin with a letter or a digit; at most 128 characters",
    PLAIN: "control characters and `/` are not allowed",
    LINE: "control characters are not allowed",
    TEXT: "the character NUL is not allowed",
    EVENT_NAME: "use words separated by dots, such as order.paid; spaces and `*` are not allowed",
    BUSINESS_KEY: "write name=value, such as order=4711",
    HEADER_VALUE: "use printable ASCII characters, without a space at either end",
}
"""What to write instead, by pattern."""
MAX_VERSION = 2_147_483_647

WorkflowId = Annotated[str, Path(pattern=WORKFLOW_ID, description="Workflow ID.", examples=["invoice-reminder"])]
RunId = Annotated[str, Path(pattern=PLAIN, max_length=300, description="Run ID.")]
Version = Annotated[int, Path(ge=1, le=MAX_VERSION, description="Number of a published version.")]


def _parse_time(value: Any) -> datetime:
    """Parse an RFC 3339 time; the plus sign of its offset arrives as a space from a URL."""
    match = RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("bad_time", "must be a time with its offset, such as 2026-01-31T08:00:00Z")
    return TIME.validate_python(f"{match[1]}{match[2].replace(' ', '+')}")


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("bad_time", "must be a time between the years 1 and 9999 in UTC") from None


UtcTime = Annotated[AwareDatetime, BeforeValidator(_parse_time), AfterValidator(_to_utc)]
"""A time, in UTC."""
Since = Annotated[UtcTime | None, Query(description="Runs that started at or after this time (RFC 3339).")]
Until = Annotated[UtcTime | None, Query(description="Runs that started before this time (RFC 3339).")]

IdPrefix = Annotated[str | None, Query(pattern=PLAIN, max_length=300, description="What the id begins with.")]

IfMatch = Annotated[
    str | None,
    Header(
        max_length=1000,
        description="ETag of the definition as it was read. The request fails with 412 if it has changed since.",
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=HEADER_VALUE,
        max_length=255,
        description="At most one run is started per key: a repeated request returns the run of the first.",
    ),
]


def require_revision(if_match: str | None, stored: Stored) -> int | None:
    """Return the revision that a change expects; raises EditConflict if the definition has changed since it was read.

    Weak tags match as well: a proxy that compresses responses weakens ours. Our tags contain no comma.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    if format_etag(stored) not in {each.strip().removeprefix("W/") for each in if_match.split(",")}:
        hint = "read it again, apply the change to that, and send its ETag as If-Match"
        raise EditConflict("the definition has changed since it was read: If-Match is not its current ETag", hint=hint)
    return stored.revision


def format_etag(stored: Stored) -> str:
    """Return the ETag of a definition; its creation time tells it from a deleted one with the same id."""
    return f'"{stored.revision}-{int(stored.created_at.timestamp() * 1_000_000):x}"'
