"""Check events before they are sent to a run: whether its plan waits for them, and their payloads fit.

A plan is read as JSON, because a newer release may have written it. No I/O here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import DefinitionInvalid, OperationRefused
from orchestrator.jsontools import schema
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.model.run import StepDocument

MAX_NAMES = 20
"""Names in a hint."""


@dataclass(frozen=True, slots=True)
class AwaitedEvents:
    """The events that the `wait` nodes of a plan name."""

    schemas: Mapping[str, tuple[Any, ...]]
    """By name, the JSON Schema of each wait; `None` for one that accepts every payload."""
    single: Mapping[str, tuple[str, ...]]
    """By name, the ids of its `wait` nodes, where each of them can run once at most."""
    has_computed_names: bool
    """Some wait computes its name, so that it may be any."""

    def require_fit(self, name: str, payload: Any) -> None:
        """Raise OperationRefused where no wait has that name, DefinitionInvalid where the payload fits none of them."""
        if self.has_computed_names:
            return
        if name not in self.schemas:
            known = join_names(list(self.schemas)[:MAX_NAMES])
            hint = did_you_mean(name, self.schemas) or (f"it waits for {known}" if known else "it has no `wait` node")
            raise OperationRefused(f"the workflow of this run waits for no event {name!r:.60}", hint=hint)
        mismatches = [
            schema.find_problems(wanted, payload) if wanted is not None else [] for wanted in self.schemas[name]
        ]
        if all(mismatches):
            raise DefinitionInvalid(problem for problems in mismatches for problem in problems)

    def find_answer(self, name: str, steps: Iterable[StepDocument]) -> StepDocument | None:
        """Return the step that was the first to end where all waits for an event have ended; `None` where none is left.

        A wait in a loop or a cycle may come again.
        """
        waits = self.single.get(name, ()) if not self.has_computed_names else ()
        ended = {step.node_id: step for step in steps if step.node_id in waits and step.completed_at is not None}
        if not waits or len(ended) < len(waits):
            return None
        return min(ended.values(), key=lambda step: str(step.completed_at))


def collect_awaited_events(plan: Mapping[str, Any]) -> AwaitedEvents:
    """Return the events that a plan waits for."""
    schemas: dict[str, tuple[Any, ...]] = {}
    single: dict[str, tuple[str, ...]] = {}
    repeated: set[str] = set()
    has_computed_names = False
    for node, repeats in _iterate_waits(plan):
        for name in map(str, node["event"] if isinstance(node["event"], list) else [node["event"]]):
            has_computed_names |= "{{" in name
            schemas[name] = (*schemas.get(name, ()), node.get("payload_schema"))
            single[name] = (*single.get(name, ()), node["id"])
            repeated |= {name} if repeats else set()
    return AwaitedEvents(schemas, {name: single[name] for name in single if name not in repeated}, has_computed_names)


def _iterate_waits(plan: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Yield each `wait` node of a plan, and whether it may run more than once."""
    scopes = [(plan["scope"], bool(plan.get("rewinds")))]
    while scopes:
        scope, repeats = scopes.pop()
        nodes = scope.get("nodes", ())
        repeats = repeats or _has_cycle(nodes)
        for node in nodes:
            if node["kind"] == "wait":
                yield node, repeats
            if "body" in node:
                scopes.append((node["body"], True))
            scopes += [(branch["scope"], repeats) for branch in node.get("branches", ())]


def find_wait(plan: Mapping[str, Any], node_id: str) -> tuple[Mapping[str, Any], int] | None:
    """Return a `wait` node of a plan and the number of loops and parallels around it; `None` where it has none."""
    scopes = [(plan["scope"], 0)]
    while scopes:
        scope, depth = scopes.pop()
        for node in scope.get("nodes", ()):
            if node["kind"] == "wait" and node["id"] == node_id:
                return node, depth
            if "body" in node:
                scopes.append((node["body"], depth + 1))
            scopes += [(branch["scope"], depth + 1) for branch in node.get("branches", ())]
    return None


def _has_cycle(nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether some edge leads back: nodes are in order of their ranks."""
    return any(
        target <= rank
        for rank, node in enumerate(nodes)
        for targets in node.get("ports", {}).values()
        for target in targets
    )
