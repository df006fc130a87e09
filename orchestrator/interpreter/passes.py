"""Walk through the passes of a flow that are in progress: the flow itself, its iterations and inline branches."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.interpreter.frames import Frame, LoopFrame, ParallelFrame
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.variables import Data
from orchestrator.model.plan import AnyNode, Loop, Parallel, Plan, Scope


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass through a scope that is in progress."""

    scope: Scope
    frame: Frame
    path: str
    data: Data

    def find_node(self, node_id: str) -> AnyNode | None:
        """Return a node of the scope."""
        return next((node for node in self.scope.nodes if node.id == node_id), None)

    def find_next(self) -> str | None:
        """Return the id of the node that the path runs next; `None` while one is in progress."""
        if self.frame.open is None:
            return self.scope.nodes[self.frame.active[0]].id if self.frame.active else None
        loop = self.frame.open
        is_between = isinstance(loop, LoopFrame) and loop.frame is None and not loop.forks
        return loop.step.node_id if is_between else None


def iterate_passes(plan: Plan, state: RunState) -> Iterator[Pass]:
    """Yield the passes in progress, from the outside in; branches in child workflows are flows of their own."""
    yield from _iterate(Pass(plan.scope, state.frame, state.path, state.data))


def _iterate(outer: Pass) -> Iterator[Pass]:
    yield outer
    if outer.frame.open is None:
        return
    step = outer.frame.open.step
    match outer.frame.open, outer.find_node(step.node_id):
        case LoopFrame() as loop, Loop() as node:
            if loop.frame is not None:
                yield from _iterate(Pass(node.body, loop.frame, step.make_inner_path(loop.current_index), outer.data))
            for index, fork in loop.forks.items():
                yield from _iterate(Pass(node.body, fork.frame, step.make_inner_path(index), fork.data))
        case ParallelFrame() as parallel, Parallel() as node:
            for index, fork in parallel.forks.items():
                scope = node.branches[index].scope
                yield from _iterate(Pass(scope, fork.frame, step.make_inner_path(index), fork.data))
