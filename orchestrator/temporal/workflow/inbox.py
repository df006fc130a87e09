"""Events a run has been sent and has not read, in the order they came. Replay-sensitive.

A branch has a copy of each event it waits for; what it has read it tells when it ends, and then the run
it belongs to does not read it again. Branches of the same parallel each read their own copy.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.model.plan import ANY_EVENT


@dataclass(slots=True)
class Event:
    """One event."""

    number: int
    """Its place in the order in which the run received events, from 1."""
    name: str
    payload: Any
    readers: list[str] = field(default_factory=list)
    """Parallels of which a branch has read it."""

    def to_json(self) -> list[Any]:
        """Write the event down."""
        return [self.number, self.name, self.payload]


class Inbox:
    """Unread events of one flow."""

    def __init__(self, entries: Iterable[Sequence[Any]] = (), received: int = 0) -> None:
        self.events = [Event(*entry) for entry in entries]
        self.received = received
        """How many events the flow has been sent in all."""
        self.read: list[int] = []
        """Numbers of the events this flow has read."""

    def put(self, name: str, payload: Any, number: int | None = None) -> Event:
        """Keep an event, at its place in the order."""
        self.received = self.received + 1 if number is None else max(number, self.received)
        event = Event(self.received if number is None else number, name, payload)
        self.events.append(event)
        return event

    def put_back(self, event: Event) -> None:
        """Undo a `take`."""
        self.read.remove(event.number)
        self.events.append(event)
        self.events.sort(key=lambda event: event.number)

    def take(self, name: str) -> Event | None:
        """Read the oldest event of that name that nobody has read."""
        for event in self.events:
            if event.name == name and not event.readers:
                self.events.remove(event)
                self.read.append(event.number)
                return event
        return None

    def copy_for_branch(self, names: Collection[str], parallel: str) -> list[Event]:
        """Give what a new branch of that parallel is to know: unread events, and those its siblings read."""
        matching = [event for event in self.events if event.name in names or ANY_EVENT in names]
        return [event for event in matching if not event.readers or parallel in event.readers]

    def mark_read(self, numbers: Collection[int], parallel: str) -> None:
        """Take note that a branch of that parallel has read these."""
        for event in self.events:
            if event.number in numbers and parallel not in event.readers:
                event.readers.append(parallel)

    def list_unread(self) -> list[Event]:
        """Give what no branch has read; asked for when no parallel is open."""
        return [event for event in self.events if not event.readers]
