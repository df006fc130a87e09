"""The pipes that show dates, in a format and a time zone. Replay-sensitive: no clock, no locale."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.errors import ConditionError, EvaluationError
from orchestrator.jsontools.json_types import describe_type
from orchestrator.jsontools.time_zones import find_zone, suggest_zone
from orchestrator.language.costs import FORMAT_CHARACTER
from orchestrator.language.date_formats import CODES, find_unknown_code, format_date
from orchestrator.language.env import Env
from orchestrator.language.nodes import Node, Piped
from orchestrator.language.pipe_values import check_constant, require_date
from orchestrator.language.values import CannotTake

MAX_FORMAT = 100
"""Characters in the format of a date."""
EXAMPLE = 'date("%d.%m.%Y", "Europe/Berlin")'


def show_date(env: Env, value: Any, pattern: Any = "%Y-%m-%d", zone: Any = "UTC") -> str:
    """Return a date in a format and a time zone."""
    text, where = _read_format(pattern), _read_zone(zone)
    env.spend(FORMAT_CHARACTER * len(text))
    return format_date(_move(require_date(value), where), text)


def move_to_zone(env: Env, value: Any, zone: Any) -> str:
    """Return a time in a time zone, with its offset."""
    return _move(require_date(value), _read_zone(zone)).isoformat()


def check_date(subject: Node, arguments: tuple[Node, ...]) -> None:
    """Check a format and a time zone; raises ConditionError."""
    refuse_after_at(subject, arguments)
    for argument, read in zip(arguments, (_read_format, _read_zone), strict=False):
        check_constant(argument, read)


def check_zone(subject: Node, arguments: tuple[Node, ...]) -> None:
    """Check a time zone; raises ConditionError."""
    check_constant(arguments[0], _read_zone)


def refuse_after_at(subject: Node, arguments: tuple[Node, ...]) -> None:
    """Raise ConditionError where a pipe that shows UTC follows `at`: the day would silently be another one."""
    if isinstance(subject, Piped) and subject.name == "at" and len(arguments) < 2:
        raise ConditionError("it shows the time in UTC, so `at` has no effect", hint=EXAMPLE)


def _read_format(pattern: Any) -> str:
    if not isinstance(pattern, str):
        raise EvaluationError(f"the format of a date must be text, not {describe_type(pattern)}", hint=EXAMPLE)
    if len(pattern) > MAX_FORMAT:
        raise EvaluationError(f"the format of a date has at most {MAX_FORMAT:,} characters")
    unknown = find_unknown_code(pattern)
    if unknown is not None:
        hint = f"known codes: {' '.join(f'%{code}' for code in CODES)}"
        raise EvaluationError(f"unknown code {unknown!r} in the format of a date", hint=hint)
    return pattern


def _read_zone(name: Any) -> ZoneInfo:
    if not isinstance(name, str):
        raise EvaluationError(f"the time zone must be text, not {describe_type(name)}", hint=EXAMPLE)
    zone = find_zone(name)
    if zone is None:
        raise EvaluationError(f"unknown time zone {name!r:.60}", hint=suggest_zone(name))
    return zone


def _move(date: datetime, zone: ZoneInfo) -> datetime:
    try:
        return date.astimezone(zone)
    except OverflowError:
        raise CannotTake("a date in the years 1 to 9999") from None
