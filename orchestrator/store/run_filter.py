"""Which runs a list shows, as conditions on the tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select

from orchestrator.errors import OrchestratorError
from orchestrator.model.run import format_timestamp
from orchestrator.store.tables import begins_with, run_keys, runs

TIMES = ("since", "until", "ended_since", "ended_until")
MAX_SEARCHED = timedelta(days=31)
"""Longest range of start times in which the text of errors is searched for all workflows."""

HAS_RERUN = runs.c.has_rerun.is_not(None)
"""The condition that a run has been rerun."""


class FilterTooWide(OrchestratorError):
    """The filter would search too many runs."""

    code = "filter_too_wide"


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Selects runs for a list; a field that is `None` or empty selects all."""

    workflow_id: str | None = None
    statuses: tuple[str, ...] = ()
    reason: str | None = None
    """What they wait for."""
    node_id: str | None = None
    """The node where they wait, are tried again, or failed."""
    error_type: str | None = None
    error: str | None = None
    """Text in the message of the error, in any case."""
    trigger_type: str | None = None
    parent_run_id: str | None = None
    rerun_of: str | None = None
    rerun: bool | None = None
    """Whether there is a rerun of them."""
    keys: tuple[tuple[str, str], ...] = ()
    """Names and values of business keys, all of which they have."""
    since: datetime | None = None
    """Earliest start."""
    until: datetime | None = None
    """The start is before this."""
    ended_since: datetime | None = None
    """Earliest end."""
    ended_until: datetime | None = None
    """The end is before this."""
    id_prefix: str | None = None
    """What the ID begins with."""
    ids: tuple[str, ...] = ()
    """The runs themselves."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields that select something, as JSON."""
        chosen = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) not in (None, ())}
        return {
            name: format_timestamp(value) if isinstance(value, datetime) else value for name, value in chosen.items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RunFilter":
        """Return the filter that `to_json` wrote."""
        read = {name: datetime.fromisoformat(text) for name, text in value.items() if name in TIMES}
        lists = {name: tuple(entries) for name, entries in value.items() if name in ("statuses", "ids")}
        keys = {"keys": tuple((name, text) for name, text in value.get("keys", ()))}
        return cls(**{**value, **read, **lists, **keys})

    def require_narrow(self, now: datetime) -> None:
        """Raise FilterTooWide where the texts of all errors would be searched: no index knows their words."""
        is_short = self.since is not None and (self.until or now) - self.since <= MAX_SEARCHED
        if self.error is not None and self.workflow_id is None and not is_short:
            hint = "add workflow_id, or since and until at most 31 days apart"
            raise FilterTooWide("the text of errors is searched in one workflow or in a short time only", hint=hint)

    def build_conditions(self, customer_id: str | None) -> list[ColumnElement[bool]]:
        """Return the conditions on the table of runs; `None` as the customer means all."""
        equal = {
            "customer_id": customer_id,
            "workflow_id": self.workflow_id,
            "reason": self.reason,
            "node_id": self.node_id,
            "error_type": self.error_type,
            "trigger_type": self.trigger_type,
            "parent_run_id": self.parent_run_id,
            "rerun_of": self.rerun_of,
        }
        conditions = [runs.c[name] == value for name, value in equal.items() if value is not None]
        if len(self.statuses) == 1:
            conditions.append(runs.c.status == self.statuses[0])
        elif self.statuses:
            conditions.append(runs.c.status.in_(self.statuses))
        if self.rerun is not None:
            conditions.append(HAS_RERUN if self.rerun else ~HAS_RERUN)
        if self.error is not None:
            conditions.append(runs.c.error.is_not(None))  # as the partial indexes have it
            conditions.append(func.lower(runs.c.error).contains(self.error.lower(), autoescape=True))
        if self.ids:
            conditions.append(runs.c.id.in_(self.ids))
        if self.id_prefix is not None:
            conditions.append(begins_with(runs.c.id, self.id_prefix))
        return [*conditions, *self._build_times(), *self._build_keys(customer_id)]

    def _build_times(self) -> list[ColumnElement[bool]]:
        spans = ((runs.c.started_at, self.since, self.until), (runs.c.completed_at, self.ended_since, self.ended_until))
        conditions: list[ColumnElement[bool]] = []
        for column, first, last in spans:
            if first is not None:
                conditions.append(column >= first)
            if last is not None:
                conditions.append(column < last)
        if self.ended_until is not None:  # so that the newest runs, by which lists are ordered, are not searched
            conditions.append(runs.c.started_at < self.ended_until)
        return conditions

    def _build_keys(self, customer_id: str | None) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        for name, value in self.keys:
            matching = select(run_keys.c.run_id).where(run_keys.c.name == name, run_keys.c.value == value)
            if customer_id is not None:
                matching = matching.where(run_keys.c.customer_id == customer_id)
            conditions.append(runs.c.id.in_(matching))
        return conditions


ALL_RUNS = RunFilter()
