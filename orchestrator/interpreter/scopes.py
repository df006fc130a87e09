"""Run scopes: take the activated node of lowest rank, run it, activate what its port leads to (SPEC §2).

Replay-sensitive. Everything from outside comes through `Effects`.
"""

import asyncio
from base64 import urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.compiled import Compiled, make_env
from orchestrator.interpreter.effects import Effects
from orchestrator.interpreter.failures import KNOWN_ERRORS, LimitReached, Rewind, build_error_document, to_step_failure
from orchestrator.interpreter.frames import Frame, Step
from orchestrator.interpreter.pure_nodes import PURE, Closed, run_pure
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.variables import Data
from orchestrator.language import Env
from orchestrator.model.plan import AnyNode, Loop, Node, Parallel, Plan, Scope
from orchestrator.model.run import RunInfo


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the run a scope runs."""

    path: str
    """Prefix of the ids of its steps: iterations and branches."""
    data: Data
    env: Env
    resumable: bool
    """All that encloses it runs one after another, so the state can be written down."""


class Machine:
    """One flow of a plan: the whole run, or one branch of it."""

    def __init__(self, plan: Plan, info: RunInfo, state: RunState, effects: Effects, attempt: "Attempt") -> None:
        self.plan = plan
        self.info = info
        self.state = state
        self.effects = effects
        self.compiled = Compiled()
        self._attempt = attempt
        self._indexes: dict[int, dict[str, int]] = {}

    def place(self, path: str, data: Data, *, resumable: bool) -> Place:
        """Make the place for a scope's nodes."""
        env = make_env(data.context, self.effects.now, self.effects.uuid, self.plan.strict)
        return Place(path, data, env, resumable)

    def key(self, step_id: str) -> str:
        """Make a step's idempotency key: short, however deep the step is, for servers that limit theirs."""
        return urlsafe_b64encode(sha256(f"{self.info.id}:{step_id}".encode()).digest()[:18]).decode()

    async def run_scope(self, scope: Scope, frame: Frame, place: Place) -> Closed | None:
        """Run until nothing is activated, or an `end` closes the scope."""
        effects = self.effects
        if frame.loop is not None:
            rank = self._index(scope)[frame.loop.step.node_id]
            closed = await self._advance_or_rewind(scope, frame, scope.nodes[rank], place)
            if closed is not None:
                return closed
        while frame.active:
            if effects.boundary_due(resumable=place.resumable):
                await effects.pass_boundary(resumable=place.resumable)
            node = scope.nodes[frame.active.pop(0)]
            if isinstance(node, PURE) and node.when is None and node.on_error is None:
                closed = self._pure(scope, frame, node, place)
            else:
                closed = await self._advance_or_rewind(scope, frame, node, place)
            if closed is not None:
                return closed
        return None

    def begin(self, node: Node, frame: Frame, place: Place, *, opened: bool) -> Step:
        """Start a step: number it, name it, log it."""
        state = self.state
        if state.started >= self.plan.max_steps:
            raise LimitReached
        state.started += 1
        visit = frame.visits.get(node.id, 0) + 1
        frame.visits[node.id] = visit
        name = node.id if visit == 1 else f"{node.id}#{visit}"
        step_id = f"{place.path}/{name}" if place.path else name
        step = Step(step_id, node.id, place.path, "running", self.effects.now(), state.started)
        state.log.append(step)
        if opened:
            state.open[step_id] = step
        # A run can be tried again from any node of its own scope; inside others only where the plan goes back.
        if place.data.journal is not None and (not place.path or self.plan.rewinds):
            place.data.mark(f"{place.path}/{node.id}", state.started, frame)
        return step

    def finish(self, node: Node, step: Step, place: Place) -> None:
        """Complete a step: its output becomes visible and its `outputs` become variables."""
        step.status = "completed" if step.status in ("running", "waiting") else step.status
        self._close(step, place)
        output = step.output
        place.data.set_step(node.id, step.status, output, step.error and step.error.to_json())
        if node.outputs and step.status == "completed":
            source = output["value"] if step.error is not None and isinstance(output, dict) else output
            for name in node.outputs:
                if not isinstance(source, dict) or name not in source:
                    step.warnings += (f"the result has no {name!r}: the variable is null",)
                place.data.set(name, source.get(name) if isinstance(source, dict) else None)

    def _close(self, step: Step, place: Place) -> None:
        step.completed_at = self.effects.now()
        step.waiting_for = None
        self.state.open.pop(step.id, None)
        self.state.completed += 1
        warnings = place.env.warnings
        if warnings.messages:
            step.warnings += tuple(warnings.messages)
            warnings.messages.clear()

    def _pure(self, scope: Scope, frame: Frame, node: Any, place: Place) -> Closed | None:
        step = self.begin(node, frame, place, opened=False)
        try:
            port = run_pure(node, step, place.data, place.env, self.compiled)
        except KNOWN_ERRORS as error:
            raise self.fail(node, step, place, to_step_failure(error, node.id)) from error
        self.finish(node, step, place)
        return self._leave(scope, frame, node, port, ())

    def fail(self, node: Node, step: Step, place: Place, failure: StepFailed) -> StepFailed:
        """Record that a step failed."""
        step.status = "failed"
        step.error = build_error_document(failure, self.effects.now(), node.id)
        step.retry_count = max(failure.attempts - 1, 0)
        self._close(step, place)
        place.data.set_step(node.id, "failed", step.output, step.error.to_json())
        return failure

    async def _advance_or_rewind(self, scope: Scope, frame: Frame, node: Any, place: Place) -> Closed | None:
        try:
            return await self._advance(scope, frame, node, place)
        except Rewind as rewind:
            rank = self._index(scope).get(rewind.node_id)
            if rank is None:
                raise
            number = place.data.rewind(f"{place.path}/{rewind.node_id}", frame)
            if number is None:
                raise rewind.failure from None
            self._drop_steps(number)
            frame.loop = None
            activate(frame, rank)
            return None

    def _drop_steps(self, number: int) -> None:
        """Take steps begun since then off the record."""
        kept = [step for step in self.state.log if step.number < number]
        ended = sum(1 for step in self.state.log if step.number >= number and step.completed_at)
        self.state.dropped += len(self.state.log) - len(kept)
        self.state.completed -= ended
        self.state.log.clear()
        self.state.log.extend(kept)

    async def _advance(self, scope: Scope, frame: Frame, node: AnyNode, place: Place) -> Closed | None:
        """Run one node that may wait, fail or be skipped."""
        resumed = frame.loop
        step = resumed.step if resumed is not None else self.begin(node, frame, place, opened=True)
        if resumed is None and node.when is not None and not self._wanted(node, step, place):
            step.status = "skipped"
            self.finish(node, step, place)
            return self._leave(scope, frame, node, "next", ())
        left: list[str] = []
        try:
            port = await self._attempt(self, node, step, frame, place, left)
        except asyncio.CancelledError:
            step.status = "cancelled"
            self._close(step, place)
            raise
        frame.loop = None
        return self._leave(scope, frame, node, port, left)

    def _wanted(self, node: Node, step: Step, place: Place) -> bool:
        try:
            holds, seen = self.compiled.condition(node.when).decide(place.env)
        except KNOWN_ERRORS as error:
            raise self.fail(node, step, place, to_step_failure(error, node.id)) from error
        step.decision = (seen, "when" if holds else "skipped")
        return holds

    def _leave(self, scope: Scope, frame: Frame, node: Node, port: str | Closed | None, left: Any) -> Closed | None:
        """Activate what the port leads to; hand what lies outside to the enclosing scope."""
        if isinstance(port, Closed):
            return port
        if port is None:
            return None
        for rank in node.ports.get(port, ()):
            activate(frame, rank)
        if port == "next" and isinstance(node, Loop | Parallel):
            index = self._index(scope)
            for node_id in left:
                if node_id in index:
                    activate(frame, index[node_id])
                elif node_id not in frame.left:
                    frame.left.append(node_id)
        for node_id in node.exits.get(port, ()):
            if node_id not in frame.left:
                frame.left.append(node_id)
        return None

    def _index(self, scope: Scope) -> dict[str, int]:
        found = self._indexes.get(id(scope))
        if found is None:
            found = self._indexes[id(scope)] = {node.id: rank for rank, node in enumerate(scope.nodes)}
        return found


def activate(frame: Frame, rank: int) -> None:
    """Add a rank, once, in order."""
    active = frame.active
    at = bisect_left(active, rank)
    if at == len(active) or active[at] != rank:
        active.insert(at, rank)


def new_frame(scope: Scope) -> Frame:
    """Begin a scope."""
    return Frame(sorted(scope.entries), left=list(scope.exits))


Attempt = Callable[[Machine, AnyNode, Step, Frame, Place, list[str]], Awaitable[str | Closed | None]]
"""Run one node that may wait or fail, with what `on_error` says: the port to leave by. Fills nodes left."""
