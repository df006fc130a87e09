"""Follow a run and its branches event by event, from the start or from a cursor.

The histories of a run and of its branches are read at once. They have no common clock and no common numbering, so a
cursor holds a position in each of them: `<execution>(;<key>=<number>.<event>)+`, with `!` after the end of the run.

    3f0c…e1;=0.11                           the run has been read to its event 11
    3f0c…e1;=0.17;/0.12=0.6                 its event 12 began a branch, which has been read to event 6
    3f0c…e1;=0.17;/0.12=0.9;/0.12/0.7=0.3   event 7 of that branch began a branch inside it
    3f0c…e1;=1.15!                          both branches have ended; the run has continued as new, and then ended

A key is the path of the events that began the branch; that of the run is empty. `<number>` counts executions, from 0
for `<execution>`, the one that reading began with. A client that returns with a cursor gets each event after these
positions once: histories do not change, and a branch leaves the cursor when its end has been read.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from orchestrator.errors import BadCursor
from orchestrator.temporal.history.histories import Histories, cancel_and_wait
from orchestrator.temporal.history.stream_events import (
    ENDINGS,
    EventReader,
    StreamEvent,
    find_starting_event,
    get_moment,
)
from orchestrator.temporal.search_attributes import TRIGGER

RUN = ""
"""Key of the run itself; that of a branch is `<key of its parent>/<position that began it>`."""
QUEUE_SIZE = 100
"""Events read ahead of the client: reading stops there until it takes some."""
CURSOR = re.compile(r"(?P<execution>[0-9a-f-]{36})(?P<seen>(?:;[\d./]*=\d{1,9}\.\d{1,9})+)(?P<over>!?)")
MAX_CURSOR = 16_000


Position = tuple[int, int]
"""Position of an event: the number of its execution, and its id in the history of that execution."""


@dataclass(slots=True)
class Cursor:
    """How far a client has read, in the run and in each branch that has not ended."""

    execution: str = ""
    """Temporal's id of the execution that reading began with."""
    seen: dict[str, Position] = field(default_factory=lambda: {RUN: (0, 0)})
    over: bool = False
    """The end of the run has been read."""

    def __str__(self) -> str:
        seen = "".join(f";{key}={number}.{event}" for key, (number, event) in self.seen.items())
        return f"{self.execution}{seen}{'!' if self.over else ''}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Parse what `str` returned; raises BadCursor."""
        match = CURSOR.fullmatch(text)
        if match is None:
            raise BadCursor("invalid cursor", hint="send the id of the last event, unchanged, as Last-Event-ID")
        seen: dict[str, Position] = {}
        for part in match["seen"].split(";")[1:]:
            key, _, position = part.partition("=")
            number, _, event = position.partition(".")
            seen[key] = (int(number), int(event))
        return cls(match["execution"], {RUN: (0, 0), **seen}, bool(match["over"]))


@dataclass(frozen=True, slots=True)
class _Item:
    """What one history event means to the stream."""

    key: str
    position: Position
    stream_event: StreamEvent | None
    execution: str = ""
    begins: str | None = None
    """Key of the branch that it begins."""
    ends: str | None = None
    """Key of the branch that it ends."""
    over: bool = False
    is_now: bool = False
    """All that had happened when the stream was opened has been read."""


async def follow(histories: Histories, run_id: str, cursor: Cursor) -> AsyncIterator[tuple[str, StreamEvent]]:
    """Yield the events after the cursor, each with the cursor that follows it, until the run has ended."""
    reader = _Reader(histories, cursor)
    try:
        reader.open(RUN, run_id, cursor.execution or await histories.find_first_execution(run_id))
        while (item := await reader.next()) is not None:
            _advance(cursor, item)
            if item.stream_event is not None:
                yield str(cursor), item.stream_event
    finally:
        await reader.aclose()


async def follow_tail(histories: Histories, run_id: str, count: int) -> AsyncIterator[tuple[str, StreamEvent]]:
    """Yield the last events of a run, and from then on all, each with the cursor that follows it.

    Read are the newest two executions, so that it takes no longer the longer the run is. What a branch has done before
    the oldest of these events is left out, too.
    """
    now = await histories.find_newest(run_id)
    if now is None:
        return
    cursor, newest = Cursor(now.start), deque[tuple[str, StreamEvent]](maxlen=count)
    reader = _Reader(histories, cursor, now=(now.number, now.length))
    since: datetime | None = None
    try:
        reader.open(RUN, run_id, now.start)
        caught_up = False
        while (item := await reader.next()) is not None:
            caught_up = caught_up or item.is_now
            _advance(cursor, item)
            if item.stream_event is None or (since is not None and get_moment(item.stream_event) < since):
                pass
            elif caught_up and not newest:
                yield str(cursor), item.stream_event
            else:
                newest.append((str(cursor), item.stream_event))
            if caught_up and newest:
                since = get_moment(newest[0][1])
                while newest:
                    yield newest.popleft()
        while newest:
            yield newest.popleft()
    finally:
        await reader.aclose()


def _advance(cursor: Cursor, item: _Item) -> None:
    cursor.seen[item.key] = item.position
    if item.key == RUN:
        cursor.execution = cursor.execution or item.execution
    if item.begins is not None:
        cursor.seen[item.begins] = (0, 0)
    if item.ends is not None:
        for key in [key for key in cursor.seen if key == item.ends or key.startswith(f"{item.ends}/")]:
            del cursor.seen[key]
    cursor.over = item.over


class _Reader:
    """Reads the histories of a run and its branches concurrently, each in order."""

    def __init__(self, histories: Histories, cursor: Cursor, now: Position | None = None) -> None:
        self.histories = histories
        self.now = now
        """Where the run was when the stream was opened."""
        self.start = dict(cursor.seen)
        self.tails: dict[str, asyncio.Task[None]] = {}
        self.items: asyncio.Queue[_Item | None] = asyncio.Queue(QUEUE_SIZE)
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def next(self) -> _Item | None:
        """Return the next item; `None` at the end. Raises what reading has raised."""
        taking = asyncio.create_task(self.items.get())
        both: set[asyncio.Future[Any]] = {taking, self.failed}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return taking.result() if taking.done() else self.failed.result()
        finally:
            taking.cancel()

    async def aclose(self) -> None:
        """Stop reading."""
        await cancel_and_wait(self.tails.values())

    def open(self, key: str, workflow_id: str, execution: str | None) -> None:
        """Start to read a history."""
        task = self.tails[key] = asyncio.create_task(self._read_history(key, workflow_id, execution))
        task.add_done_callback(self._on_done)

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None and not self.failed.done():
            self.failed.set_exception(task.exception() or AssertionError)

    async def _read_history(self, key: str, workflow_id: str, execution: str | None) -> None:
        reader = EventReader(workflow_id, self.histories.client.data_converter, branch=key != RUN)
        branches: dict[int, str] = {}
        start_position = self.start.get(key, (0, 0))
        first = execution or ""
        async for number, event in self.histories.follow_events(workflow_id, execution):
            position = (number, event.event_id)
            if event.event_id == 1:
                branches = {}
                first = first or event.workflow_execution_started_event_attributes.original_execution_run_id
            begins, ends = self._track_branch(key, position, event, branches, start_position)
            if ends is not None and ends in self.tails:
                await asyncio.wait({self.tails[ends]})  # the events of a branch come before its end
            stream_event = await reader.read(event)
            over = key == RUN and event.event_type in ENDINGS
            is_now = key == RUN and position == self.now
            if position > start_position and (stream_event is not None or begins or ends or is_now):
                await self.items.put(_Item(key, position, stream_event, first, begins, ends, over, is_now))
        if key == RUN:
            await self.items.put(None)

    def _track_branch(
        self, key: str, position: Position, event: HistoryEvent, branches: dict[int, str], start_position: Position
    ) -> tuple[str | None, str | None]:
        """Start to read a branch when it starts; return the keys of the branches that an event begins and ends."""
        match event.event_type:
            case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
                initiated = event.start_child_workflow_execution_initiated_event_attributes
                # A called run has a trigger, and a stream of its own.
                if TRIGGER.name not in initiated.search_attributes.indexed_fields:
                    branches[event.event_id] = f"{key}/{position[0]}.{position[1]}"
                return branches.get(event.event_id), None
            case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
                started = event.child_workflow_execution_started_event_attributes
                branch = branches.get(started.initiated_event_id)
                known = (position[0], started.initiated_event_id) > start_position or branch in self.start
                if branch is not None and known:
                    self.open(branch, started.workflow_execution.workflow_id, started.workflow_execution.run_id)
                return None, None
        return None, branches.pop(find_starting_event(event), None)
