"""Format dates by strftime codes, in English and alike on every machine. Replay-sensitive: no locale.

The library's `strftime` asks the C library, whose names depend on the locale and whose codes on the platform.
"""

import re
from collections.abc import Callable
from datetime import datetime

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
CODE = re.compile(r"%(-?)(.?)", re.DOTALL)

CODES: dict[str, tuple[str, Callable[[datetime], str]]] = {
    "Y": ("year", lambda date: f"{date.year:04}"),
    "y": ("year without century", lambda date: f"{date.year % 100:02}"),
    "m": ("month, 01 to 12", lambda date: f"{date.month:02}"),
    "B": ("name of the month", lambda date: MONTHS[date.month - 1]),
    "b": ("name of the month, three letters", lambda date: MONTHS[date.month - 1][:3]),
    "d": ("day, 01 to 31", lambda date: f"{date.day:02}"),
    "j": ("day of the year, 001 to 366", lambda date: f"{date.timetuple().tm_yday:03}"),
    "A": ("day of the week", lambda date: DAYS[date.weekday()]),
    "a": ("day of the week, three letters", lambda date: DAYS[date.weekday()][:3]),
    "u": ("day of the week, 1 (Monday) to 7", lambda date: f"{date.isoweekday()}"),
    "G": ("year of the ISO week", lambda date: f"{date.isocalendar().year:04}"),
    "V": ("ISO week, 01 to 53", lambda date: f"{date.isocalendar().week:02}"),
    "H": ("hour, 00 to 23", lambda date: f"{date.hour:02}"),
    "I": ("hour, 01 to 12", lambda date: f"{date.hour % 12 or 12:02}"),
    "p": ("AM or PM", lambda date: "AM" if date.hour < 12 else "PM"),
    "M": ("minute", lambda date: f"{date.minute:02}"),
    "S": ("second", lambda date: f"{date.second:02}"),
    "f": ("microsecond", lambda date: f"{date.microsecond:06}"),
    "z": ("offset from UTC: +0200", lambda date: format_offset(date).replace(":", "")),
    "Z": ("abbreviation of the zone: CEST", lambda date: date.tzname() or ""),
    "%": ("a percent sign", lambda date: "%"),
}
"""The codes with their descriptions; `%-d` drops leading zeros."""


def find_unknown_code(pattern: str) -> str | None:
    """Return the first code of a format that is not in the table."""
    return next((match.group() for match in CODE.finditer(pattern) if match.group(2) not in CODES), None)


def format_date(date: datetime, pattern: str) -> str:
    """Format a date; the format must have no unknown code."""

    def replace(match: "re.Match[str]") -> str:
        text = CODES[match.group(2)][1](date)
        return text.lstrip("0") or "0" if match.group(1) else text

    return CODE.sub(replace, pattern)


def format_offset(date: datetime) -> str:
    """Return the offset from UTC: `+02:00`."""
    seconds = round(offset.total_seconds()) if (offset := date.utcoffset()) else 0
    return f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02}:{abs(seconds) // 60 % 60:02}"
