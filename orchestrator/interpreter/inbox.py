"""The events that a flow has received and not read, in the order of arrival. Replay-sensitive.

A branch gets a copy of each event that it waits for. When it ends it returns the numbers of those it has read, and
its parent does not read them again. Branches of the same parallel each read their own copy.

An event that comes while several wait for it is handed out to the first waiter of the flow and of each inline branch,
as the branches would have it that are child workflows.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.interpreter.effects import EventFilter, ReceivedEvent
from orchestrator.model.plan import ANY_EVENT


@dataclass(slots=True)
class Event:
    """One event."""

    number: int
    """Position in the order in which the run received events, from 1."""
    name: str
    payload: Any
    readers: list[str] = field(default_factory=list)
    """Step ids of parallels with a branch that has read it."""
    key: str | None = None
    """What a wait may ask for beside the name."""
    inline_readers: list[tuple[str, ...]] = field(default_factory=list)
    """The inline branches that have read it, each as the paths from the outermost to the innermost."""
    by: str = ""
    """Who sent it, where that is known."""
    step_id: str | None = None
    """The only step that may read it."""

    def receive(self) -> ReceivedEvent:
        """Return what a wait learns of it."""
        return ReceivedEvent(self.name, self.payload, self.by, self.step_id, self.number)

    def to_json(self) -> list[Any]:
        """Return the event as it is recorded.

        Number, name, payload, the inline branches that have read it, key, who sent it, and the step that it is for.
        """
        entry = [self.number, self.name, self.payload]
        if self.by or self.step_id is not None:
            return [*entry, self.inline_readers, self.key, self.by, self.step_id]
        if self.key is not None:
            return [*entry, self.inline_readers, self.key]
        return [*entry, self.inline_readers] if self.inline_readers else entry

    @classmethod
    def from_json(cls, entry: Sequence[Any]) -> "Event":
        """Read what `to_json` wrote."""
        number, name, payload, *more = entry
        readers = [tuple(paths) for paths in (more[0] if more else ())]
        key, by, step_id = [*more[1:], None, "", None] if len(more) < 2 else [*more[1:], "", None][:3]
        return cls(number, name, payload, key=key, inline_readers=readers, by=by, step_id=step_id)


@dataclass(slots=True, eq=False)
class Waiter:
    """A `wait` node that has found no event."""

    wanted: EventFilter
    branches: tuple[str, ...]
    """Paths of the inline branches that it is in."""
    future: "asyncio.Future[Event]"

    def get_received(self) -> ReceivedEvent | None:
        """Return the event that has come; `None` where none has."""
        return None if not self.future.done() or self.future.cancelled() else self.future.result().receive()


class Inbox:
    """The unread events of one flow, and those who wait for more."""

    def __init__(self, entries: Iterable[Sequence[Any]] = (), received: int = 0) -> None:
        self.events = [Event.from_json(entry) for entry in entries]
        self.received = received
        """Number of events received so far."""
        self.read: list[int] = []
        """Numbers of the events that this flow has read."""
        self.waiters: list[Waiter] = []

    def put(
        self,
        name: str,
        payload: Any,
        number: int | None = None,
        key: str | None = None,
        by: str = "",
        step_id: str | None = None,
    ) -> Event:
        """Add an event; `number` is its position in the run, for a branch's copy."""
        self.received = self.received + 1 if number is None else max(number, self.received)
        position = self.received if number is None else number
        event = Event(position, name, payload, key=key, by=by, step_id=step_id)
        self.events.append(event)
        return event

    def put_back(self, event: Event, branches: tuple[str, ...] = ()) -> None:
        """Undo `take`."""
        if branches:
            event.inline_readers.remove(branches)
            if event.inline_readers or event not in self.events:
                return
        else:
            self.events.append(event)
            # Younger events may have come since: readers take the oldest first.
            self.events.sort(key=lambda event: event.number)
            if event.inline_readers:
                return
        self.read.remove(event.number)

    def take(self, wanted: EventFilter, branches: tuple[str, ...] = ()) -> Event | None:
        """Read the oldest unread event that is wanted; inline branches of a parallel each read a copy."""
        for event in self.events:
            if (
                wanted.accepts(event.name, event.key, event.step_id)
                and not event.readers
                and all(_are_siblings(branches, r) for r in event.inline_readers)
            ):
                if not event.inline_readers:
                    self.read.append(event.number)
                if branches:
                    event.inline_readers.append(branches)
                else:
                    self.events.remove(event)
                return event
        return None

    def open_waiter(self, wanted: EventFilter, branches: tuple[str, ...]) -> Waiter:
        """Return a waiter for the next event that is wanted."""
        waiter = Waiter(wanted, branches, asyncio.get_running_loop().create_future())
        self.waiters.append(waiter)
        return waiter

    def close_waiter(self, waiter: Waiter, *, cancelled: bool = False) -> None:
        """Forget a waiter; where it is cancelled in the task in which its event came, another one may have that."""
        self.waiters.remove(waiter)
        if not cancelled or not waiter.future.done() or waiter.future.cancelled():
            return
        event = waiter.future.result()
        self.put_back(event, waiter.branches)
        for other in self._list_unserved(event):
            unread = self.take(other.wanted, other.branches)
            if unread is not None:
                other.future.set_result(unread)

    def deliver(
        self,
        name: str,
        payload: Any,
        number: int | None = None,
        key: str | None = None,
        by: str = "",
        step_id: str | None = None,
    ) -> Event:
        """Add an event, and hand it out to the first waiter of the flow and to that of each inline branch."""
        event = self.put(name, payload, number, key, by, step_id)
        served: dict[tuple[str, ...], None] = {}
        for waiter in self._list_unserved(event):
            if waiter.branches not in served:
                served[waiter.branches] = None
                waiter.future.set_result(event)
        if served:
            self.read.append(event.number)
        event.inline_readers.extend(branches for branches in served if branches)
        if () in served:
            self.events.remove(event)
        return event

    def _list_unserved(self, event: Event) -> list[Waiter]:
        return [
            waiter
            for waiter in self.waiters
            if waiter.wanted.accepts(event.name, event.key, event.step_id) and not waiter.future.done()
        ]

    def copy_for_branch(self, names: Collection[str], parallel: str) -> list[Event]:
        """Return the events for a new branch of a parallel: unread ones, and those that its siblings have read."""
        matching = [event for event in self.events if event.name in names or ANY_EVENT in names]
        unread = [event for event in matching if not event.inline_readers]
        return [event for event in unread if not event.readers or parallel in event.readers]

    def mark_read(self, numbers: Collection[int], parallel: str) -> None:
        """Record that a branch of the parallel has read these events."""
        for event in self.events:
            if event.number in numbers and parallel not in event.readers:
                event.readers.append(parallel)

    def list_readable(self, branches: Collection[tuple[tuple[str, ...], Collection[str]]]) -> list[Event]:
        """Return the events that may still be read; `branches` are the inline ones that can still read (`Frame`).

        Called while no branch runs as a child workflow: what one has read is read for good.
        """

        def may_be_read(event: Event) -> bool:
            return not event.inline_readers or any(
                (event.name in waits or ANY_EVENT in waits)
                and all(_are_siblings(paths, reader) for reader in event.inline_readers)
                for paths, waits in branches
            )

        return [event for event in self.events if not event.readers and may_be_read(event)]


def _are_siblings(branches: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Return whether two readers are in different branches of the same parallel."""
    for mine, other in zip(branches, others, strict=False):
        if mine != other:
            return mine.rpartition("[")[0] == other.rpartition("[")[0]
    return False
