"""Move the frames of a run to the scopes of another version, or say why one does not fit. Replay-sensitive.

Ranks are positions in a plan: each is looked up again by the id of its node. A path that is between two nodes leaves
the node before it once more, by the edges of the new version: what was added behind that node runs, and what was taken
out does not. A node in progress continues as the node with its id, which has to be of the same kind, in the same loop
or branch, and must not differ in what its frame depends on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from orchestrator.interpreter.frames import Fork, Frame, LoopFrame, OpenNode, ParallelFrame
from orchestrator.interpreter.leaf_frames import BusyNode, DelayFrame, OperatorFrame, WaitFrame
from orchestrator.interpreter.rank_changes import (
    Departure,
    RankChanges,
    changes_from_json,
    changes_to_json,
    compose_changes,
)
from orchestrator.interpreter.variables import Data, UndoEntry, undo_log_to_json
from orchestrator.model.plan import AnyNode, Loop, Parallel, Plan, Scope, Switch, Wait
from orchestrator.model.plan_nodes import collect_node_ids

NodeState = Literal["done", "in_progress", "next", "decided"]
NodeOutcome = Literal["kept", "dropped", "refused"]


@dataclass(frozen=True, slots=True)
class MovedNode:
    """What becomes of a node that a run has done, is in, or comes to next, or on which an operator has decided."""

    node_id: str
    """Its id in the version that the run leaves; of what comes next, in the one that it moves to."""
    state: NodeState
    outcome: NodeOutcome
    path: str = ""
    to: str | None = None
    """Its id in the version that the run moves to; `None` where it has none there."""
    reason: str = ""
    """Why it does not fit, or why a decision is dropped."""


@dataclass(frozen=True, slots=True)
class Position:
    """One pass through a scope, in both versions."""

    before: Scope
    after: Scope
    path: str = ""
    outer: frozenset[str] = frozenset()
    """Ids of the nodes of the scopes around it, in the version that the run moves to."""

    def enter(self, before: Scope, after: Scope, path: str) -> "Position":
        """Return a pass inside this one."""
        return Position(before, after, path, self.outer | {node.id for node in self.after.nodes})


@dataclass(slots=True)
class FrameMover:
    """Rewrites frames as `Frame.to_json` writes them; the frames themselves stay as they are."""

    before: Plan
    after: Plan
    renamed: Mapping[str, str]
    """New ids of nodes, by the ids in the version that the run leaves."""
    nodes: list[MovedNode] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)
    """The passes in progress, by path."""
    frames: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Their frames, as they are written."""
    known: set[str] = field(init=False)
    """Ids of all nodes of the version that the run moves to."""

    def __post_init__(self) -> None:
        """Index the version that the run moves to."""
        self.known = collect_node_ids(self.after)

    def rename(self, node_id: str) -> str:
        """Return the id of a node in the version that the run moves to."""
        return self.renamed.get(node_id, node_id)

    def rename_steps(self, steps: Mapping[str, Any]) -> dict[str, Any]:
        """Return step results by the new ids of their nodes, without those of nodes that are gone."""
        return {self.rename(name): entry for name, entry in steps.items() if self.rename(name) in self.known}

    def _map_changes(self, changes: RankChanges, at: Position) -> RankChanges:
        """Return changes of active ranks with the ranks of the new version, as far as it has the nodes."""
        ranks = _index(at.after)
        names = {rank: self.rename(at.before.nodes[rank].id) for rank in changes}
        return {ranks[names[rank]]: was_active for rank, was_active in changes.items() if names[rank] in ranks}

    def move(self, frame: Frame, fields: dict[str, Any], at: Position) -> None:
        """Rewrite a frame, and those inside it."""
        self.positions[at.path], self.frames[at.path] = at, fields
        fields["visits"] = self._move_visits(frame.visits)
        if frame.open is not None:
            self._move_active(frame, fields, at)
            self._move_open(frame.open, fields["open"], at)
        elif not frame.visits and frame.active == sorted(at.before.entries):
            moved = Frame.new(at.after)  # it has not begun
            fields["active"], fields["left"], fields["changes"] = moved.active, moved.exits, changes_to_json({})
            self._add_next(fields["active"], at)
        else:
            self._move_active(frame, fields, at)
            self._add_next(fields["active"], at)
        if not self.before.rewinds:
            fields["changes"] = changes_to_json({})  # the undo log begins here

    def _move_visits(self, visits: Mapping[str, int]) -> dict[str, int]:
        """Return how often nodes have started, by their new ids.

        A node with the old id of another one counts on from that: steps keep their ids, and with them their keys.
        """
        moved = {self.rename(name): number for name, number in visits.items()}
        return moved | {name: max(number, moved.get(name, 0)) for name, number in visits.items()}

    def move_data(self, data: Data, fields: dict[str, Any]) -> None:
        """Rewrite the step results and the undo log of a flow, after the frames that belong to it."""
        fields["steps_changed"] = [self.rename(name) for name in data.steps_changed]
        fields["journal"] = self._move_undo_log(data)

    def _move_undo_log(self, data: Data) -> list[list[Any]] | None:
        """Return the undo log without the entries of nodes that are gone: nothing goes back to these."""
        if not self.after.rewinds:
            return None
        moved: list[UndoEntry] = []
        folded: dict[str, RankChanges] = {}
        for entry in data.undo_log or ():
            path, _, name = entry.key.rpartition("/")
            steps = self.rename_steps(entry.steps)
            entry = replace(entry, key=f"{path}/{self.rename(name)}", steps=steps)
            at = self.positions.get(path)
            if at is None:  # of a loop or a branch that has failed: its ranks are not looked at any longer
                moved.append(replace(entry, changes={}))
                continue
            changes = compose_changes(folded.pop(path, {}), self._map_changes(entry.changes, at))
            if self.rename(name) in _index(at.after):
                moved.append(replace(entry, changes=changes))
                continue
            folded[path] = changes
            if moved:
                moved[-1].absorb(entry)
        for path, changes in folded.items():
            frame = self.frames[path]
            frame["changes"] = changes_to_json(compose_changes(changes, changes_from_json(frame["changes"])))
        return undo_log_to_json(moved)

    def _move_active(self, frame: Frame, fields: dict[str, Any], at: Position) -> None:
        ranks = _index(at.after)
        left = Frame(list(frame.active), exits=list(frame.exits), changes=dict(frame.changes))
        node = self._find_left(frame, at)
        if node is not None and frame.departure is not None:
            for rank in frame.departure.activated:
                left.deactivate(rank)
            left.exits = [name for name in left.exits if name not in frame.departure.exits]
        names = [self.rename(at.before.nodes[rank].id) for rank in left.active]
        for name in names:
            if name not in ranks:
                self._refuse(name, "next", at, self._describe_missing(name, "comes next"))
        moved = Frame(
            sorted(ranks[name] for name in names if name in ranks), changes=self._map_changes(left.changes, at)
        )
        moved.exits = self._move_exits(left.exits, at)
        if node is not None and frame.departure is not None:
            port = frame.departure.port
            activated = tuple(rank for rank in node.ports.get(port, ()) if moved.activate(rank))
            exits = tuple(name for name in node.exits.get(port, ()) if name not in moved.exits)
            moved.exits += exits
            fields["departure"] = Departure(node.id, port, activated, exits).to_json()
        else:
            fields.pop("departure", None)
        fields["active"], fields["left"], fields["changes"] = moved.active, moved.exits, changes_to_json(moved.changes)

    def _find_left(self, frame: Frame, at: Position) -> AnyNode | None:
        """Return the node that the path has left and leaves again by the edges of the new version, if it can."""
        departure = frame.departure
        if departure is None or frame.open is not None:
            return None
        old = _find(at.before, departure.node_id)
        new = _find(at.after, self.rename(departure.node_id))
        has_port = old is not None and new is not None and old.kind == new.kind and _has_port(new, departure.port)
        return new if has_port else None

    def _move_exits(self, exits: Iterable[str], at: Position, *, is_inside: bool = True) -> list[str]:
        """Return the nodes outside a scope that its paths have reached; those of a loop may be beside it."""
        around = at.outer if is_inside else at.outer | {node.id for node in at.after.nodes}
        moved = [self.rename(name) for name in exits]
        for name in moved:
            if name not in around:
                self._refuse(name, "next", at, self._describe_missing(name, f"comes after {at.path or 'the loop'}"))
        return moved

    def _add_next(self, active: list[int], at: Position) -> None:
        for rank in active[:1]:
            name = at.after.nodes[rank].id
            self.nodes.append(MovedNode(name, "next", "kept", at.path, name))

    def _refuse(self, name: str, state: NodeState, at: Position, reason: str, to: str | None = None) -> None:
        where = f" in {at.path}" if at.path else ""
        self.nodes.append(MovedNode(name, state, "refused", at.path, to, f"{name!r}{where} {reason}"))

    def _describe_missing(self, name: str, what: str) -> str:
        version = f"version {self.after.version}"
        if name in self.known:
            return f"{what}, and {version} has it in another loop or branch, or outside of all"
        return f"{what}, and {version} has no such node"

    def _move_open(self, progress: OpenNode, fields: dict[str, Any], at: Position) -> None:
        old_id = progress.step.node_id
        old, new = _find(at.before, old_id), _find(at.after, self.rename(old_id))
        if old is None or new is None:
            self._refuse(old_id, "in_progress", at, self._describe_missing(self.rename(old_id), "is in progress"))
            return
        fields["step"] = {**fields["step"], "node_id": new.id}
        reasons = list(self._move_progress(progress, fields, old, new, at))
        for reason in reasons:
            self._refuse(old_id, "in_progress", at, f"is in progress, and {reason}", new.id)
        if not reasons:
            self.nodes.append(MovedNode(old_id, "in_progress", "kept", at.path, new.id))

    def _move_progress(
        self, progress: OpenNode, fields: dict[str, Any], old: AnyNode, new: AnyNode, at: Position
    ) -> Iterable[str]:
        """Rewrite a node in progress; return why it does not fit."""
        if old.kind != new.kind:
            return [f"its type is `{old.kind}`, and `{new.kind}` in version {self.after.version}"]
        match progress, old, new:
            case LoopFrame(), Loop(), Loop():
                return self._move_loop(progress, fields, old, new, at)
            case ParallelFrame(), Parallel(), Parallel():
                return self._move_parallel(progress, fields, old, new, at)
            case WaitFrame(), Wait(), Wait():
                return _move_wait(progress, fields, old, new)
            case ((BusyNode() | DelayFrame() | OperatorFrame()), _, _):
                return []
            case _:
                raise TypeError(f"{type(progress).__name__} is not the frame of a {old.kind} node")

    def _move_loop(self, progress: LoopFrame, fields: dict[str, Any], old: Loop, new: Loop, at: Position) -> list[str]:
        reasons = _compare_loops(progress, old, new)
        if reasons:
            return reasons
        if new.has_collect and not old.has_collect:
            fields["collected"] = [None] * progress.index  # the iterations before have collected nothing
        fields["left"] = self._move_exits(progress.exits, at, is_inside=False)
        fields["merged_steps"] = self.rename_steps(progress.merged_steps)
        fields["ended"] = [[index, self._move_ended(entry, at)] for index, entry in fields["ended"]]
        step = progress.step
        if progress.frame is not None:
            path = step.make_inner_path(progress.current_index)
            self.move(progress.frame, fields["frame"], at.enter(old.body, new.body, path))
        for (index, fork), (_, fork_fields) in zip(progress.forks.items(), fields["forks"], strict=True):
            self._move_fork(fork, fork_fields, at.enter(old.body, new.body, step.make_inner_path(index)))
        return []

    def _move_fork(self, fork: Fork, fields: dict[str, Any], at: Position) -> None:
        self.move(fork.frame, fields["frame"], at)
        self.move_data(fork.data, fields["data"])
        fields["data"]["steps"] = self.rename_steps(fields["data"]["steps"])

    def _move_ended(self, entry: list[Any], at: Position) -> list[Any]:
        collected, error, exits, variables, steps = entry
        return [collected, error, self._move_exits(exits, at, is_inside=False), variables, self.rename_steps(steps)]

    def _move_parallel(
        self, progress: ParallelFrame, fields: dict[str, Any], old: Parallel, new: Parallel, at: Position
    ) -> list[str]:
        reasons = self._compare_parallels(progress, old, new)
        if reasons:
            return reasons
        for _, result in fields["results"]:
            result["left"] = self._move_exits(result["left"], at, is_inside=False)
            result["steps"] = self.rename_steps(result["steps"])
        for (index, fork), (_, fork_fields) in zip(progress.forks.items(), fields["forks"], strict=True):
            scopes = old.branches[index].scope, new.branches[index].scope
            self._move_fork(fork, fork_fields, at.enter(*scopes, progress.step.make_inner_path(index)))
        return []

    def _compare_parallels(self, progress: ParallelFrame, old: Parallel, new: Parallel) -> list[str]:
        reasons = []
        if progress.is_busy or progress.children:
            reasons.append("its branches are under way as child workflows: let them end first")
        if old.inline != new.inline:
            reasons.append("its `mode` differs")
        if old.join != new.join:
            reasons.append("its `join` differs: it counts branches that have ended")
        firsts = [[self.rename(name) for name in _list_entries(branch.scope)] for branch in old.branches]
        others = [_list_entries(branch.scope) for branch in new.branches]
        if others[: len(firsts)] != firsts:
            reasons.append("its branches differ: they may only be added behind the others")
        return reasons


def _compare_loops(progress: LoopFrame, old: Loop, new: Loop) -> list[str]:
    reasons = []
    if (old.max_concurrency == 1) != (new.max_concurrency == 1):
        reasons.append("its iterations run in sequence in one version, and at the same time in the other")
    if old.item != new.item:
        reasons.append("its `item_variable` differs")
    if old.batch_size != new.batch_size:
        reasons.append("its `batch_size` differs: its items are counted in batches")
    if progress.batches is not None:
        reasons.append("its batches are under way as child workflows: let them end first")
    if progress.again:
        reasons.append("its failed iterations run again first: let them end")
    return reasons


def _move_wait(progress: WaitFrame, fields: dict[str, Any], old: Wait, new: Wait) -> list[str]:
    """Rewrite a wait: it keeps its end, and what it was rendered with."""
    pairs = (("event", old.event, new.event), ("key", old.key, new.key))
    reasons = [f"its `{name}` differs" for name, before, after in pairs if before != after]
    if (old.approval is None) != (new.approval is None):
        reasons.append("it is an approval in one version only")
    if old.approval is None or new.approval is None:
        return reasons
    waits = progress.step.waiting_for or {}
    shown = {**waits.get("approval", {}), "fields": list(new.approval.fields)}
    fields["step"] = {**fields["step"], "waiting_for": {**waits, "approval": shown}}
    if new.approval.reminder is None:
        fields.pop("remind_at", None)
    return reasons


def _index(scope: Scope) -> dict[str, int]:
    return {node.id: rank for rank, node in enumerate(scope.nodes)}


def _find(scope: Scope, node_id: str) -> AnyNode | None:
    return next((node for node in scope.nodes if node.id == node_id), None)


def _list_entries(scope: Scope) -> list[str]:
    return [scope.nodes[rank].id for rank in scope.entries]


def _has_port(node: AnyNode, port: str) -> bool:
    """Return whether a node may be left by a port; where it has no edge, the path ends there."""
    match port:
        case "error":
            return node.error_port
        case "next" | "true" | "false" | "timeout" | "default":
            return True  # the kind is the same, and has it
        case _:
            return isinstance(node, Switch) and port in [case.port for case in node.cases]
