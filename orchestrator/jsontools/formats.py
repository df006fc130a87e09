"""The formats of text that JSON Schemas name: date, date-time, email, uri and uuid. Other formats are notes.

Replay-sensitive; each takes time linear in the text.
"""

from collections.abc import Callable
from datetime import date, datetime

import re2

DATE = re2.compile(r"\d{4}-\d{2}-\d{2}")
DATE_TIME = re2.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")
EMAIL = re2.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
"""What browsers accept in an email field (HTML, valid e-mail address), without comments and quoted names."""
URI = re2.compile(r"[A-Za-z][A-Za-z0-9+.-]*:([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
"""An absolute URI (RFC 3986), with a scheme."""
UUID = re2.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def _is_date(text: str) -> bool:
    if DATE.fullmatch(text) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_date_time(text: str) -> bool:
    """Return whether a text is a time with its offset, as RFC 3339 writes it."""
    if DATE_TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


CHECKS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "date-time": _is_date_time,
    "email": lambda text: EMAIL.fullmatch(text) is not None,
    "uri": lambda text: URI.fullmatch(text) is not None,
    "uuid": lambda text: UUID.fullmatch(text) is not None,
}


def matches_format(name: str, text: str) -> bool:
    """Return whether a text has a format; one that is not known fits any text."""
    check = CHECKS.get(name)
    return check is None or check(text)
