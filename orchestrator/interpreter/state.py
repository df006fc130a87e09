"""The state of a run, as it is carried over continue-as-new. Replay-sensitive."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.interpreter.frames import Frame, LoopFrame, ParallelFrame
from orchestrator.interpreter.pending_compensation import PendingCompensation
from orchestrator.interpreter.repairs import Override, Repair
from orchestrator.interpreter.step_record import Step
from orchestrator.interpreter.variables import Data, undo_log_from_json, undo_log_to_json
from orchestrator.model.plan import DEFAULT_STEP_LOG_LIMIT, Plan
from orchestrator.model.run import ErrorDocument, RunInfo, Status, format_timestamp

MAX_INTERVENTIONS = 200
"""The newest ones that a state holds; each is some 200 bytes."""


@dataclass(slots=True)
class RunState:
    """Everything known about a run, or about one branch of it, between two nodes."""

    started_at: datetime
    data: Data
    frame: Frame
    log: deque[Step] = field(default_factory=lambda: deque(maxlen=DEFAULT_STEP_LOG_LIMIT))
    """The newest steps of this execution, and those that were in progress when it began."""
    drops: list[tuple[str, int]] = field(default_factory=list)
    """Where this execution went back: in that path, steps from that number on are off the record."""
    open: dict[str, Step] = field(default_factory=dict)
    """Steps in progress, by id, oldest first."""
    compensations: list[PendingCompensation] = field(default_factory=list)
    """To call if the run fails, in order of completion."""
    rewinds: dict[str, int] = field(default_factory=dict)
    """How often each `retry_from` has gone back, by `<path>/<node id>`, in passes that have not ended."""
    started: int = 0
    """Number of steps started, including those dropped by going back."""
    completed: int = 0
    dropped: int = 0
    """Number of steps taken off the record by going back."""
    turns: int = 0
    """Number of turns given to waits for events."""
    ending: int = 0
    """Number of cancelled branches that are still ending after their join was reached: none when this is written."""
    warnings: list[str] = field(default_factory=list)
    """About the run as a whole."""
    overrides: list[Override] = field(default_factory=list)
    """What operators have decided on steps that begin later, in order."""
    interventions: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_INTERVENTIONS))
    """What operators have done, as `Intervention` has it."""
    path: str = ""
    """Prefix of every step's path in a branch; empty for a whole run."""
    given_up: bool = False
    """The flow is cancelled because its caller continues, or fails, without it: no person has cancelled it."""
    keys: dict[str, str] = field(default_factory=dict)
    """Idempotency keys of steps whose outcome in an earlier run is unknown, by step id."""
    undone: bool = False
    """What the run had done was undone when it ended."""
    status: Status = "running"
    completed_at: datetime | None = None
    output: Any = None
    failure: ErrorDocument | None = None

    @classmethod
    def new(
        cls,
        plan: Plan,
        info: RunInfo,
        *,
        run_input: Any,
        trigger: Any,
        now: datetime,
        context: dict[str, Any] | None = None,
        path: str = "",
        frame: Mapping[str, Any] | None = None,
        overrides: Iterable[Override] = (),
    ) -> "RunState":
        """Return the state of a whole run that is about to start, or with `context` and `path` of one branch.

        `frame` is that of a batch of a loop, which is in progress from the beginning.
        """
        if context is None:
            context = {
                **plan.variables,
                "workflow": {"id": plan.id, "name": plan.name, "version": plan.version},
                "run": {"id": info.id, "started_at": format_timestamp(now), "attempt": info.attempt},
                "trigger": trigger,
                "input": run_input,
                "steps": {},
            }
        data = Data(context, undo_log=[] if plan.rewinds else None)
        log: deque[Step] = deque(maxlen=max(plan.step_log_limit, 1))
        begun = Frame.new(plan.scope) if frame is None else Frame.from_json(frame, data)
        state = cls(now, data, begun, log=log, overrides=list(overrides), path=path)
        state.open = {node.step.id: node.step for node in begun.iterate_open_nodes()}
        return state

    def take_repair(self, step: Step) -> Repair | None:
        """Return how a step that begins now ends instead, as an operator has decided."""
        for index in range(len(self.overrides) - 1, -1, -1):
            override = self.overrides[index]
            if override.repair is not None and override.concerns(step):
                if override.step_id is not None:
                    del self.overrides[index]
                return override.repair
        return None

    def list_parameters(self, step: Step) -> list[dict[str, Any]]:
        """Return the parameters that operators have replaced for a step, in order."""
        return [each.parameters for each in self.overrides if each.parameters is not None and each.concerns(step)]

    def take_turn(self) -> int:
        """Return the position of a wait that begins now among all of the flow."""
        self.turns += 1
        return self.turns

    def forget_rewinds(self, path: str) -> None:
        """Forget how often a pass has gone back that has ended: a long loop would carry this for each iteration."""
        if self.rewinds:
            self.rewinds = {key: count for key, count in self.rewinds.items() if not key.startswith(f"{path}/")}

    def iterate_data(self) -> Iterator[Data]:
        """Yield the data of the flow, and of each concurrent iteration and inline branch in progress."""
        yield self.data
        for node in self.frame.iterate_open_nodes():
            if isinstance(node, LoopFrame | ParallelFrame):
                yield from (fork.data for fork in node.forks.values())

    def close_step(self, step: Step, status: Status, now: datetime) -> None:
        """Record that a step has ended, and count it."""
        step.close(status, now)
        self.open.pop(step.id, None)
        self.completed += 1
        if self._may_have_left_log(step) and not any(each is step for each in self.log):
            self.log.extend((step,))  # not begun again: a watched log notes what is appended

    def list_steps(self) -> list[Step]:
        """Return the steps to show: the newest, and older ones in progress, such as the loop that newer ones are in."""
        older = [step for step in self.open.values() if self._may_have_left_log(step)]
        logged = {id(step) for step in self.log} if older else set()
        steps = [*(step for step in older if id(step) not in logged), *self.log]
        return sorted(steps, key=lambda step: step.number)

    def _may_have_left_log(self, step: Step) -> bool:
        return self.started - step.number >= (self.log.maxlen or 1)

    def to_json(self, *, with_log: bool = False) -> dict[str, Any]:
        """Return the state as JSON; it can be resumed where the frame is at rest.

        Only a rerun begins with a log, of the steps that it does not repeat: a run that continues as new has its steps
        in the histories of its executions.
        """
        return {
            "started_at": format_timestamp(self.started_at),
            "context": self.data.context,
            "changed": list(self.data.changed),
            "steps_changed": list(self.data.steps_changed),
            "journal": undo_log_to_json(self.data.undo_log),
            "frame": self.frame.to_json(self.data),
            "compensations": [pending.to_json() for pending in self.compensations],
            "rewinds": self.rewinds,
            "started": self.started,
            "completed": self.completed,
            "dropped": self.dropped,
            "turns": self.turns,
            "warnings": self.warnings,
            "path": self.path,
            **({"log": [step.to_json() for step in self.log]} if with_log else {}),
            **({"keys": self.keys} if self.keys else {}),
            **({"undone": True} if self.undone else {}),
            **({"overrides": [each.to_json() for each in self.overrides]} if self.overrides else {}),
            **({"interventions": list(self.interventions)} if self.interventions else {}),
        }

    @classmethod
    def from_json(cls, plan: Plan, fields: Mapping[str, Any]) -> "RunState":
        """Read what `to_json` wrote; open steps are shared between the log and the loops again."""
        # Equal values may be one object. What the interpreter changes in place must not be part of another value.
        data = Data(
            {**fields["context"], "steps": dict(fields["context"]["steps"])},
            dict.fromkeys(fields["changed"]),
            dict.fromkeys(fields["steps_changed"]),
            undo_log_from_json(fields["journal"]),
        )
        state = cls(
            datetime.fromisoformat(fields["started_at"]),
            data,
            Frame.from_json(fields["frame"], data),
            compensations=[PendingCompensation.from_json(entry) for entry in fields["compensations"]],
            rewinds=dict(fields["rewinds"]),
            started=fields["started"],
            completed=fields["completed"],
            dropped=fields["dropped"],
            turns=fields["turns"],
            warnings=list(fields["warnings"]),
            path=fields["path"],
            keys=dict(fields.get("keys", {})),
            undone=fields.get("undone", False),
            overrides=[Override.from_json(entry) for entry in fields.get("overrides", ())],
            interventions=deque(fields.get("interventions", ()), MAX_INTERVENTIONS),
        )
        # The step of a node in progress is in the log and in its frame; as two objects they would diverge. That of the
        # frame is whole: a log that is too long has lost the data of old steps.
        nodes = sorted(state.frame.iterate_open_nodes(), key=lambda node: node.step.number)
        in_progress = {node.step.number: node.step for node in nodes}
        logged = [Step.from_json(step) for step in fields["log"]] if "log" in fields else in_progress.values()
        steps = (in_progress.get(step.number, step) for step in logged)
        state.log = deque(steps, maxlen=max(plan.step_log_limit, 1))
        state.open = {step.id: step for step in in_progress.values()}
        return state
