"""Time zones by their IANA names. Replay-sensitive: the same zones for everything that a run computes."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from orchestrator.jsontools.suggestions import did_you_mean

NO_ZONES = frozenset(("localtime",))
"""Names that `zoneinfo` lists but that depend on the machine."""


def find_zone(name: str) -> ZoneInfo | None:
    """Return the time zone of that name, if there is one."""
    # ZoneInfo also opens files that are not zones, such as `posixrules` and `right/UTC`.
    return _load_zone(name) if name == "UTC" or name in _list_zones() else None


def suggest_zone(name: str) -> str:
    """Return a hint for a name that is not one of a zone."""
    return did_you_mean(name, sorted(_list_zones())) or "use an IANA name such as Europe/Vienna"


@cache
def _load_zone(name: str) -> ZoneInfo:
    # ZoneInfo keeps eight: with others from the data, each `at` of a long value would read a file.
    return ZoneInfo(name)


@cache
def _list_zones() -> frozenset[str]:
    return frozenset(available_timezones() - NO_ZONES)
