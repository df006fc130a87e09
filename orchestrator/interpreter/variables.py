"""The variables and step results of one flow of control, with what going back needs. Replay-sensitive."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.interpreter.frames import Frame

MISSING: Any = {"__missing__": True}
"""Stands in a journal for a name that was not there."""


@dataclass(slots=True)
class Data:
    """The variables and step results that one flow of control sees and sets."""

    context: dict[str, Any]
    changed: dict[str, None] = field(default_factory=dict)
    """Names that `outputs` and `set` have set, in order."""
    steps_changed: dict[str, None] = field(default_factory=dict)
    journal: list[list[Any]] | None = None
    """For going back: `[[node key, step number, {name: old}, {step: old}, active ranks, nodes left], …]`;
    in each entry the oldest value of a name wins."""
    marked: set[str] = field(init=False)
    """The node keys in the journal."""

    def __post_init__(self) -> None:
        """Know what is in the journal."""
        self.marked = {entry[0] for entry in self.journal or ()}

    def set(self, name: str, value: Any) -> None:
        """Set a variable."""
        if self.journal:
            self.journal[-1][2].setdefault(name, self.context.get(name, MISSING))
        self.context[name] = value
        self.changed[name] = None

    def set_step(self, node_id: str, status: str, output: Any, error: Any) -> None:
        """Record what `steps.<id>` shows; `error` is JSON."""
        steps = self.context["steps"]
        if self.journal:
            self.journal[-1][3].setdefault(node_id, steps.get(node_id, MISSING))
        steps[node_id] = {"status": status, "output": output, "error": error}
        self.steps_changed[node_id] = None

    def fork(self) -> "Data":
        """Give a flow beside this one the same view; it sets without disturbing this one."""
        context = dict(self.context)
        context["steps"] = dict(context["steps"])
        return Data(context, journal=None if self.journal is None else [])

    def merge(self, variables: Mapping[str, Any], steps: Mapping[str, Any]) -> None:
        """Take over what a flow beside this one set."""
        for name, value in variables.items():
            self.set(name, value)
        for node_id, entry in steps.items():
            self.set_step(node_id, entry["status"], entry["output"], entry["error"])

    def variables(self) -> dict[str, Any]:
        """Give what `outputs` and `set` have set."""
        return {name: self.context.get(name) for name in self.changed}

    def own_steps(self) -> dict[str, Any]:
        """Give the step results that this flow has set."""
        steps = self.context["steps"]
        return {node_id: steps[node_id] for node_id in self.steps_changed}

    def mark(self, key: str, number: int, frame: "Frame") -> None:
        """Remember this moment as the first start of a node, to go back to."""
        if self.journal is not None and key not in self.marked:
            self.marked.add(key)
            self.journal.append([key, number, {}, {}, list(frame.active), list(frame.left)])

    def rewind(self, key: str, frame: "Frame") -> int | None:
        """Undo everything since `mark(key)`; give the step number of then, or `None` if it never started."""
        if self.journal is None or key not in self.marked:
            return None
        while True:
            name, number, variables, steps, active, left = self.journal.pop()
            self.marked.discard(name)
            restore(self.context, variables)
            restore(self.context["steps"], steps)
            if name == key:
                self.changed = {name: None for name in self.changed if name in self.context}
                frame.active, frame.left = list(active), list(left)
                return int(number)

    def settle(self, prefix: str) -> None:
        """Forget the marks inside an iteration that has ended; what they kept goes to the mark before."""
        while self.journal and self.journal[-1][0].startswith(prefix):
            name, _, variables, steps, _, _ = self.journal.pop()
            self.marked.discard(name)
            if self.journal:
                before = self.journal[-1]
                before[2], before[3] = {**variables, **before[2]}, {**steps, **before[3]}

    def keep(self, keys: Container[str]) -> None:
        """Forget all marks but these; what the others kept goes to the mark before."""
        kept: list[list[Any]] = []
        for entry in self.journal or ():
            if entry[0] in keys:
                kept.append(entry)
            elif kept:
                before = kept[-1]
                before[2], before[3] = {**entry[2], **before[2]}, {**entry[3], **before[3]}
        if self.journal is not None:
            self.journal[:] = kept
            self.marked = {entry[0] for entry in kept}


def restore(target: dict[str, Any], old: Mapping[str, Any]) -> None:
    """Put old values back; what was missing goes."""
    for name, value in old.items():
        if value == MISSING:
            target.pop(name, None)
        else:
            target[name] = value
