"""The port through which the interpreter asks for everything outside its own control flow.

Implemented by `temporal/workflow/effects.py` on Temporal and by `simulator/effects.py` on a virtual clock.
Replay-sensitive: values only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from orchestrator.interpreter.pending_compensation import PendingCompensation
from orchestrator.interpreter.repairs import Override, Repairs
from orchestrator.model.plan import Plan, Retry
from orchestrator.model.run import ErrorDocument, ResolutionAction


@dataclass(frozen=True, slots=True)
class ActRequest:
    """Call an action."""

    action: str
    parameters: Any
    secrets: Mapping[str, list[Any]]
    """JSON Pointers into the parameters, and the template parts there that need secrets; see `render_parameters`."""
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
    fused: bool = False


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The result of an action."""

    result: Any
    attempts: int = 1
    """Number of attempts, including the one that succeeded."""
    warnings: tuple[str, ...] = ()
    """What the action wants to be known about its result."""
    is_normal: bool = False
    """The result is known to be what `normalize_json` returns."""


@dataclass(frozen=True, slots=True)
class BranchRequest:
    """Run a branch concurrently with this flow."""

    plan: Plan
    """The part of the graph, ready to run by itself."""
    path: str
    """`<step id of the parallel>[<index>]`: the prefix of the path of every step in it."""
    context: dict[str, Any]
    """Only what the part names."""
    waits: tuple[str, ...]
    """Names of the events it receives."""
    exports: tuple[str, ...]
    """Ids of its nodes whose `steps.<id>` is named outside the branch; `*` is all of them."""
    title: str
    node_id: str
    overrides: tuple[Override, ...] = ()
    """What operators have decided on its steps before it began."""
    frame: Mapping[str, Any] | None = None
    """The frame that it begins with, as JSON: that of a batch of a loop, which is in progress from the beginning."""
    resume: Mapping[str, Any] | None = None
    """What the branch continues from in a rerun: `{state, inbox, received, read, branches}`."""


@dataclass(frozen=True, slots=True)
class BranchResult:
    """The result of a branch."""

    status: Literal["completed", "failed", "cancelled"]
    output: Any = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)
    """Entries of `steps.<id>` that are named outside the branch."""
    compensations: tuple[PendingCompensation, ...] = ()
    exits: tuple[str, ...] = ()
    """Nodes outside the branch that its paths have reached."""
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
class EventFilter:
    """The events that a wait takes."""

    names: tuple[str, ...]
    key: str | None = None
    """`None` for events with any key, or none."""
    step_id: str = ""
    """The step that waits: an event may be for it alone."""

    def accepts(self, name: str, key: str | None, step_id: str | None = None) -> bool:
        """Return whether an event of that name and key, for that step, is wanted."""
        if step_id is not None:
            return step_id == self.step_id
        return name in self.names and self.key in (None, key)


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event that a wait has read."""

    name: str
    payload: Any
    by: str = ""
    """Who sent it, where that is known."""
    step_id: str | None = None
    """The step that it was sent to: the answer to an approval, by its link."""
    number: int = field(default=0, compare=False)
    """Its position in the order in which the run received events."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """An operator's decision on a step that failed and paused the run."""

    action: ResolutionAction
    parameters: dict[str, Any] | None = None
    """For `retry`: parameters that replace those of the step."""
    value: Any = None
    """For `fallback`."""
    node_id: str | None = None
    """For `retry_from`."""


class Effects(Protocol):
    """Everything the interpreter cannot do by itself."""

    repairs: Repairs
    """What operators ask of steps that wait."""
    is_moving: bool
    """The run is about to move to another version: a path is held at the end of its scope, too."""

    def now(self) -> datetime:
        """Return the time, the same at every replay."""

    def uuid(self) -> str:
        """Return a new UUID, the same at every replay."""

    async def act(self, request: ActRequest) -> ActionResult:
        """Call an action and return its result; raise StepFailed when no attempt is left."""

    async def pass_lineup(self) -> None:
        """Return when all paths of a run that has continued as new have taken their places again."""

    async def sleep(self, seconds: float, title: str) -> None:
        """Return after that time, however often the process is restarted meanwhile."""

    async def receive(
        self, wanted: EventFilter, timeout_seconds: float | None, title: str, branches: tuple[str, ...], turn: int
    ) -> ReceivedEvent | None:
        """Return the oldest unread event that is wanted, or `None` after the timeout.

        `branches` are the paths of the inline branches that it is read in: each of them reads its own copy. Waits that
        were open when the run continued as new come first, by their turns.
        """

    async def run_branch(self, request: BranchRequest) -> BranchResult:
        """Run a branch to its end; when cancelled, wait for its end and return `cancelled`."""

    async def call_workflow(self, request: CallRequest) -> dict[str, Any]:
        """Run another workflow and return `{run_id, status, output}`; raise StepFailed when it fails."""

    async def decide(self, step_id: str, node_id: str) -> Resolution:
        """Wait for an operator's resolution of a failed step."""

    def boundary_due(self, cost: int) -> bool:
        """Return whether `pass_boundary` has something to do. Called once before each node and each iteration.

        `cost` is what the flow has spent since the last call, in the units of `language.costs`.
        """

    async def pass_boundary(self, *, starts_child: bool) -> None:
        """Wait while paused, and where the run is about to continue as new until it has.

        `starts_child` says that the next node runs a child workflow.
        """
