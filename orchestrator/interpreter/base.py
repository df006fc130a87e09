"""What the code of every node kind works with: the interpreter of one flow, a scope and a node in progress.

A flow is a whole run, or one branch of it. Replay-sensitive.
"""

import asyncio
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

from orchestrator.errors import StepFailed
from orchestrator.interpreter.compiled import Compiled, make_env
from orchestrator.interpreter.effects import Effects
from orchestrator.interpreter.failures import LimitReached, build_error_document
from orchestrator.interpreter.frames import Fork, Frame, LoopFrame
from orchestrator.interpreter.pool import is_cancelled, wait_for_ends
from orchestrator.interpreter.pure_nodes import Closed
from orchestrator.interpreter.repairs import Repair
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step, current_step
from orchestrator.interpreter.variables import Data
from orchestrator.language import Env
from orchestrator.language.costs import NODE
from orchestrator.language.env import Meter
from orchestrator.model.plan import IN_FLIGHT_LIMIT, AnyNode, Node, Plan, Scope
from orchestrator.model.plan_nodes import list_scope_node_ids
from orchestrator.model.run import RunInfo, Status

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ScopeRun:
    """One pass through a scope: the whole run, one iteration or one branch."""

    scope: Scope
    frame: Frame
    path: str
    """Prefix of the ids of its steps."""
    data: Data
    env: Env
    branches: tuple[str, ...] = ()
    """Paths of the inline branches of this flow that it is in, the outermost first."""


class Interpreter(ABC):
    """Runs the nodes of one flow and records their steps."""

    def __init__(
        self, plan: Plan, info: RunInfo, state: RunState, effects: Effects, compiled: Compiled | None = None
    ) -> None:
        self.plan = plan
        self.info = info
        self.state = state
        self.effects = effects
        self.compiled = compiled or Compiled()
        self.meter = Meter()
        """Counts the cost of all values of the flow."""
        self._reported = 0
        self._owned: dict[int, list[str]] = {}
        self.losers: list[asyncio.Task[None]] = []
        """Cancelled branches of joins that were reached, while they are still ending."""

    def boundary_due(self) -> bool:
        """Count a node; return whether the flow has to yield, pause or continue as new before it."""
        self.meter.spent += NODE
        cost = self.meter.spent - self._reported
        self._reported = self.meter.spent
        return self.effects.boundary_due(cost)

    @abstractmethod
    async def run_scope(self, run: ScopeRun) -> Closed | None:
        """Run until no node is active, or an `end` closes the scope. Nodes that own a scope call this."""

    def limit_in_flight(self, limit: int, path: str) -> int:
        """Return how many iterations or branches may be in progress at a time, of a step with that inner path."""
        return min(limit, IN_FLIGHT_LIMIT)

    async def leave_loop(self, progress: LoopFrame) -> None:
        """Pass the end of a loop, whose last iteration has ended."""
        return

    def list_owned(self, scope: Scope) -> list[str]:
        """Return the ids of all nodes of a scope, those of inner ones included."""
        owned = self._owned.get(id(scope))
        if owned is None:
            owned = self._owned[id(scope)] = list_scope_node_ids(scope)
        return owned

    def open_fork(self, scope: Scope, path: str, fork: Fork, branches: tuple[str, ...]) -> ScopeRun:
        """Return a pass through a scope beside the flow that starts it."""
        return ScopeRun(scope, fork.frame, path, fork.data, self.make_env(fork.data.context), branches)

    def leave_losers(self, tasks: "Sequence[asyncio.Task[None]]") -> None:
        """Keep track of branches that are still ending; `wait_for_losers` waits for them at the latest."""

        def forget(task: "asyncio.Task[None]") -> None:
            self.state.ending -= 1
            if task.cancelled() or task.exception() is None:
                self.losers.remove(task)

        self.losers.extend(tasks)
        self.state.ending += len(tasks)
        for task in tasks:
            task.add_done_callback(forget)

    async def wait_for_losers(self) -> None:
        """Wait until all losers have ended; raises what went wrong in one, which is a bug."""
        losers = list(self.losers)
        await wait_for_ends(losers)
        for task in losers:
            if not task.cancelled():
                task.result()

    async def pass_boundary(self, *, starts_child: bool = False) -> None:
        """Do what is due between two nodes: see `Effects.pass_boundary`; a flow that was cancelled does not wait."""
        if is_cancelled():
            raise asyncio.CancelledError
        await self.effects.pass_boundary(starts_child=starts_child)

    def make_env(self, context: dict[str, Any]) -> Env:
        """Return what templates and conditions see."""
        return make_env(context, self.effects.now, self.effects.uuid, self.plan.strict, self.meter)

    def make_idempotency_key(self, step_id: str) -> str:
        """Return a step's idempotency key: short, however deep the step is, for servers that limit the length."""
        # The outcome of the same step in an earlier run is unknown: the key keeps it from taking effect twice.
        if (kept := self.state.keys.get(step_id)) is not None:
            return kept
        # 18 bytes are 24 characters without padding; chance collisions are out of the question at 144 bits.
        return urlsafe_b64encode(sha256(f"{self.info.id}:{step_id}".encode()).digest()[:18]).decode()

    def begin(self, run: ScopeRun, node: Node, *, opened: bool) -> Step:
        """Start a step: number it, name it, log it."""
        state = self.state
        if state.started >= self.plan.max_steps:
            raise LimitReached
        state.started += 1
        visit = run.frame.visits.get(node.id, 0) + 1
        run.frame.visits[node.id] = visit
        step_id = make_step_id(run.path, node.id, visit)
        step = Step(step_id, node.id, run.path, "running", self.effects.now(), state.started)
        current_step.set(step_id)
        state.log.append(step)
        if opened:
            state.open[step_id] = step
        if run.data.undo_log is not None:
            run.data.mark(f"{run.path}/{node.id}", state.started, run.frame)
            run.data.count_step(state.started, begun=1)
        return step

    def complete(self, run: ScopeRun, node: Node, step: Step) -> None:
        """Close a step that went well: its output becomes visible and its `outputs` become variables."""
        self.close(run, step, "completed" if step.status in ("running", "waiting") else step.status)
        output = step.output
        run.data.set_step(node.id, step.status, output, step.error and step.error.to_json())
        if node.outputs and step.status == "completed":
            source = output["value"] if step.error is not None and isinstance(output, dict) else output
            for name in node.outputs:
                if not isinstance(source, dict) or name not in source:
                    step.warnings += (f"the result has no {name!r}: the variable is null",)
                run.data.set(name, source.get(name) if isinstance(source, dict) else None)

    def fail(self, run: ScopeRun, node: Node, step: Step, failure: StepFailed) -> StepFailed:
        """Close a step that failed; return the failure, to be raised."""
        step.error = build_error_document(failure, self.effects.now(), node.id)
        self.close(run, step, "failed")
        run.data.set_step(node.id, "failed", step.output, step.error.to_json())
        return failure

    def close(self, run: ScopeRun, step: Step, status: Status) -> None:
        """Close a step and hand it the warnings of its evaluations."""
        self.state.close_step(step, status, self.effects.now())
        if run.data.undo_log is not None:
            run.data.count_step(step.number, ended=1)
        take_warnings(run, step)


def take_warnings(run: ScopeRun, step: Step) -> None:
    """Hand a step the warnings of its evaluations so far: only steps are carried over continue-as-new.

    Each once and up to the limit, because a loop evaluates the same templates in every iteration.
    """
    warnings = run.env.warnings
    add_warnings(step, warnings.messages, warnings.limit)
    warnings.messages.clear()


def add_warnings(step: Step, messages: Iterable[str], limit: int) -> None:
    """Add warnings that a step does not have yet, up to the limit."""
    for message in messages:
        if message not in step.warnings and len(step.warnings) < limit:
            step.warnings += (message,)


def make_step_id(path: str, node_id: str, visit: int) -> str:
    """Return the id of a step: `each[2]/send`, or `each[2]/send#3` for the third visit of the node."""
    name = node_id if visit == 1 else f"{node_id}#{visit}"
    return f"{path}/{name}" if path else name


@dataclass(frozen=True, slots=True)
class NodeRun:
    """One node in progress that may wait or fail."""

    interpreter: Interpreter
    scope: ScopeRun
    node: AnyNode
    step: Step

    @property
    def effects(self) -> Effects:
        """The port to everything outside."""
        return self.interpreter.effects

    @property
    def state(self) -> RunState:
        """The state of the flow."""
        return self.interpreter.state

    @property
    def plan(self) -> Plan:
        """The plan of the flow."""
        return self.interpreter.plan

    def render(self, source: Any) -> Any:
        """Render a value of the node."""
        return self.interpreter.compiled.render(source, self.scope.env)

    async def wait(self, waiting: Coroutine[Any, Any, T]) -> T | Repair:
        """Wait for something from outside, or until an operator ends the wait."""
        result = await self.effects.repairs.wait(self.step.id, waiting)
        if isinstance(result, Repair):
            await self.effects.pass_lineup()
        return result

    def complete(self) -> None:
        """Close the step: it went well."""
        self.interpreter.complete(self.scope, self.node, self.step)

    def fail(self, failure: StepFailed) -> StepFailed:
        """Close the step as failed; return the failure, to be raised."""
        return self.interpreter.fail(self.scope, self.node, self.step, failure)
