"""Record what one flow was answered while its history is read, so that it can be walked again. No I/O.

A flow is a whole run or a branch in a child workflow. `record_flow` wraps the effects of the flow before it begins; the
record is finished when the flow has been read.
"""

import copy
import re
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.effects import ActionResult, ActRequest
from orchestrator.interpreter.inbox import Event, Inbox
from orchestrator.interpreter.passes import iterate_passes
from orchestrator.interpreter.repairs import Override, Repair, Repairs
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step, current_step
from orchestrator.interpreter.watched_log import WatchedLog
from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo, Status
from orchestrator.model.run_paths import read_batch_path

Key = tuple[str, ...]
"""What was asked: `("act", step id)`, `("sleep", step id, title)`, `("branch", path)`, …"""
UNDO = "/compensate"
DONE = ("completed", "skipped")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an effect has returned or raised."""

    order: int
    moment: datetime
    value: Any = None
    failure: StepFailed | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event that has come, or that a branch in a child workflow has read."""

    order: int
    moment: datetime
    event: Event
    read_by: str | None = None
    """The step of the parallel whose branch has read it."""


@dataclass(frozen=True, slots=True)
class RecordedRepair:
    """What an operator has done to the flow: one of these."""

    order: int
    moment: datetime
    override: Override | None = None
    """On steps that begin later."""
    ended: tuple[str, Repair] | None = None
    """On a step that waited, by its id."""
    variables: tuple[str, dict[str, Any]] | None = None
    """Set in the pass with that path."""


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """A step as it was when the flow had been read."""

    id: str
    node_id: str
    path: str
    number: int
    status: Status
    started_at: datetime
    inner_path: str
    failed_items: int = 0
    """Of a loop that has ended."""

    @property
    def is_done(self) -> bool:
        """Whether it went well."""
        return self.status in DONE


@dataclass(slots=True)
class Record:
    """What one flow was answered, from one of its executions on, and the state that this execution began with."""

    workflow_id: str
    plan: Plan
    info: RunInfo
    state: dict[str, Any]
    inbox: list[list[Any]]
    received: int
    read: list[int]
    answers: dict[Key, list[Answer]] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    received_by: dict[str, int] = field(default_factory=dict)
    """The number of the last event that a step has read, by its id."""
    repairs: list[RecordedRepair] = field(default_factory=list)
    uuids: dict[str, list[str]] = field(default_factory=dict)
    """By the step that they were made for."""
    steps: dict[str, RecordedStep] = field(default_factory=dict)
    """By id; compensations are not among them."""
    begun: set[str] = field(default_factory=set)
    """Ids of the steps that have begun in these executions, and not before."""
    unknown: dict[str, str] = field(default_factory=dict)
    """Idempotency keys of the actions whose outcome is unknown, by step id."""
    undone: dict[str, bool] = field(default_factory=dict)
    """Steps that were compensated, and whether it was because the whole run ended."""
    branches: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`{workflow_id, path, status}` of branches in child workflows, by path."""
    ended_at: datetime | None = None
    status: Status = "running"
    order: int = 0

    def add(self, key: Key, moment: datetime, value: Any = None, failure: StepFailed | None = None) -> None:
        """Add an answer."""
        self.order += 1
        self.answers.setdefault(key, []).append(Answer(self.order, moment, value, failure))

    def find_passes(self, inner_path: str) -> list[int]:
        """Return the indices of the iterations or branches of a step that have begun, ascending."""
        indices = {
            int(found[1])
            for path in {step.path for step in self.steps.values()}
            if (found := re.match(rf"{re.escape(inner_path)}\[(\d+)\]", path))
        }
        return sorted(indices)

    def list_batches(self, inner_path: str) -> list[dict[str, Any]]:
        """Return the batches of a loop that have begun, as `branches` has them."""
        return [
            entry
            for path, entry in self.branches.items()
            if (batch := read_batch_path(path)) is not None and batch[0] == inner_path
        ]

    def list_steps(self, path: str) -> list[RecordedStep]:
        """Return the steps of one pass through a scope, in the order in which they began."""
        return sorted((step for step in self.steps.values() if step.path == path), key=lambda step: step.number)

    def continue_with(self, later: "Record") -> None:
        """Append what a later execution was answered: it has continued this one as new, or reran it.

        What both have answered to the same step is as the later one says: a rerun has done the step again.
        """
        for key, answers in later.answers.items():
            moved = [replace(each, order=each.order + self.order) for each in answers]
            is_same_run = later.info.id == self.info.id
            self.answers[key] = [*self.answers.get(key, ()), *moved] if is_same_run else moved
        self.arrivals += [replace(each, order=each.order + self.order) for each in later.arrivals]
        self.repairs += [replace(each, order=each.order + self.order) for each in later.repairs]
        for step_id, uuids in later.uuids.items():
            known = self.uuids.get(step_id, []) if step_id not in later.begun else []
            self.uuids[step_id] = [*known, *uuids]
        self.order += later.order
        self.plan, self.info, self.status, self.ended_at = later.plan, later.info, later.status, later.ended_at
        if later.info.id != self.info.id:
            self.undone = {}
        self.received_by |= later.received_by
        self.steps |= later.steps
        self.begun |= later.begun
        self.undone |= later.undone
        self.branches |= later.branches
        self.unknown = {step_id: key for step_id, key in self.unknown.items() if step_id not in later.begun}
        self.unknown |= later.unknown


class _Recorder:
    """Fills a record while its flow runs."""

    def __init__(self, record: Record, state: RunState, effects: Any) -> None:
        self.record = record
        self.state = state
        self.now: Callable[[], datetime] = effects.now
        self.begun: list[Step] = []
        self.called: dict[str, str] = {}
        state.log = WatchedLog(state.log, self.begun.append)
        act, sleep, receive, uuid = effects.act, effects.sleep, effects.receive, effects.uuid
        effects.act = lambda request: self._act(act, request)
        effects.uuid = lambda: self._uuid(uuid)
        effects.sleep = lambda seconds, title: self._wrap(("sleep", current_step.get(), title), sleep(seconds, title))
        effects.receive = lambda *args: self._receive(receive, *args)
        for name, kind, field_name in (("run_branch", "branch", "path"), ("call_workflow", "call", "step_id")):
            setattr(effects, name, self._wrap_request(getattr(effects, name), kind, field_name))
        decide = effects.decide
        effects.decide = lambda step_id, node_id: self._wrap(("decide", step_id), decide(step_id, node_id))
        self._watch_inbox(effects.inbox)
        self._watch_repairs(effects.repairs)

    def _watch_repairs(self, repairs: Repairs) -> None:
        request = repairs.request

        def watched_request(step_id: str, repair: Repair) -> None:
            self._add_repair(ended=(step_id, repair))
            request(step_id, repair)

        setattr(repairs, "request", watched_request)  # noqa: B010
        self.state.overrides = _WatchedOverrides(self.state.overrides, lambda each: self._add_repair(override=each))
        self.state.interventions = _WatchedInterventions(self.state.interventions, self._note_variables)

    def _note_variables(self, entry: Mapping[str, Any]) -> None:
        path = str(entry.get("path", ""))
        if entry["kind"] == "set_variables":
            for each in iterate_passes(self.record.plan, self.state):
                if each.path == path:
                    values = {name: each.data.context.get(name) for name in entry.get("names", ())}
                    self._add_repair(variables=(path, values))

    def _add_repair(self, **what: Any) -> None:
        self.record.order += 1
        self.record.repairs.append(RecordedRepair(self.record.order, self.now(), **what))

    def _watch_inbox(self, inbox: Inbox) -> None:
        put, mark_read = inbox.put, inbox.mark_read

        def watched_put(*args: Any, **kwargs: Any) -> Event:
            event = put(*args, **kwargs)
            self.record.order += 1
            copied = replace(event, readers=[], inline_readers=[])
            self.record.arrivals.append(Arrival(self.record.order, self.now(), copied))
            return event

        def watched_mark_read(numbers: Collection[int], parallel: str) -> None:
            mark_read(numbers, parallel)
            for event in inbox.events:
                if event.number in numbers:
                    self.record.order += 1
                    self.record.arrivals.append(Arrival(self.record.order, self.now(), event, parallel))

        setattr(inbox, "put", watched_put)  # noqa: B010 - mypy wants the same signature
        setattr(inbox, "mark_read", watched_mark_read)  # noqa: B010

    def _wrap_request(self, function: Any, kind: str, field_name: str) -> Any:
        return lambda request: self._wrap((kind, getattr(request, field_name)), function(request))

    async def _wrap(self, key: Key, work: Any) -> Any:
        try:
            value = await work
        except StepFailed as failure:
            self.record.add(key, self.now(), failure=_copy_failure(failure))
            raise
        self.record.add(key, self.now(), value)
        return value

    async def _act(self, act: Any, request: ActRequest) -> ActionResult:
        self.called[request.step_id] = request.idempotency_key
        try:
            result: ActionResult = await self._wrap(("act", request.step_id), act(request))
        except StepFailed as failure:
            if not _is_timeout(failure):
                self.called.pop(request.step_id)
            raise
        self.called.pop(request.step_id)
        if is_compensation(request.step_id, request.node_id):
            self.record.undone[request.step_id.removesuffix(UNDO)] = self.state.undone
        return result

    async def _receive(self, receive: Any, *args: Any) -> Any:
        received = await receive(*args)
        if received is None:
            self.record.add(("timeout", current_step.get()), self.now())
        else:
            self.record.received_by[current_step.get()] = received.number
        return received

    def _uuid(self, uuid: Callable[[], str]) -> str:
        value = uuid()
        self.record.uuids.setdefault(current_step.get(), []).append(value)
        return value

    def finish(self, branches: Sequence[Mapping[str, Any]]) -> Record:
        """Return the record of a flow that has been read as far as it goes."""
        record = self.record
        for step in [*(Step.from_json(fields) for fields in record.state["log"]), *self.state.log, *self.begun]:
            if not is_compensation(step.id, step.node_id):
                record.steps[step.id] = _describe_step(step)
        record.begun = {step.id for step in self.begun}
        record.unknown = {**self.state.keys, **self.called}
        record.unknown = {step_id: key for step_id, key in record.unknown.items() if self._is_unknown(step_id)}
        record.branches = {str(entry["path"]): dict(entry) for entry in branches}
        record.status, record.ended_at = self.state.status, self.state.completed_at
        return record

    def _is_unknown(self, step_id: str) -> bool:
        """Return whether the step was not called again since its outcome was unknown."""
        return step_id in self.called or step_id not in self.record.begun


def record_flow(
    workflow_id: str, plan: Plan, info: RunInfo, state: RunState, effects: Any
) -> Callable[[Sequence[Mapping[str, Any]]], Record]:
    """Record what a flow is answered that is about to run; return a function that finishes the record.

    `effects` are those of `temporal/workflow` or of the simulator; the function is given the branches that have run as
    child workflows.
    """
    inbox: Inbox = effects.inbox
    entries = [event.to_json() for event in inbox.events]
    initial = copy.deepcopy(state.to_json(with_log=True))
    record = Record(workflow_id, plan, info, initial, copy.deepcopy(entries), inbox.received, list(inbox.read))
    return _Recorder(record, state, effects).finish


def _describe_step(step: Step) -> RecordedStep:
    failed = step.output.get("failed") if isinstance(step.output, dict) else None
    failed_items = failed if isinstance(failed, int) else 0
    return RecordedStep(
        step.id, step.node_id, step.path, step.number, step.status, step.started_at, step.inner_path, failed_items
    )


def is_compensation(step_id: str, node_id: str) -> bool:
    """Return whether a step undoes another one; a node of its own may have that name, too."""
    return step_id.endswith(UNDO) and not (node_id == UNDO[1:] and step_id.rpartition("/")[0].endswith("]"))


def _copy_failure(failure: StepFailed) -> StepFailed:
    """Return a failure that the flow does not change any more."""
    copied = copy.copy(failure)
    copied.__traceback__ = None
    return copied


def _is_timeout(failure: StepFailed) -> bool:
    """Return whether the action may have taken effect: the last attempt was not answered in time."""
    last = failure.details.get("last_error")
    types = (failure.error_type, last.get("error_type") if isinstance(last, Mapping) else None)
    return "timeout_error" in types


class _WatchedOverrides(list[Override]):
    """Decisions of operators; says when one is added."""

    def __init__(self, overrides: list[Override], on_append: Callable[[Override], None]) -> None:
        super().__init__(overrides)
        self._on_append = on_append

    def append(self, override: Override) -> None:
        """Add a decision on later steps."""
        self._on_append(override)
        super().append(override)


class _WatchedInterventions(deque[dict[str, Any]]):
    """Interventions; says when one is added."""

    def __init__(self, entries: deque[dict[str, Any]], on_append: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(entries, entries.maxlen)
        self._on_append = on_append

    def append(self, entry: dict[str, Any]) -> None:
        """Add an intervention."""
        self._on_append(entry)
        super().append(entry)
