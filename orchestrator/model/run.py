"""What has happened so far in a run, as a value that can be written down at any node boundary.

The interpreter is the only writer; the workflow, the simulator and the client read. Replay-sensitive.
Times are aware and in UTC; `*_ms` are milliseconds.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from orchestrator.interpreter.variables import Data
from orchestrator.language.condition_reader import evidence
from orchestrator.model.plan import DEFAULT_STEP_LOG_LIMIT, Plan

Status = Literal["pending", "running", "waiting", "retrying", "completed", "failed", "cancelled", "skipped"]
ENDED: frozenset[str] = frozenset({"completed", "failed", "cancelled", "skipped"})
RESERVED = ("workflow", "run", "trigger", "input", "steps")


class Document(BaseModel):
    """A part of what people and programs are shown."""

    model_config = ConfigDict(extra="forbid")


class StepDocument(Document):
    """One execution of one node (SPEC §9)."""

    id: str
    node_id: str
    path: str = ""
    status: Status
    started_at: datetime
    completed_at: datetime | None = None
    input_data: Any = None
    output_data: Any = None
    error: dict[str, Any] | None = None
    retry_count: int = 0
    duration_ms: int | None = None
    warnings: list[str] = []
    decision: Any = None


class Run(Document):
    """The run document (SPEC §9)."""

    id: str
    workflow_id: str
    workflow_name: str = ""
    workflow_version: int
    customer_id: str = ""
    status: Status
    trigger_type: str = "manual"
    trigger_data: Any = None
    input_data: Any = None
    context: dict[str, Any] = {}
    steps: list[StepDocument] = []
    current_node_id: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    """The message of the failure, for people."""
    failure: dict[str, Any] | None = None
    """The error document (SPEC §6)."""
    output: Any = None
    duration_ms: int | None = None
    steps_completed: int = 0
    steps_total: int = 0
    """Steps begun so far; each pass through a node counts."""
    waiting_for: list[dict[str, Any]] = []
    """Open waits: `{node_id, step_id, kind: delay|event|operator|paused|branch, …}`."""
    parent_run_id: str | None = None
    retried_from: str | None = None
    retried_by: list[str] = []
    """Runs that begin where this one ended, the oldest first; known where an index of runs is."""
    links: dict[str, str] = {}


class RunInfo(BaseModel):
    """Who a run is; stands in history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    customer_id: str = ""
    trigger_type: str = "manual"
    attempt: int = 1
    parent_run_id: str | None = None
    retried_from: str | None = None


def timestamp(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC with `Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def milliseconds(start: datetime, end: datetime | None) -> int | None:
    """Give the time between, rounded."""
    return None if end is None else round((end - start).total_seconds() * 1000)


@dataclass(slots=True)
class Step:
    """One execution of one node, while it is being written."""

    id: str
    node_id: str
    path: str
    status: Status
    started_at: datetime
    number: int = 0
    """Place in the order of starts, from 1."""
    completed_at: datetime | None = None
    input: Any = None
    output: Any = None
    error: dict[str, Any] | None = None
    retry_count: int = 0
    warnings: tuple[str, ...] = ()
    decision: Any = None
    """Raw evidence; see `orchestrator.conditions.evidence`."""
    waiting_for: dict[str, Any] | None = None

    def document(self) -> StepDocument:
        """Show the step."""
        return StepDocument(
            id=self.id,
            node_id=self.node_id,
            path=self.path,
            status=self.status,
            started_at=self.started_at,
            completed_at=self.completed_at,
            input_data=self.input,
            output_data=self.output,
            error=self.error,
            retry_count=self.retry_count,
            duration_ms=milliseconds(self.started_at, self.completed_at),
            warnings=list(self.warnings),
            decision=shown_decision(self.decision),
        )

    def to_json(self) -> dict[str, Any]:
        """Write the step down."""
        written = {name: getattr(self, name) for name in self.__slots__}
        written["started_at"] = timestamp(self.started_at)
        written["completed_at"] = self.completed_at and timestamp(self.completed_at)
        written["decision"] = shown_decision(self.decision)
        return {name: value for name, value in written.items() if value not in (None, (), "", 0)}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Step":
        """Read what `to_json` wrote."""
        read = {"path": "", **written}
        read["started_at"] = datetime.fromisoformat(read["started_at"])
        if "completed_at" in read:
            read["completed_at"] = datetime.fromisoformat(read["completed_at"])
        read["warnings"] = tuple(read.get("warnings", ()))
        return cls(**read)


def shown_decision(decision: Any) -> Any:
    """Render raw evidence; what is already rendered, or absent, stays."""
    return evidence(decision[0], decision[1]) if isinstance(decision, tuple) else decision


@dataclass(slots=True)
class LoopFrame:
    """Where a loop that runs one after another stands."""

    step: Step
    items: list[Any] | None
    """`None` for a count or a bare `while`."""
    count: int | None
    """How many iterations there are at most; `None` when only `while` says."""
    index: int = 0
    collected: list[Any] = field(default_factory=list)
    failed: int = 0
    shadowed: dict[str, Any] = field(default_factory=dict)
    """Variables that the loop variables hide."""
    left: list[str] = field(default_factory=list)
    merged: dict[str, Any] = field(default_factory=dict)
    """What iterations beside each other have set, in their order; given to the flow when the loop ends."""
    merged_steps: dict[str, Any] = field(default_factory=dict)
    frame: "Frame | None" = None
    """The iteration in progress."""

    def to_json(self) -> dict[str, Any]:
        """Write it down."""
        written = {name: getattr(self, name) for name in self.__slots__}
        written["step"] = self.step.to_json()
        written["frame"] = self.frame and self.frame.to_json()
        return written

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "LoopFrame":
        """Read what `to_json` wrote."""
        frame = written["frame"]
        read = {**written, "step": Step.from_json(written["step"]), "frame": frame and Frame.from_json(frame)}
        return cls(**read)


@dataclass(slots=True)
class Frame:
    """Where a scope stands between two nodes."""

    active: list[int]
    """Ranks to run, ascending."""
    visits: dict[str, int] = field(default_factory=dict)
    """How often each node has started; numbers the steps of a cycle."""
    left: list[str] = field(default_factory=list)
    """Nodes outside that a path has reached, in order."""
    loop: LoopFrame | None = None

    def to_json(self) -> dict[str, Any]:
        """Write it down."""
        return {
            "active": self.active,
            "visits": self.visits,
            "left": self.left,
            "loop": self.loop and self.loop.to_json(),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Frame":
        """Read what `to_json` wrote."""
        loop = written["loop"]
        return cls(**{**written, "loop": loop and LoopFrame.from_json(loop)})


@dataclass(slots=True)
class RunState:
    """All that a run is, between two nodes."""

    started_at: datetime
    data: Data
    frame: Frame
    log: deque[Step] = field(default_factory=lambda: deque(maxlen=DEFAULT_STEP_LOG_LIMIT))
    """The newest steps."""
    open: dict[str, Step] = field(default_factory=dict)
    """Steps under way, by id, oldest first."""
    compensations: list[dict[str, Any]] = field(default_factory=list)
    """Owed if the run fails, in order of completion."""
    rewinds: dict[str, int] = field(default_factory=dict)
    started: int = 0
    """Steps begun, those dropped by going back too."""
    completed: int = 0
    dropped: int = 0
    """Steps taken off the record by going back."""
    path: str = ""
    """The branch this state is of: prefix of every step's path."""
    status: Status = "running"
    completed_at: datetime | None = None
    output: Any = None
    failure: dict[str, Any] | None = None

    @classmethod
    def new(
        cls,
        plan: Plan,
        info: RunInfo,
        *,
        given: Any,
        trigger: Any,
        now: datetime,
        context: dict[str, Any] | None = None,
        path: str = "",
    ) -> "RunState":
        """Begin: a whole run, or with `context` and `path` one branch of it."""
        if context is None:
            context = {
                **plan.variables,
                "workflow": {"id": plan.id, "name": plan.name, "version": plan.version},
                "run": {"id": info.id, "started_at": timestamp(now), "attempt": info.attempt},
                "trigger": trigger,
                "input": given,
                "steps": {},
            }
        data = Data(context, journal=None if path and not plan.rewinds else [])
        frame = Frame(sorted(plan.scope.entries), left=list(plan.scope.exits))
        return cls(now, data, frame, log=deque(maxlen=max(plan.step_log_limit, 1)), path=path)

    def to_json(self) -> dict[str, Any]:
        """Write the state down: only between two nodes, when no step but loops is open."""
        return {
            "started_at": timestamp(self.started_at),
            "context": self.data.context,
            "changed": list(self.data.changed),
            "steps_changed": list(self.data.steps_changed),
            "journal": self.data.journal,
            "frame": self.frame.to_json(),
            "log": [step.to_json() for step in self.log],
            "compensations": self.compensations,
            "rewinds": self.rewinds,
            "started": self.started,
            "completed": self.completed,
            "dropped": self.dropped,
            "path": self.path,
        }

    @classmethod
    def from_json(cls, plan: Plan, written: Mapping[str, Any]) -> "RunState":
        """Read what `to_json` wrote; steps that are open are shared between the log and the loops again."""
        data = Data(
            written["context"],
            dict.fromkeys(written["changed"]),
            dict.fromkeys(written["steps_changed"]),
            written["journal"],
        )
        state = cls(
            datetime.fromisoformat(written["started_at"]),
            data,
            Frame.from_json(written["frame"]),
            log=deque((Step.from_json(step) for step in written["log"]), maxlen=max(plan.step_log_limit, 1)),
            compensations=written["compensations"],
            rewinds=written["rewinds"],
            started=written["started"],
            completed=written["completed"],
            dropped=written["dropped"],
            path=written["path"],
        )
        logged = {step.number: step for step in state.log}
        loop = state.frame.loop
        while loop is not None:
            loop.step = logged.get(loop.step.number, loop.step)
            state.open[loop.step.id] = loop.step
            loop = loop.frame.loop if loop.frame else None
        return state


def waiting(state: RunState) -> list[dict[str, Any]]:
    """Say what the run waits for."""
    return [
        {"node_id": step.node_id, "step_id": step.id, **step.waiting_for}
        for step in state.open.values()
        if step.waiting_for is not None
    ]


def live_status(state: RunState) -> Status:
    """Say how the run stands: waiting when nothing but waiting is under way."""
    if state.status != "running":
        return state.status
    leaves = [step for step in state.open.values() if step.status != "running" or not owns_open(state, step)]
    return "waiting" if leaves and all(step.status == "waiting" for step in leaves) else "running"


def owns_open(state: RunState, step: Step) -> bool:
    """Tell a loop or parallel with open steps inside from a step that works."""
    return any(other.path.startswith(f"{step.id}[") for other in state.open.values())


def document(plan: Plan, info: RunInfo, state: RunState) -> Run:
    """Show the run as its own state knows it; steps of child branches are added by the client."""
    context = state.data.context
    leaf = next(reversed(state.open.values()), None)
    return Run(
        id=info.id,
        workflow_id=plan.id,
        workflow_name=plan.name,
        workflow_version=plan.version,
        customer_id=info.customer_id,
        status=live_status(state),
        trigger_type=info.trigger_type,
        trigger_data=context.get("trigger"),
        input_data=context.get("input"),
        context={name: value for name, value in context.items() if name not in RESERVED},
        steps=[step.document() for step in state.log],
        current_node_id=leaf.node_id if leaf else None,
        started_at=state.started_at,
        completed_at=state.completed_at,
        error=state.failure["message"] if state.failure else None,
        failure=state.failure,
        output=state.output,
        duration_ms=milliseconds(state.started_at, state.completed_at),
        steps_completed=state.completed,
        steps_total=state.started - state.dropped,
        waiting_for=waiting(state),
        parent_run_id=info.parent_run_id,
        retried_from=info.retried_from,
    )
