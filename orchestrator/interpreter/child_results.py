"""What is kept of branches and batches that have ended, while their node runs. Replay-sensitive.

The keys that `to_json` writes are read by later releases: they do not follow a renamed field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.interpreter.effects import BranchResult
from orchestrator.model.run import ErrorDocument


@dataclass(frozen=True, slots=True)
class BatchEnd:
    """A batch that has ended."""

    count: int
    """Number of its iterations that have ended."""
    failed: int
    errors: list[dict[str, Any]] = field(default_factory=list)
    """`{index, error}` of its first failed iterations."""
    items: list[Any] = field(default_factory=list)
    """What it has collected."""
    exits: tuple[str, ...] = ()
    """Nodes outside the body that its iterations have reached."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """What its iterations have set."""
    steps: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_result(cls, result: BranchResult, node_id: str) -> "BatchEnd":
        """Read what the child workflow of a batch has returned."""
        steps = dict(result.steps)
        output = steps.pop(node_id, {}).get("output") or {}
        return cls(
            output.get("count", 0),
            output.get("failed", 0),
            output.get("errors", []),
            output.get("items", []),
            result.exits,
            result.variables,
            steps,
            tuple(output.get("warnings", ())),
        )

    def to_json(self) -> list[Any]:
        """Return the end as a rerun begins with it, where an earlier batch is to continue."""
        counts = [self.count, self.failed, self.errors, self.items]
        return [*counts, list(self.exits), self.variables, self.steps, list(self.warnings)]

    @classmethod
    def from_json(cls, entry: list[Any]) -> "BatchEnd":
        """Read what `to_json` wrote."""
        count, failed, errors, items, exits, variables, steps, warnings = entry
        return cls(count, failed, errors, items, tuple(exits), variables, steps, tuple(warnings))


@dataclass(slots=True)
class Batches:
    """The batches of a wide loop; those before the loop's `index` are in its counts."""

    ended: dict[int, BatchEnd] = field(default_factory=dict)
    """Those that have ended before an earlier one has, by their position."""
    stopped: list[BatchEnd] = field(default_factory=list)
    """Those that more failures have stopped than `max_failures` allows: the loop is about to fail."""
    children: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What batches begin with that a rerun continues: `{state, inbox, …}`."""
    running: int = 0
    """Number of child workflows: they have to end before the run can be written down."""

    @property
    def are_kept(self) -> bool:
        """Whether some of them are not in the counts of the loop: in a run that continues as new there are none."""
        return bool(self.ended or self.children)

    def to_json(self) -> dict[str, Any]:
        """Return the batches that are not in the counts of the loop."""
        return {
            "ended": [[index, end.to_json()] for index, end in self.ended.items()],
            "children": [[index, child] for index, child in self.children.items()],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Batches":
        """Read what `to_json` wrote."""
        ended = {index: BatchEnd.from_json(entry) for index, entry in fields["ended"]}
        return cls(ended, children=dict(fields["children"]))


def branch_to_json(result: BranchResult) -> dict[str, Any]:
    """Return the result of an inline branch: what it owes to undo is in the state of the run already."""
    return {
        "status": result.status,
        "output": result.output,
        "variables": result.variables,
        "steps": result.steps,
        "left": list(result.exits),
        "error": result.error and result.error.to_json(),
    }


def branch_from_json(fields: Mapping[str, Any]) -> BranchResult:
    """Read what `branch_to_json` wrote."""
    return BranchResult(
        fields["status"],
        output=fields["output"],
        variables=fields["variables"],
        steps=fields["steps"],
        exits=tuple(fields["left"]),
        error=fields["error"] and ErrorDocument.from_json(fields["error"]),
    )
