"""Turn a drawing into a tree of scopes: the nodes of each scope by rank, and the lines to draw in it.

An edge that leaves its scope becomes two lines, as a run follows it (SPEC §2.4): one to the bottom of its scope, where
the path ends, and one from the loop or parallel on, which is followed once, when that has ended.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from orchestrator.drawing.diagram import Drawing
from orchestrator.drawing.layout import EdgeKind, MarkKind
from orchestrator.drawing.wording import describe_condition, describe_node, describe_trigger, list_marks
from orchestrator.errors import OperationRefused
from orchestrator.model.definition import TRIGGER, Definition, Node
from orchestrator.model.node_types import KINDS, list_ports
from orchestrator.planner.graph import NEXT
from orchestrator.planner.regions import Region

MAX_COORDINATE = 1_000_000.0
MAX_SCOPES = 50_000
MAX_PATHS = 10_000_000
"""Characters of the paths of all nodes: with thousands of levels they grow with the square of their number."""
SMALLER = "move parts of it into workflows that it calls"


@dataclass(slots=True, eq=False)
class TreeNode:
    """A node, in words."""

    id: str
    type: str
    name: str
    detail: str = ""
    description: str = ""
    marks: list[tuple[MarkKind, str]] = field(default_factory=list)
    ports: tuple[str, ...] = (NEXT,)
    position: tuple[float, float] | None = None
    scopes: list["TreeScope"] = field(default_factory=list)
    folded: tuple[str, ...] = ()
    """IDs of the nodes that it holds and that are not drawn."""


@dataclass(slots=True, eq=False)
class TreeEdge:
    """A line between two nodes of a scope, or between a node and the top or bottom of its scope."""

    kind: EdgeKind
    source: TreeNode
    port: str
    target: TreeNode
    label: str = ""


@dataclass(slots=True, eq=False)
class TreeScope:
    """The workflow, the body of a loop, or a branch."""

    path: str
    title: str = ""
    owner: TreeNode | None = None
    parent: "TreeScope | None" = None
    depth: int = 0
    nodes: list[TreeNode] = field(default_factory=list)
    """By rank."""
    edges: list[TreeEdge] = field(default_factory=list)


class TreeBuilder:
    """Builds the tree of one definition."""

    def __init__(self, definition: Definition, drawing: Drawing) -> None:
        self.definition = definition
        self.drawing = drawing
        self.nodes: dict[str, TreeNode] = {}
        self.scope_of: dict[str, TreeScope] = {}
        self.whole = TreeScope("")
        self.scopes = [self.whole]
        """Each before those inside it."""
        self.onward: dict[tuple[str, str], None] = {}
        self.size = 0
        """Characters of the paths of all nodes."""

    def build(self) -> list[TreeScope]:
        """Return all scopes, each before those inside it."""
        self._add_nodes()
        for (source, port, target), label in self.drawing.edges.items():
            self._add_edge(source, port, target, label)
        direct = {(edge.source.id, edge.target.id) for edge in self.whole_edges() if edge.port == NEXT}
        for source, target in self.onward:
            if (source, target) not in direct:
                self.scope_of[source].edges.append(TreeEdge("onward", self.nodes[source], "", self.nodes[target]))
        return self.scopes

    def whole_edges(self) -> Iterator[TreeEdge]:
        """Yield the edges of all scopes."""
        for scope in self.scopes:
            yield from scope.edges

    @cached_property
    def starts(self) -> bool:
        """Whether the start is drawn: not where nodes of type `trigger` are the only starts."""
        return not self.drawing.structure.starts or any(source == TRIGGER for source, _, _ in self.drawing.edges)

    def _add_nodes(self) -> None:
        if self.starts:
            kind, event = describe_trigger(self.definition.trigger)
            title, detail = (event, kind) if event else (kind, "")
            self._add_node(TreeNode(TRIGGER, "trigger", str(title), str(detail)), self.whole)
        structure, found = self.drawing.structure, self.drawing.regions
        scopes = {id(found.whole): self.whole}
        regions = sorted((each for listed in found.inside.values() for each in listed), key=lambda each: each.depth)
        self._add_members([structure.nodes[number] for number in found.whole.ranked], self.whole)
        for region in regions:
            if region.parent is None:
                continue
            scope = self._make_scope(region, scopes[id(region.parent)])
            scopes[id(region)] = scope
            self._add_members([structure.nodes[number] for number in region.ranked], scope)
            self._add_entries(region, scope)
        self._add_members([node for key, node in self.drawing.nodes.items() if key not in self.nodes], self.whole)
        for key in self.drawing.missing:
            self._add_node(TreeNode(key, "missing", key, "no such node"), self.whole)

    def _make_scope(self, region: Region, parent: TreeScope) -> TreeScope:
        owner = self.nodes[self.drawing.structure.nodes[region.owner or 0].id]
        index = "" if region.port == "body" else region.port.removeprefix("branch ")
        name = f"{owner.id}[{index}]" if index else owner.id
        path = f"{parent.path}/{name}" if parent.path else name
        title = f"branch {int(index) + 1}" if index else ""
        scope = TreeScope(path, title, owner, parent, parent.depth + 1)
        owner.scopes.append(scope)
        self.scopes.append(scope)
        if len(self.scopes) > MAX_SCOPES:
            raise OperationRefused(f"cannot draw the graph: it has more than {MAX_SCOPES:,} scopes", hint=SMALLER)
        return scope

    def _add_members(self, nodes: list[Node], scope: TreeScope) -> None:
        for node in nodes:
            title, detail = describe_node(node)
            self._add_node(
                TreeNode(
                    node.id,
                    node.type,
                    str(title),
                    describe_condition(node.condition) if node.type == "condition" else str(detail or ""),
                    node.description,
                    list(list_marks(node)),
                    list_ports(node) if node.type in KINDS else (NEXT,),
                    read_position(node.position),
                ),
                scope,
            )

    def _add_node(self, node: TreeNode, scope: TreeScope) -> None:
        self.size += len(scope.path)
        if self.size > MAX_PATHS:
            raise OperationRefused("cannot draw the graph: loops and parallels are nested too deep", hint=SMALLER)
        self.nodes[node.id] = node
        self.scope_of[node.id] = scope
        scope.nodes.append(node)

    def _add_entries(self, region: Region, scope: TreeScope) -> None:
        owner = scope.owner
        for number in region.entries:
            entry = self.nodes.get(self.drawing.structure.nodes[number].id)
            if owner is not None and entry is not None and self.scope_of[entry.id] is scope:
                scope.edges.append(TreeEdge("entry", owner, "branch" if scope.title else "body", entry))

    def _add_edge(self, source: str, port: str, target: str, label: str) -> None:
        if source not in self.nodes or target not in self.nodes:
            return
        inner, outer = self.scope_of[source], self.scope_of[target]
        enters = port in ("body", "branch") and self.nodes[source].type in ("loop", "parallel")
        if enters and (target == source or outer.owner is self.nodes[source]):
            return
        ends = self.nodes[target].type == "loop" and _is_inside(inner, self.nodes[target])
        first, last = self._lift(source, target)
        if inner is not self.scope_of[last] and not enters:
            self._append(inner, TreeEdge("exit", self.nodes[source], port, self.nodes[target]), label)
        if not ends and (first != source or enters):
            self.onward[first, last] = None
        elif not ends:
            self._append(inner, TreeEdge("forward", self.nodes[source], port, self.nodes[last]), label)

    def _append(self, scope: TreeScope, edge: TreeEdge, label: str) -> None:
        port = "" if edge.port in (NEXT, label) else edge.port
        edge.label = ": ".join(part for part in (label, port) if part)
        scope.edges.append(edge)

    def _lift(self, source: str, target: str) -> tuple[str, str]:
        """Return the nodes of one scope that are or hold the ends of an edge."""
        ends = [source, target]
        scopes = [self.scope_of[each] for each in ends]
        while scopes[0] is not scopes[1]:
            deeper = 0 if scopes[0].depth >= scopes[1].depth else 1
            owner, parent = scopes[deeper].owner, scopes[deeper].parent
            if owner is None or parent is None:
                break
            ends[deeper], scopes[deeper] = owner.id, parent
        return ends[0], ends[1]


def _is_inside(scope: TreeScope | None, owner: TreeNode) -> bool:
    """Return whether a scope is in the box of a node, at any depth."""
    while scope is not None:
        if scope.owner is owner:
            return True
        scope = scope.parent
    return False


def read_position(position: Any) -> tuple[float, float] | None:
    """Return the author's position of a node, or None where it has none that can be drawn."""
    if not isinstance(position, dict):
        return None
    x, y = position.get("x"), position.get("y")
    numbers = [each for each in (x, y) if isinstance(each, int | float) and not isinstance(each, bool)]
    if len(numbers) < 2 or not all(math.isfinite(each) and abs(each) <= MAX_COORDINATE for each in numbers):
        return None
    return float(numbers[0]), float(numbers[1])
