"""What the engine runs: a frozen tree of scopes, made by the planner and kept in the run's history.

A Plan is self-contained: no later release, setting or registry changes what it means. Replay-sensitive:
a field may be added with a default, never renamed, and a change of meaning bumps `FORMAT`.

Inside a scope a node is identified by its rank, its position in `Scope.nodes` (SPEC §2.3); `ports` lead to ranks of
the same scope, `exits` to node ids of an enclosing one.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.errors import ErrorType
from orchestrator.model.customers import DEFAULT_CUSTOMER

FORMAT = 1

DEFAULT_RETRY_ON: tuple[ErrorType, ...] = ("execution_error", "action_error", "timeout_error", "unknown")
DEFAULT_TIMEOUT_SECONDS = 60.0
DEFAULT_MAX_STEPS = 10_000_000
DEFAULT_STEP_LOG_LIMIT = 500
ANY_EVENT = "*"
LATEST: Literal["latest"] = "latest"
"""The version of a called workflow that is the newest one when a run starts."""
DEFAULT_YIELD_COST = 20_000_000
BATCH_ITERATIONS = 500
"""Iterations of a wide loop that one child workflow runs. With one action each, some 3,000 events: it ends before
Temporal suggests to continue as new (4,096). The parent has six events for a batch: 1,200 for 100,000 items."""
MAX_DELAY_SECONDS = 10 * 366 * 86_400.0
"""Ten years: longer is a mistake in a template."""
MAX_KEEP_SECONDS = 30 * 86_400.0
"""Longest time for which an event with a key is kept for runs that begin to wait for it."""
IN_FLIGHT_LIMIT = 500
"""Above 2,000 pending activities or children Temporal fails the workflow task for ever; stay far below."""


class Frozen(BaseModel):
    """An immutable value that accepts no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Retry(Frozen):
    """The retry policy of an action, with Temporal's names and meanings."""

    maximum_attempts: int = 3
    """Attempts in total; 1 means no retries."""
    initial_interval: float = 1.0
    """Seconds before the second attempt."""
    maximum_interval: float = 60.0
    """Longest wait between attempts, in seconds."""
    backoff_coefficient: float = 2.0
    retry_on: tuple[ErrorType, ...] = DEFAULT_RETRY_ON


class Skip(Frozen):
    """Mark the failed step skipped and continue by `next`."""

    kind: Literal["skip"]


class Fallback(Frozen):
    """Use a value (template) instead of the failed step's output and continue by `next`."""

    kind: Literal["fallback"]
    value: Any = None


class Pause(Frozen):
    """Wait for an operator's resolution."""

    kind: Literal["pause"]


class RetryFrom(Frozen):
    """Go back to a node of this scope or of an enclosing one, at most `max` times."""

    kind: Literal["retry_from"]
    node: str
    max: int = 1


OnError = Annotated[Skip | Fallback | Pause | RetryFrom, Field(discriminator="kind")]
"""`None` means `fail`: leave by the `error` port where the node has one, else fail the scope."""


class ActionCall(Frozen):
    """An action to call outside the flow: a compensation or a notification."""

    action: str
    config: dict[str, Any] = {}
    retry: Retry = Retry()
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS


class Node(Frozen):
    """The fields of every kind of node."""

    id: str
    name: str = ""
    """Shown to people; empty means the id."""
    ports: dict[str, tuple[int, ...]] = {}
    """Port to the ranks it activates, in this scope."""
    exits: dict[str, tuple[str, ...]] = {}
    """Port to the ids of nodes outside this scope: an enclosing scope runs them after the owner of this scope ends."""
    when: Any = None
    """A condition (SPEC §4); false skips the node."""
    outputs: tuple[str, ...] = ()
    on_error: OnError | None = None
    error_port: bool = False
    """The node has an edge out of its `error` port."""
    limit_seconds: float | None = None
    """Timeout of the whole step in seconds; of loops, parallels and workflows."""

    @property
    def title(self) -> str:
        """The name people see."""
        return self.name or self.id


class Start(Node):
    """A start of the graph, drawn as a node."""

    kind: Literal["trigger"]


class Action(Node):
    """Work outside the workflow: a Temporal activity named after the action."""

    kind: Literal["action"]
    action: str
    config: dict[str, Any] = {}
    retry: Retry = Retry()
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    """Timeout of one attempt, in seconds."""
    heartbeat_seconds: float | None = None
    task_queue: str | None = None
    local: bool = False
    """Run as a local activity."""
    fused: bool = False
    """Run in one local activity with the fused actions that follow (`interpreter/segments.py`)."""
    compensate: ActionCall | None = None
    result_schema: dict[str, Any] | None = None
    """What the action returns, where the author says so: the result that an operator gives has to fit."""


class Condition(Node):
    """Two ports, chosen by one condition."""

    kind: Literal["condition"]
    condition: Any


class Case(Frozen):
    """One port of a switch: chosen when the condition holds, or the values are equal as JSON."""

    port: str
    value: Any = None
    condition: Any = None


class Switch(Node):
    """Many ports, chosen by one value: the first case that matches, else `default`."""

    kind: Literal["switch"]
    value: Any = None
    cases: tuple[Case, ...] = ()


class Spread(Frozen):
    """What child workflows need to run a loop over many items in batches."""

    size: int
    """Number of iterations in one batch; a loop with at most as many is not spread."""
    paths: tuple[tuple[str, ...], ...] = ()
    """What the body and `collect` name of the context; none is inside another one."""
    exports: tuple[str, ...] = ()
    """Ids of nodes of the body whose `steps.<id>` is named outside of it."""
    waits: tuple[str, ...] = ()
    """Events that wait nodes of the body receive."""
    workflows: tuple[str, ...] = ()
    """Keys of `Plan.workflows` that the body calls."""


class Loop(Node):
    """One pass of the body for each item, in sequence or several at a time."""

    kind: Literal["loop"]
    collection: Any = None
    while_: Any = None
    """A condition checked before each pass; with it `collection` may be absent."""
    item: str = "item"
    batch_size: int | None = None
    """Number of items that a pass gets as a list; `None` for one item by itself."""
    max_concurrency: int = 1
    break_when: Any = None
    collect: Any = None
    has_collect: bool = False
    continue_on_error: bool = False
    max_iterations: int | None = None
    interval_seconds: Any = None
    """Seconds between one iteration and the next; of sequential loops."""
    max_failures: Any = None
    """Failed iterations to continue after, or a percentage of all as text."""
    spread: Spread | None = None
    """Of concurrent loops whose iterations may run in several workflows."""
    body: "Scope"


class Branch(Frozen):
    """One branch of a parallel, with what a child workflow needs to run it."""

    scope: "Scope"
    reads: tuple[str, ...] = ()
    """Top-level names of the context that this part of the graph names."""
    steps: tuple[str, ...] = ()
    """Ids of outer nodes whose `steps.<id>` this part names."""
    exports: tuple[str, ...] = ()
    """Ids of its own nodes whose `steps.<id>` is named outside this branch."""
    waits: tuple[str, ...] = ()
    """Events that wait nodes in this part receive; `ANY_EVENT` where a name is computed."""
    workflows: tuple[str, ...] = ()
    """Keys of `Plan.workflows` that this part calls."""


class Parallel(Node):
    """Concurrent branches that join."""

    kind: Literal["parallel"]
    branches: tuple[Branch, ...]
    join: int | str | None = None
    """How many branches must complete, or a template of it; `None` is all of them."""
    on_branch_error: Literal["fail_fast", "wait", "ignore"] = "fail_fast"
    max_concurrency: int | None = None
    inline: bool = False


class Delay(Node):
    """A durable timer: exactly one of `seconds`, `until`, `cron`."""

    kind: Literal["delay"]
    seconds: Any = None
    until: Any = None
    cron: str | None = None
    timezone: str = "UTC"


class Reminder(Frozen):
    """An action that is called while nobody decides an approval."""

    call: ActionCall
    every_seconds: float
    at_most: int = 1


class Approval(Frozen):
    """What a wait asks people to decide; the schema of their answer is that of the payload."""

    title: Any
    assignees: Any
    """Names or addresses of those who may decide, or a template of a list of them."""
    fields: tuple[str, ...] = ()
    """Names of the fields of its form, in order: histories do not keep the order of keys."""
    reminder: Reminder | None = None


class Wait(Node):
    """Wait for an event of that name."""

    kind: Literal["wait"]
    event: Any
    key: Any = None
    """What the key of an event has to be; `None` for events with any key, or none."""
    timeout_seconds: Any = None
    payload_schema: dict[str, Any] | None = None
    approval: Approval | None = None


class Set(Node):
    """Set variables."""

    kind: Literal["set"]
    values: dict[str, Any] = {}
    loop_variables: tuple[str, ...] = ()
    """Where keys are computed: the variables of the loops around it, which no key may name."""


class Call(Node):
    """Run another workflow."""

    kind: Literal["workflow"]
    workflow: str
    """Key of `Plan.workflows`."""
    input: Any = None
    wait: bool = True
    compensate: ActionCall | None = None


class End(Node):
    """End a path, or with an outcome or output the scope."""

    kind: Literal["end"]
    closes: bool = False
    has_output: bool = False
    output: Any = None
    outcome: Literal["completed", "failed"] = "completed"
    message: Any = None


AnyNode = Annotated[
    Start | Action | Condition | Switch | Loop | Parallel | Delay | Wait | Set | Call | End,
    Field(discriminator="kind"),
]


class Scope(Frozen):
    """A part of the graph that runs by itself: the workflow, one iteration, one branch."""

    nodes: tuple[AnyNode, ...] = ()
    """In order of rank."""
    entries: tuple[int, ...] = ()
    exits: tuple[str, ...] = ()
    """Entries that belong to an enclosing scope: they are reached at once."""


class Plan(Frozen):
    """A whole workflow, ready to run."""

    format: int = FORMAT
    id: str
    name: str = ""
    version: int = 1
    customer_id: str = DEFAULT_CUSTOMER
    variables: dict[str, Any] = {}
    scope: Scope
    strict: bool = False
    max_steps: int = DEFAULT_MAX_STEPS
    step_log_limit: int = DEFAULT_STEP_LOG_LIMIT
    timeout_seconds: float | None = None
    """Timeout of the whole run, in seconds."""
    compensate: Literal["on_failure", "on_cancel", "both", "never"] = "on_failure"
    notify: ActionCall | None = None
    task_queue: str | None = None
    rewinds: bool = False
    """Some node may go back (`retry_from` or `pause`): the undo log is kept in loops and branches, too."""
    yield_cost: int = DEFAULT_YIELD_COST
    """Cost of nodes and values, in the units of `language.costs`, after which a run yields to the server."""
    input_schema: dict[str, Any] | None = None
    keys: dict[str, Any] = {}
    """Templates of the business keys, by name."""
    workflows: dict[str, "Plan"] = {}
    """The plans that `workflow` nodes call, by id; this includes those of nested calls, whose own are empty."""

    def to_json(self) -> dict[str, Any]:
        """Return the compact JSON that is recorded in history: fields at their defaults are left out.

        `yield_cost` is always included, so that a new default affects no recorded run.
        """
        return {**self.model_dump(mode="json", exclude_defaults=True), "yield_cost": self.yield_cost}


Loop.model_rebuild()
Branch.model_rebuild()
Parallel.model_rebuild()
Plan.model_rebuild()
