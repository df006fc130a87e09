"""Find the fire times of a cron expression that fall into a clock change. No clock: every time is passed in.

A wall time inside a change does not name one instant: the clocks skip it or show it twice. See `fire_times` for what
the schedule does then.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from orchestrator.timing.cron import LAST_YEAR, Fields, expand, load_zone
from orchestrator.timing.fire_times import DAY, iterate_fire_times

SEARCHED_DAYS = 10 * 365
"""How far ahead a clock change is worth a warning: a date meets the night of a change every 5 to 11 years."""
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A moment at which the clocks of a zone are changed."""

    at: datetime
    """In UTC."""
    before: timedelta
    """Offset from UTC until then."""
    after: timedelta

    @property
    def forward(self) -> bool:
        """Whether the clocks skip wall times; otherwise they show wall times twice."""
        return self.after > self.before

    @property
    def first(self) -> datetime:
        """The first wall time that is skipped or shown twice, without a zone."""
        return self.at.replace(tzinfo=None) + min(self.before, self.after)

    @property
    def end(self) -> datetime:
        """The wall time after the last one that is skipped or shown twice, without a zone."""
        return self.at.replace(tzinfo=None) + max(self.before, self.after)

    def list_instants(self, wall: datetime) -> tuple[datetime, datetime]:
        """Return the earlier and the later instant of a wall time, in UTC, by the two offsets."""
        moment = wall.replace(tzinfo=UTC)
        return moment - max(self.before, self.after), moment - min(self.before, self.after)


@dataclass(frozen=True, slots=True)
class AmbiguousTime:
    """A wall time of a schedule that the clocks skip or show twice."""

    wall: datetime
    """Without a zone."""
    change: ClockChange
    fires: tuple[datetime, ...]
    """When the schedule fires for it, in UTC."""


def find_ambiguous_time(
    expression: str, timezone: str, after: datetime, until: datetime | None = None
) -> AmbiguousTime | None:
    """Return the first wall time after `after` that lies inside a clock change; raises CronError.

    There is none for an expression that fires in every hour: it names no time of day.
    """
    sets, where = expand(expression), load_zone(timezone)
    if len(sets[0].hours) == 24:
        return None
    for change in _iterate_changes(where, after, until):
        wall = change.first
        while wall < change.end:
            if _matches(sets, wall):
                return AmbiguousTime(wall, change, _list_fires(expression, timezone, sets, wall, change))
            wall += MINUTE
    return None


def find_change_at(wall: datetime, where: ZoneInfo) -> ClockChange | None:
    """Return the clock change that skips or repeats a wall time, if one does."""
    earlier, later = (wall.replace(tzinfo=where, fold=fold) for fold in (0, 1))
    # `fold` chooses between the offsets before and after a change; elsewhere it has no effect (PEP 495).
    if earlier.utcoffset() == later.utcoffset():
        return None
    middle = wall.replace(tzinfo=UTC)
    changes = _iterate_changes(where, middle - 2 * DAY, middle + 2 * DAY)
    return next((change for change in changes if change.first <= wall < change.end), None)


def _iterate_changes(where: ZoneInfo, after: datetime, until: datetime | None) -> Iterator[ClockChange]:
    """Yield the changes of a zone's offset, at most one in a day."""
    moment = after.astimezone(UTC).replace(second=0, microsecond=0)
    for _ in range(SEARCHED_DAYS):
        if moment.year > LAST_YEAR or (until is not None and moment > until):
            return
        following = moment + DAY
        if _get_offset(moment, where) != _get_offset(following, where):
            change = _locate_change(moment, following, where)
            if until is None or change.at <= until:
                yield change
        moment = following


def _locate_change(low: datetime, high: datetime, where: ZoneInfo) -> ClockChange:
    before, after = _get_offset(low, where), _get_offset(high, where)
    while high - low > SECOND:
        middle = low + timedelta(seconds=(high - low) // SECOND // 2)
        if _get_offset(middle, where) == before:
            low = middle
        else:
            high = middle
    return ClockChange(high, before, after)


def _get_offset(moment: datetime, where: ZoneInfo) -> timedelta:
    return moment.astimezone(where).utcoffset() or timedelta()


def _matches(sets: list[Fields], wall: datetime) -> bool:
    return any(
        wall.minute in fields.minutes
        and wall.hour in fields.hours
        and wall.day in fields.days
        and wall.month in fields.months
        and wall.isoweekday() % 7 in fields.weekdays
        for fields in sets
    )


def _list_fires(
    expression: str, timezone: str, sets: list[Fields], wall: datetime, change: ClockChange
) -> tuple[datetime, ...]:
    """Return the fire times at the instants of a wall time.

    Where the clocks skip it, its instants have other wall times: those of them that the expression names fire anyway.
    """
    where, instants = load_zone(timezone), change.list_instants(wall)
    moments = iterate_fire_times(expression, instants[0] - MINUTE, timezone)
    fires = [moment for moment in takewhile(lambda moment: moment <= instants[1], moments) if moment in instants]
    return tuple(
        moment
        for moment in fires
        if not change.forward or not _matches(sets, moment.astimezone(where).replace(tzinfo=None))
    )
