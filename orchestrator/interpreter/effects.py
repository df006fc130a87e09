"""The port through which the interpreter asks for everything outside its own control flow.

`workflow.py` answers on Temporal, `simulator.py` on a virtual clock. Replay-sensitive: values only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from orchestrator.model.plan import Plan, Retry
from orchestrator.model.run import ErrorDocument, ResolutionAction


@dataclass(frozen=True, slots=True)
class ActRequest:
    """Call an action."""

    action: str
    parameters: Any
    secrets: Mapping[str, list[Any]]
    """JSON Pointer into the parameters to the parts that hold secrets; see `expressions.render_parameters`."""
    step_id: str
    """Unique in the run, the same for every attempt of the step: the activity id."""
    node_id: str
    title: str
    idempotency_key: str
    retry: Retry
    timeout_seconds: float
    heartbeat_seconds: float | None = None
    task_queue: str | None = None
    local: bool = False


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What an action gave."""

    result: Any
    attempts: int = 1
    """How many times it was tried."""


@dataclass(frozen=True, slots=True)
class BranchRequest:
    """Run a branch beside this flow."""

    plan: Plan
    """The part of the graph, ready to run by itself."""
    path: str
    """`<step id of the parallel>[<index>]`: the prefix of the path of every step in it."""
    context: dict[str, Any]
    """Only what the part names."""
    waits: tuple[str, ...]
    """Events it receives."""
    exports: tuple[str, ...]
    title: str
    node_id: str


@dataclass(frozen=True, slots=True)
class BranchResult:
    """What a branch gives back."""

    status: Literal["completed", "failed", "cancelled"]
    output: Any = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)
    """Entries of `steps.<id>` that something outside the branch names."""
    compensations: tuple[dict[str, Any], ...] = ()
    left: tuple[str, ...] = ()
    """Nodes outside the branch that its paths reached."""
    error: ErrorDocument | None = None
    """Set when it failed."""
    steps_started: int = 0


@dataclass(frozen=True, slots=True)
class CallRequest:
    """Run another workflow."""

    plan: Plan
    input: Any
    wait: bool
    step_id: str
    title: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """An operator's word on a step that failed and paused the run."""

    action: ResolutionAction
    parameters: dict[str, Any] | None = None
    """For `retry`: parameters to call the action with instead."""
    value: Any = None
    """For `fallback`."""
    node_id: str | None = None
    """For `retry_from`."""


class Effects(Protocol):
    """Everything the interpreter cannot do by itself."""

    def now(self) -> datetime:
        """Give the time, the same at every replay."""

    def uuid(self) -> str:
        """Give a new UUID, the same at every replay."""

    async def act(self, request: ActRequest) -> ActionResult:
        """Call an action and give its result, or raise StepFailed when no attempt is left."""

    async def sleep(self, seconds: float, title: str) -> None:
        """Come back after that time, however often the process dies meanwhile."""

    async def receive(self, event: str, timeout_seconds: float | None, title: str) -> tuple[Any] | None:
        """Take the oldest unread event of that name; `None` when the time is over first."""

    async def run_branch(self, request: BranchRequest) -> BranchResult:
        """Run a branch to its end; when cancelled, end it first and answer `cancelled`."""

    async def call_workflow(self, request: CallRequest) -> dict[str, Any]:
        """Run another workflow: `{run_id, status, output}`; StepFailed when it fails."""

    async def decide(self, step_id: str, node_id: str) -> Resolution:
        """Wait for an operator's word on a failed step."""

    def boundary_due(self, *, resumable: bool) -> bool:
        """Tell, at a node boundary, that `boundary` has something to do. Called once for each node."""

    async def pass_boundary(self, *, resumable: bool) -> None:
        """Hold while paused; where the whole state can be written down, continue as new if that is due."""
