"""The variables and step results of one flow of control, and the undo log that going back needs. Replay-sensitive.

`retry_from` and an operator go back to a node: what it and later nodes have set must be undone. Where the plan has any
of them, the undo log has one entry for each node's first start, and an entry has the old value of each name set since,
up to the next entry. With nodes a, b, c in sequence, where a sets x = 1 and b sets x = 2 and y = 5, the log after c has
started is

    key   step  variables               steps          changes       exits   first set
    /a    1     x: missing              a: missing     a started     0       x
    /b    2     x: 1, y: missing        b: missing     -             0       y
    /c    3     -                       -              -             0       -

`changes` is the difference of the active ranks to those of the entry before, in the same pass through a scope: b was
activated and started in between, which cancels out.

To go back to b, entries are taken off the end and their values put back, that of b last: x is 1 again, y and the
results of b and c are gone, a's entry stays. Inside an entry the oldest value of a name wins, so a node that is
passed a hundred times costs one entry. A name that was not there is recorded as `MISSING`. Only what a flow has set
is its output: `first set` are the names that count as set no longer when the entry is undone.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.interpreter.rank_changes import (
    RankChanges,
    changes_from_json,
    changes_to_json,
    undo_changes,
)

if TYPE_CHECKING:
    from orchestrator.interpreter.frames import Frame

MISSING: Any = {"__missing__": True}
"""Old value of a name that did not exist; JSON, because the log is carried over continue-as-new."""


@dataclass(slots=True)
class UndoEntry:
    """What a flow knew when a node started for the first time, as far as it has changed since."""

    key: str
    """`<path>/<node id>`."""
    step_number: int
    variables: dict[str, Any]
    """Old values, by name."""
    steps: dict[str, Any]
    """Old values of `steps.<id>`, by node id."""
    changes: RankChanges
    """What changed in the active ranks of the node's scope since the entry before of the same pass, or its start."""
    exits: int
    """Number of nodes outside the scope that its paths had reached."""
    first_set: dict[str, None] = field(default_factory=dict)
    """Names that the flow has set for the first time since; before, it had at most inherited them."""
    begun: int = 0
    """Number of steps that have begun since, also in flows beside this one that it waits for."""
    ended: int = 0
    """How many of them have ended."""

    @property
    def path(self) -> str:
        """Return the path of the pass through a scope that the node started in."""
        return self.key.rpartition("/")[0]

    def to_json(self) -> list[Any]:
        """Return the entry as it is carried over continue-as-new."""
        changes = changes_to_json(self.changes)
        entry = [self.key, self.step_number, self.variables, self.steps, changes, self.exits]
        counts = [list(self.first_set), self.begun, self.ended]
        return [*entry, *counts] if any(counts) else entry

    @classmethod
    def from_json(cls, entry: Sequence[Any]) -> "UndoEntry":
        """Read what `to_json` wrote."""
        key, step_number, variables, steps, changes, exits, *more = entry
        first_set, *counts = more or ((),)
        before = changes_from_json(changes)
        return cls(key, step_number, dict(variables), dict(steps), before, exits, dict.fromkeys(first_set), *counts)

    def absorb(self, later: "UndoEntry") -> None:
        """Take over the old values of the entry after this one, which is dropped."""
        self.variables = {**later.variables, **self.variables}
        self.steps = {**later.steps, **self.steps}
        self.first_set.update(later.first_set)
        self.begun += later.begun
        self.ended += later.ended


@dataclass(frozen=True, slots=True)
class Rewound:
    """The steps that going back takes off the record."""

    step_number: int
    """Number of the first one."""
    begun: int = 0
    """How many there are."""
    ended: int = 0
    """How many of them have ended."""


@dataclass(slots=True)
class Data:
    """The variables and step results that one flow of control sees and sets."""

    context: dict[str, Any]
    changed: dict[str, None] = field(default_factory=dict)
    """Names that `outputs` and `set` have set, in order."""
    steps_changed: dict[str, None] = field(default_factory=dict)
    undo_log: list[UndoEntry] | None = None
    """`None` where nothing can go back, so that nothing is recorded."""
    parent: "Data | None" = field(default=None, repr=False, compare=False)
    """That of the flow which this one was forked from."""
    marked: set[str] = field(init=False)
    """The keys in the undo log."""

    def __post_init__(self) -> None:
        """Index the undo log."""
        self.marked = {entry.key for entry in self.undo_log or ()}

    def set(self, name: str, value: Any) -> None:
        """Set a variable."""
        if self.undo_log:
            self.undo_log[-1].variables.setdefault(name, self.context.get(name, MISSING))
            if name not in self.changed:
                self.undo_log[-1].first_set[name] = None
        self.context[name] = value
        self.changed[name] = None

    def set_step(self, node_id: str, status: str, output: Any, error: Any) -> None:
        """Set what `steps.<id>` shows; `error` is JSON."""
        steps = self.context["steps"]
        if self.undo_log:
            self.undo_log[-1].steps.setdefault(node_id, steps.get(node_id, MISSING))
        steps[node_id] = {"status": status, "output": output, "error": error}
        self.steps_changed[node_id] = None

    def forget_steps(self, node_ids: Iterable[str]) -> None:
        """Remove step results: an iteration begins without those of the iteration before."""
        steps = self.context["steps"]
        for node_id in node_ids:
            if node_id in steps:
                if self.undo_log:
                    self.undo_log[-1].steps.setdefault(node_id, steps[node_id])
                del steps[node_id]

    def shadow(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the values that the variables of a loop are about to hide, to be restored when it has ended."""
        shadowed = {name: self.context.get(name, MISSING) for name in names}
        if self.undo_log:
            # Else a body that sets its loop variable would record an item as the value from before the loop.
            self.undo_log[-1].variables = {**shadowed, **self.undo_log[-1].variables}
        return shadowed

    def unshadow(self, shadowed: Mapping[str, Any], set_before: Container[str]) -> None:
        """Restore what the variables of a loop have hidden, even if the body has set them."""
        restore(self.context, shadowed)
        for name in shadowed:
            if name not in set_before:
                self.changed.pop(name, None)

    def fork(self) -> "Data":
        """Return a copy for a concurrent flow: it sees the same and sets without disturbing this one."""
        # Its undo log is its own and starts empty: going back ends at the border of a branch or an iteration.
        context = dict(self.context)
        context["steps"] = dict(context["steps"])
        return Data(context, undo_log=None if self.undo_log is None else [], parent=self)

    def to_difference(self, parent: "Data") -> dict[str, Any]:
        """Return a fork as it is carried over continue-as-new: what it has not, or not the same as its parent.

        The parent has not changed since: it waits until its forks have ended.
        """
        return {
            "variables": _compare(self.context, parent.context),
            "steps": _compare(self.context["steps"], parent.context["steps"]),
            "changed": list(self.changed),
            "steps_changed": list(self.steps_changed),
            "journal": undo_log_to_json(self.undo_log),
        }

    @classmethod
    def from_difference(cls, fields: Mapping[str, Any], parent: "Data") -> "Data":
        """Read what `to_difference` wrote."""
        context = dict(parent.context)
        context["steps"] = dict(context["steps"])
        restore(context, fields["variables"])
        restore(context["steps"], fields["steps"])
        changed, steps_changed = dict.fromkeys(fields["changed"]), dict.fromkeys(fields["steps_changed"])
        return cls(context, changed, steps_changed, undo_log_from_json(fields["journal"]), parent)

    def merge(self, variables: Mapping[str, Any], steps: Mapping[str, Any]) -> None:
        """Set what a concurrent flow has set."""
        for name, value in variables.items():
            self.set(name, value)
        for node_id, entry in steps.items():
            self.set_step(node_id, entry["status"], entry["output"], entry["error"])

    def collect_variables(self) -> dict[str, Any]:
        """Return the variables that `outputs` and `set` have set."""
        return {name: self.context.get(name) for name in self.changed}

    def collect_steps(self) -> dict[str, Any]:
        """Return the step results that this flow has set."""
        steps = self.context["steps"]
        return {node_id: steps[node_id] for node_id in self.steps_changed if node_id in steps}

    def mark(self, key: str, step_number: int, frame: "Frame") -> None:
        """Open an entry of the undo log at the first start of a node."""
        if self.undo_log is not None and key not in self.marked:
            self.marked.add(key)
            self.undo_log.append(UndoEntry(key, step_number, {}, {}, frame.changes, len(frame.exits)))
            frame.changes = {}

    def count_step(self, number: int, *, begun: int = 0, ended: int = 0) -> None:
        """Count what has become of a step, here and in the flows around: going back takes it off the record."""
        flow: Data | None = self
        while flow is not None:
            # A step that ends may have begun before the newest entry.
            entry = next((entry for entry in reversed(flow.undo_log or ()) if entry.step_number <= number), None)
            if entry is not None:
                entry.begun += begun
                entry.ended += ended
            flow = flow.parent

    def rewind(self, key: str, frame: "Frame") -> Rewound | None:
        """Undo everything since `mark(key)`; return `None` if the node never started."""
        if self.undo_log is None or key not in self.marked:
            return None
        path = key.rpartition("/")[0]
        begun = ended = 0
        while True:
            entry = self.undo_log.pop()
            begun += entry.begun
            ended += entry.ended
            self.marked.discard(entry.key)
            restore(self.context, entry.variables)
            restore(self.context["steps"], entry.steps)
            for name in entry.first_set:
                self.changed.pop(name, None)
            # Entries of inner passes are about frames of their own, which are dropped with their loop.
            if entry.path == path:
                frame.active, frame.changes = undo_changes(frame.active, frame.changes), entry.changes
            if entry.key == key:
                self.changed = {name: None for name in self.changed if name in self.context}
                del frame.exits[entry.exits :]
                if self.parent is not None:
                    self.parent.count_step(entry.step_number, begun=-begun, ended=-ended)
                return Rewound(entry.step_number, begun, ended)

    def settle(self, prefix: str) -> None:
        """Fold the entries of a finished iteration into the one before: nothing can go back into the iteration."""
        # Folded, not dropped: going back to a node before the loop has to restore what the iteration has
        # overwritten.
        while self.undo_log and self.undo_log[-1].key.startswith(prefix):
            entry = self.undo_log.pop()
            self.marked.discard(entry.key)
            if self.undo_log:
                self.undo_log[-1].absorb(entry)


def undo_log_to_json(undo_log: Sequence[UndoEntry] | None) -> list[list[Any]] | None:
    """Return an undo log as it is carried over continue-as-new."""
    return None if undo_log is None else [entry.to_json() for entry in undo_log]


def undo_log_from_json(entries: Sequence[Sequence[Any]] | None) -> list[UndoEntry] | None:
    """Read what `undo_log_to_json` wrote."""
    return None if entries is None else [UndoEntry.from_json(entry) for entry in entries]


def _compare(values: Mapping[str, Any], inherited: Mapping[str, Any]) -> dict[str, Any]:
    """Return what turns inherited values into these; a value that was not set since is the same object."""
    missing = dict.fromkeys((name for name in inherited if name not in values), MISSING)
    own = {name: value for name, value in values.items() if inherited.get(name, MISSING) is not value}
    own.pop("steps", None)
    return missing | own


def restore(target: dict[str, Any], old: Mapping[str, Any]) -> None:
    """Put old values back and remove names that were missing."""
    for name, value in old.items():
        if value == MISSING:
            target.pop(name, None)
        else:
            target[name] = value
