"""The table of functions (SPEC §3). The parser, the docs and the API's catalogue read it.

Times come from the clock of the environment, so a replay returns the same. Replay-sensitive.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.errors import EvaluationError
from orchestrator.jsontools.json_types import describe_value
from orchestrator.language.env import Env
from orchestrator.language.values import is_day, read_date, read_number
from orchestrator.model.run import format_timestamp

APPROVAL_LINK = "approval_link"
MAX_DAYS = 366_000
"""About a thousand years."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its signature, its description, and its code `(env, *arguments)`."""

    name: str
    signature: str
    description: str
    example: str
    arguments: tuple[int, int]
    """Minimum and maximum number."""
    call: Callable[..., Any]


def _read_clock(env: Env) -> datetime:
    return env.now().astimezone(UTC)


def _read_days(name: str, value: Any) -> timedelta:
    number = read_number(value)
    if number is None or abs(number) > MAX_DAYS:
        raise EvaluationError(f"{name}() takes a number of days up to {MAX_DAYS:,}, not {describe_value(value)}")
    return timedelta(days=number)


def _read_date_or_now(env: Env, name: str, arguments: tuple[Any, ...]) -> datetime | None:
    """Return the argument as a date, by default now; `None` with a warning if it is not a date."""
    if not arguments:
        return _read_clock(env)
    date = read_date(arguments[0])
    if date is None and arguments[0] is not None:
        env.warnings.add(f"{name}() takes a date, not {describe_value(arguments[0])}")
    return date


def _shift(name: str, env: Env, days: timedelta) -> str:
    try:
        return format_timestamp(_read_clock(env) + days)
    except OverflowError:
        raise EvaluationError(f"{name}() is outside the years 1 to 9999") from None


def _make_start_of(unit: str) -> Callable[..., str | None]:
    def call(env: Env, *arguments: Any) -> str | None:
        date = _read_date_or_now(env, f"start_of_{unit}", arguments)
        if date is None:
            return None
        start = date.replace(hour=0, minute=0, second=0, microsecond=0)
        if unit == "week":
            start -= timedelta(days=start.weekday())
        if unit == "month":
            start = start.replace(day=1)
        return format_timestamp(start)

    return call


def _end_of_day(env: Env, *arguments: Any) -> str | None:
    date = _read_date_or_now(env, "end_of_day", arguments)
    return None if date is None else format_timestamp(date.replace(hour=23, minute=59, second=59, microsecond=999999))


def _is_overdue(env: Env, value: Any) -> bool:
    date = _read_date_or_now(env, "is_overdue", (value,))
    if date is None:
        return False
    now = _read_clock(env)
    return date.date() < now.date() if is_day(value) else date < now


def _days_until(env: Env, value: Any) -> int | None:
    date = _read_date_or_now(env, "days_until", (value,))
    return None if date is None else (date.date() - _read_clock(env).date()).days


def _days_since(env: Env, value: Any) -> int | None:
    date = _read_date_or_now(env, "days_since", (value,))
    return None if date is None else (_read_clock(env).date() - date.date()).days


def _refuse_link(env: Env, *arguments: Any) -> None:
    raise EvaluationError("approval_link() can be used in the parameters of actions only")


_TABLE = (
    Function(
        "now",
        "now()",
        "The time, RFC 3339 in UTC.",
        "{{ now() }}",
        (0, 0),
        lambda env: format_timestamp(_read_clock(env)),
    ),
    Function(
        "today",
        "today()",
        "The date in UTC.",
        "{{ today() }}",
        (0, 0),
        lambda env: _read_clock(env).date().isoformat(),
    ),
    Function(
        "timestamp",
        "timestamp()",
        "Whole seconds since 1970-01-01 UTC.",
        "{{ timestamp() }}",
        (0, 0),
        lambda env: int(_read_clock(env).timestamp()),
    ),
    Function("uuid", "uuid()", "A new UUID.", "{{ uuid() }}", (0, 0), lambda env: env.uuid()),
    Function(
        "days_ago",
        "days_ago(n)",
        "The time n days ago.",
        "{{ days_ago(30) }}",
        (1, 1),
        lambda env, n: _shift("days_ago", env, -_read_days("days_ago", n)),
    ),
    Function(
        "days_from_now",
        "days_from_now(n)",
        "The time in n days.",
        "{{ days_from_now(7) | date }}",
        (1, 1),
        lambda env, n: _shift("days_from_now", env, _read_days("days_from_now", n)),
    ),
    Function(
        "start_of_day",
        "start_of_day(d?)",
        "Midnight of that day, or of today.",
        "{{ start_of_day(input.due) }}",
        (0, 1),
        _make_start_of("day"),
    ),
    Function(
        "end_of_day",
        "end_of_day(d?)",
        "The last moment of that day, or of today.",
        "{{ end_of_day() }}",
        (0, 1),
        _end_of_day,
    ),
    Function(
        "start_of_week",
        "start_of_week(d?)",
        "Midnight of that week's Monday.",
        "{{ start_of_week() }}",
        (0, 1),
        _make_start_of("week"),
    ),
    Function(
        "start_of_month",
        "start_of_month(d?)",
        "Midnight of the first of that month.",
        "{{ start_of_month() }}",
        (0, 1),
        _make_start_of("month"),
    ),
    Function(
        "is_overdue",
        "is_overdue(d)",
        "Whether that time has passed; a date without a time has passed the day after.",
        "{{ is_overdue(invoice.due_date) }}",
        (1, 1),
        _is_overdue,
    ),
    Function(
        "days_until",
        "days_until(d)",
        "Calendar days from today to that date; negative when it has passed.",
        "{{ days_until(invoice.due_date) }}",
        (1, 1),
        _days_until,
    ),
    Function(
        "days_since",
        "days_since(d)",
        "Calendar days from that date to today.",
        "{{ days_since(invoice.due_date) }}",
        (1, 1),
        _days_since,
    ),
    Function(
        APPROVAL_LINK,
        "approval_link(node, who)",
        "The link by which a person decides the approval of that `wait` node; in the parameters of actions only.",
        '{{ approval_link("decision", "ann@example.com") }}',
        (2, 2),
        _refuse_link,
    ),
)
FUNCTIONS: dict[str, Function] = {function.name: function for function in _TABLE}
