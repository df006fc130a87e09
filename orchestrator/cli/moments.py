"""Write times for people: relative on a terminal, else as RFC 3339. Every time has a zone."""

from datetime import UTC, datetime

from orchestrator.cli.output import is_terminal

STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (60 * 86_400, 86_400, "d"))
"""Below how many seconds which unit is used, and its seconds."""
NOW_SECONDS = 1


def format_moment(text: str | None, now: datetime | None = None) -> str:
    """Return a time of the API for a table: `3 min ago` on a terminal, as it is in a pipe."""
    if text is None:
        return ""
    return format_relative(datetime.fromisoformat(text), now or datetime.now(UTC)) if is_terminal() else text


def format_relative(moment: datetime, now: datetime) -> str:
    """Return the distance of a time: `3 min ago`, `in 51 min`, or its date if it is far away."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < NOW_SECONDS:
        return "now"
    for limit, size, unit in STEPS:
        if abs(seconds) < limit:
            amount = f"{int(abs(seconds)) // size} {unit}"
            return f"in {amount}" if seconds > 0 else f"{amount} ago"
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
