"""Measure what runs of a definition have covered: nodes that ran, edges that were followed, branches that were taken.

A branch is an outcome where there is a choice:

    condition, switch   each port, used or not
    wait                `next` and `timeout`, where it has one
    when                `when` (it ran) and `skipped`
    error edge          `next` and `error`
    on_error            `handled`: it failed, and its policy decided
    compensate          `compensate`: it was undone
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from orchestrator.model.plan import Action, Call, Condition, Loop, Node, Parallel, Plan, Scope, Switch, Wait
from orchestrator.model.plan_nodes import iterate_nodes
from orchestrator.model.run import StepDocument

KeyT = TypeVar("KeyT")
START = "trigger"
NEXT = "next"
COMPENSATION = "/compensate"

Edge = tuple[str, str, str]
"""Source, port, target."""
Branch = tuple[str, str]
"""Node and outcome."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What there is to cover in a definition, each with whether it was."""

    nodes: dict[str, bool] = field(default_factory=dict)
    edges: dict[Edge, bool] = field(default_factory=dict)
    branches: dict[Branch, bool] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers, and what is missing."""
        edges = [dict(zip(("source", "port", "target"), edge, strict=True)) for edge in list_missing(self.edges)]
        branches = [{"node_id": node_id, "branch": name} for node_id, name in list_missing(self.branches)]
        return {
            "nodes": {**_count(self.nodes), "missing": list_missing(self.nodes)},
            "edges": {**_count(self.edges), "missing": edges},
            "branches": {**_count(self.branches), "missing": branches},
        }


def list_missing(parts: Mapping[KeyT, bool]) -> list[KeyT]:
    """Return the parts that are not covered."""
    return [key for key, is_covered in parts.items() if not is_covered]


def _count(parts: Mapping[Any, bool]) -> dict[str, int]:
    return {"covered": sum(parts.values()), "total": len(parts)}


def measure_coverage(plan: Plan, steps: Iterable[StepDocument]) -> Coverage:
    """Return what steps, of any number of runs of a plan, have covered."""
    nodes = {node.id: node for node in iterate_nodes(plan.scope)}
    ran: set[str] = set()
    reached: set[str] = set()
    left: set[Branch] = set()
    taken: set[Branch] = set()
    for step in steps:
        node = nodes[step.node_id]
        if step.id.endswith(COMPENSATION):
            taken.add((node.id, "compensate"))
            continue
        reached.add(node.id)
        if not is_skipped_by_when(step):
            ran.add(node.id)
        port = find_port(node, step)
        if port is not None:
            left.add((node.id, port))
        taken.update((node.id, name) for name in _list_taken(node, step, port))
    return Coverage(
        {node_id: node_id in ran for node_id in nodes},
        {
            edge: edge[2] in reached if edge[0] == START or edge[1] in ("body", "branch") else edge[:2] in left
            for edge in _list_edges(plan)
        },
        {branch: branch in taken for node in nodes.values() for branch in _list_branches(node)},
    )


def is_skipped_by_when(step: StepDocument) -> bool:
    """Return whether the `when` of a node was false."""
    return isinstance(step.decision, Mapping) and step.decision.get("port") == "skipped"


def find_port(node: Node, step: StepDocument) -> str | None:
    """Return the port by which a step left its node; `None` where its path ended there."""
    if step.completed_at is None or step.status in ("cancelled", "running", "waiting", "retrying"):
        return None
    if step.status == "failed":
        return "error" if node.error_port and node.on_error is None else None
    if step.status == "skipped" or step.error is not None:
        return NEXT
    match node:
        case Condition() | Switch():
            return str(step.decision["port"]) if isinstance(step.decision, Mapping) else None
        case Wait():
            return "timeout" if step.output_data.get("timed_out") is True else NEXT
        case _:
            return NEXT


def _list_taken(node: Node, step: StepDocument, port: str | None) -> Iterator[str]:
    if node.when is not None:
        yield "skipped" if is_skipped_by_when(step) else "when"
    if step.error is not None and node.on_error is not None:
        yield "handled"
    elif port is not None and not is_skipped_by_when(step):
        yield port


def _list_branches(node: Node) -> Iterator[Branch]:
    """Yield the outcomes of a node, where there is a choice."""
    names: list[str] = []
    match node:
        case Condition():
            names += ["true", "false"]
        case Switch():
            names += [*dict.fromkeys(case.port for case in node.cases), "default"]
        case Wait() if node.timeout_seconds is not None:
            names += [NEXT, "timeout"]
    if node.error_port and node.on_error is None:
        names += [*(() if names else (NEXT,)), "error"]
    if node.when is not None:
        names += ["when", "skipped"]
    if node.on_error is not None:
        names.append("handled")
    if isinstance(node, Action | Call) and node.compensate is not None:
        names.append("compensate")
    yield from ((node.id, name) for name in names)


def _list_edges(plan: Plan) -> Iterator[Edge]:
    """Yield the edges of a plan; those that end the path of an iteration lead nowhere and are not among them."""
    yield from _list_entries(START, NEXT, plan.scope)
    scopes = [plan.scope]
    while scopes:
        scope = scopes.pop()
        for node in scope.nodes:
            for port, ranks in node.ports.items():
                yield from ((node.id, port, scope.nodes[rank].id) for rank in ranks)
            for port, names in node.exits.items():
                yield from ((node.id, port, name) for name in names)
            if isinstance(node, Loop):
                yield from _list_entries(node.id, "body", node.body)
                scopes.append(node.body)
            elif isinstance(node, Parallel):
                for branch in node.branches:
                    yield from _list_entries(node.id, "branch", branch.scope)
                    scopes.append(branch.scope)


def _list_entries(owner: str, port: str, scope: Scope) -> Iterator[Edge]:
    entries = [scope.nodes[rank] for rank in scope.entries]
    yield from ((owner, port, node.id) for node in entries if node.kind != "trigger")
    yield from ((owner, port, name) for name in scope.exits)
