"""The state of a run, as it is carried over continue-as-new."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.interpreter.frames import Frame, Step
from orchestrator.interpreter.variables import Data
from orchestrator.model.plan import DEFAULT_STEP_LOG_LIMIT, Plan
from orchestrator.model.run import ErrorDocument, RunInfo, Status, format_timestamp


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
    ) -> "RunState":
        """Begin: a whole run, or with `context` and `path` one branch of it."""
        if context is None:
            context = {
                **plan.variables,
                "workflow": {"id": plan.id, "name": plan.name, "version": plan.version},
                "run": {"id": info.id, "started_at": format_timestamp(now), "attempt": info.attempt},
                "trigger": trigger,
                "input": run_input,
                "steps": {},
            }
        data = Data(context, journal=None if path and not plan.rewinds else [])
        frame = Frame(sorted(plan.scope.entries), left=list(plan.scope.exits))
        return cls(now, data, frame, log=deque(maxlen=max(plan.step_log_limit, 1)), path=path)

    def to_json(self) -> dict[str, Any]:
        """Write the state down: only between two nodes, when no step but loops is open."""
        return {
            "started_at": format_timestamp(self.started_at),
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
