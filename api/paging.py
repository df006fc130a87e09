"""Cursor pagination: an opaque cursor marks where the next page begins."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from orchestrator.errors import BadCursor
from orchestrator.model.run import format_timestamp

ItemT = TypeVar("ItemT")
MAX_CURSOR = 2_000
MAX_INT = 1 << 31

Limit = Annotated[int, Query(ge=1, le=500, description="Maximum number of items on the page.")]
Cursor = Annotated[
    str | None, Query(max_length=MAX_CURSOR, description="`next_cursor` of the previous page; omit it for the first.")
]


class Page(BaseModel, Generic[ItemT]):
    """One page of a list."""

    items: list[ItemT] = Field(description="The entries of this page.")
    next_cursor: str | None = Field(None, description="Cursor of the next page; null on the last page.")


def cut_page(rows: Sequence[Any], limit: int, key: Any) -> tuple[Sequence[Any], str | None]:
    """Return a page and the cursor of the next; `rows` holds one more than the limit if there is a next page."""
    page = rows[:limit]
    return page, encode_cursor(*key(page[-1])) if len(rows) > limit else None


def encode_cursor(*position: Any) -> str:
    """Return the cursor of a position."""
    values = [format_timestamp(value) if isinstance(value, datetime) else value for value in position]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *kinds: type) -> list[Any]:
    """Return the values of a cursor, checked by type; raises BadCursor."""
    if cursor is None:
        return []
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(values, list):
            raise BadCursor
        return [_check_value(kind, value) for kind, value in zip(kinds, values, strict=True)]
    except (binascii.Error, ValueError, TypeError, RecursionError, OverflowError):
        raise BadCursor("invalid cursor", hint="send `next_cursor` of the previous page unchanged") from None


def _check_value(kind: type, value: Any) -> Any:
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(value)
        return moment
    if kind is int and type(value) is int and abs(value) < MAX_INT:
        return value
    if kind is str and isinstance(value, str) and "\x00" not in value:
        value.encode()
        return value
    raise ValueError(value)
