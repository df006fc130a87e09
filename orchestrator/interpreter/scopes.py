"""Run scopes: take the active node of lowest rank, run it, activate what its port leads to (SPEC §2).

Replay-sensitive. Everything from outside comes through `Effects`.
"""

import asyncio

from orchestrator.interpreter.base import Interpreter, NodeRun, ScopeRun
from orchestrator.interpreter.compiled import Compiled
from orchestrator.interpreter.effects import Effects
from orchestrator.interpreter.failures import KNOWN_ERRORS, HistoryFull, Rewind, to_step_failure
from orchestrator.interpreter.leaf_frames import BusyNode
from orchestrator.interpreter.pool import is_cancelled
from orchestrator.interpreter.pure_nodes import NEXT, PURE, Closed, Exit, Pure, run_pure
from orchestrator.interpreter.rank_changes import Departure
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step, current_step
from orchestrator.interpreter.steps import end_repaired, run_node
from orchestrator.interpreter.variables import Rewound
from orchestrator.model.plan import AnyNode, Call, Node, Parallel, Plan, Scope
from orchestrator.model.run import RunInfo
from orchestrator.model.run_paths import is_inside


class ScopeInterpreter(Interpreter):
    """The interpreter of one flow of a plan."""

    def __init__(
        self, plan: Plan, info: RunInfo, state: RunState, effects: Effects, compiled: Compiled | None = None
    ) -> None:
        super().__init__(plan, info, state, effects, compiled)
        self._ranks: dict[int, dict[str, int]] = {}

    async def run_scope(self, run: ScopeRun) -> Closed | None:
        """Run until no node is active, or an `end` closes the scope."""
        frame, nodes = run.frame, run.scope.nodes
        # After continue-as-new a node may be in progress. It was taken off `active` when it started, so nothing
        # else would find it; and it comes first, because nodes of higher rank may depend on it.
        if frame.open is not None:
            rank = self._index_ranks(run.scope)[frame.open.step.node_id]
            closed = await self._advance_or_rewind(run, nodes[rank])
            if closed is not None:
                return closed
        while frame.active:
            # A result that is ready when a cancellation arrives is recorded first; nothing starts after it.
            if is_cancelled():
                raise asyncio.CancelledError
            if self.boundary_due():
                await self.pass_boundary_before(run, nodes[frame.active[0]])
            node = nodes[frame.take()]
            # A node that neither waits nor has a policy ends in the same turn: no coroutine, no open step, no task
            # that could be cancelled. Thousands of these may run in one workflow task, which must end within 2 s.
            if isinstance(node, PURE) and node.when is None and node.on_error is None and not self.state.overrides:
                closed = self._run_pure(run, node)
            else:
                closed = await self._advance_or_rewind(run, node)
            if closed is not None:
                return closed
        if self.effects.is_moving:
            await self.pass_boundary()  # the last node may lead on in the other version
        return None

    async def pass_boundary_before(self, run: ScopeRun, node: AnyNode) -> None:
        """Do what is due before the next node of a scope."""
        starts_child = (isinstance(node, Call) and node.wait) or (isinstance(node, Parallel) and not node.inline)
        try:
            await self.pass_boundary(starts_child=starts_child)
        except HistoryFull as full:
            full.node_id = node.id
            raise

    def _run_pure(self, run: ScopeRun, node: Pure) -> Closed | None:
        step = self.begin(run, node, opened=False)
        try:
            outcome = run_pure(node, step, run.data, run.env, self.compiled)
        except KNOWN_ERRORS as error:
            raise self.fail(run, node, step, to_step_failure(error, node.id)) from error
        self.complete(run, node, step)
        return self._leave(run, node, outcome)

    async def _advance_or_rewind(self, run: ScopeRun, node: AnyNode) -> Closed | None:
        try:
            return await self._advance(run, node)
        except Rewind as rewind:
            rank = self._index_ranks(run.scope).get(rewind.node_id)
            if rank is None:
                raise
            await self.wait_for_losers()  # their steps are dropped below, even those that are still open
            rewound = run.data.rewind(f"{run.path}/{rewind.node_id}", run.frame)
            # The node is in this scope but was never started: on another path, or before a state without undo log.
            if rewound is None:
                raise rewind.failure from None
            self._drop_steps(run.path, rewound)
            run.frame.open = None
            run.frame.activate(rank)
            return None

    def _drop_steps(self, path: str, rewound: Rewound) -> None:
        """Take the steps of a scope, and of those inside it, from a number on off the record."""
        state = self.state

        def is_undone(step: Step) -> bool:
            return step.number >= rewound.step_number and is_inside(step.path, path)

        kept = [step for step in state.log if not is_undone(step)]
        state.drops.append((path, rewound.step_number))
        state.dropped += rewound.begun
        state.completed -= rewound.ended
        state.log.clear()
        state.log.extend(kept)
        # A rewind that passes through a loop or a parallel leaves its step open.
        state.open = {step_id: step for step_id, step in state.open.items() if not is_undone(step)}

    async def _advance(self, run: ScopeRun, node: AnyNode) -> Closed | None:
        """Run one node that may wait, fail or be skipped."""
        if run.frame.open is not None:  # resumed
            step = run.frame.open.step
            current_step.set(step.id)
        else:
            step = self.begin(run, node, opened=True)
            run.frame.open = BusyNode(step)
            repair = self.state.take_repair(step)
            if repair is not None:
                exit_ = end_repaired(NodeRun(self, run, node, step), repair)
                run.frame.open = None
                return self._leave(run, node, exit_)
            if node.when is not None and not self._decide_when(run, node, step):
                step.status = "skipped"
                self.complete(run, node, step)
                run.frame.open = None
                return self._leave(run, node, NEXT)
        try:
            outcome = await run_node(NodeRun(self, run, node, step))
        except HistoryFull as full:
            full.node_id = full.node_id or node.id  # a loop passes boundaries, too
            raise
        except asyncio.CancelledError:
            # `run_node` closes the step unless something unwinds through it. A cancellation is recorded where it
            # passes, because the run itself may continue: only a branch or an iteration was cancelled.
            if step.completed_at is None:
                self.close(run, step, "cancelled")
            raise
        run.frame.open = None
        return self._leave(run, node, outcome)

    def _decide_when(self, run: ScopeRun, node: Node, step: Step) -> bool:
        try:
            holds, seen = self.compiled.condition(node.when).decide(run.env)
        except KNOWN_ERRORS as error:
            raise self.fail(run, node, step, to_step_failure(error, node.id)) from error
        step.decision = (seen, "when" if holds else "skipped")
        return holds

    def _leave(self, run: ScopeRun, node: Node, outcome: Exit | Closed | None) -> Closed | None:
        """Activate what the port leads to; leave what lies outside to the enclosing scope."""
        if not isinstance(outcome, Exit):
            return outcome
        frame = run.frame
        activated = tuple(rank for rank in node.ports.get(outcome.port, ()) if frame.activate(rank))
        # A node that paths of several branches reach is owned by the innermost scope around them all (SPEC §2): it runs
        # once, after the branches have joined. What is not in this scope either is left to the one around it.
        if outcome.reached:
            ranks = self._index_ranks(run.scope)
            for node_id in outcome.reached:
                if node_id in ranks:
                    frame.activate(ranks[node_id])
                elif node_id not in frame.exits:
                    frame.exits.append(node_id)
        exits = tuple(node_id for node_id in node.exits.get(outcome.port, ()) if node_id not in frame.exits)
        frame.exits.extend(exits)
        frame.departure = Departure(node.id, outcome.port, activated, exits)
        return None

    def _index_ranks(self, scope: Scope) -> dict[str, int]:
        ranks = self._ranks.get(id(scope))
        if ranks is None:
            ranks = self._ranks[id(scope)] = {node.id: rank for rank, node in enumerate(scope.nodes)}
        return ranks
