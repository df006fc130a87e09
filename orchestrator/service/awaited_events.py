"""Check events before they are sent to a run: whether its plan waits for them, and their payloads fit.

A plan is read as JSON, because a newer release may have written it. No I/O here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import DefinitionInvalid, OperationRefused
from orchestrator.jsontools import schema
from orchestrator.jsontools.suggestions import did_you_mean, join_names

MAX_NAMES = 20
"""Names in a hint."""


@dataclass(frozen=True, slots=True)
class AwaitedEvents:
    """The events that the `wait` nodes of a plan name."""

    schemas: Mapping[str, tuple[Any, ...]]
    """By name, the JSON Schema of each wait; `None` for one that accepts every payload."""
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


def collect_awaited_events(plan: Mapping[str, Any]) -> AwaitedEvents:
    """Return the events that a plan waits for."""
    schemas: dict[str, tuple[Any, ...]] = {}
    has_computed_names = False
    for node in _iterate_waits(plan):
        for name in map(str, node["event"] if isinstance(node["event"], list) else [node["event"]]):
            has_computed_names |= "{{" in name
            schemas[name] = (*schemas.get(name, ()), node.get("payload_schema"))
    return AwaitedEvents(schemas, has_computed_names)


def _iterate_waits(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    scopes = [plan["scope"]]
    while scopes:
        for node in scopes.pop().get("nodes", ()):
            if node["kind"] == "wait":
                yield node
            scopes += [node["body"]] if "body" in node else [branch["scope"] for branch in node.get("branches", ())]
