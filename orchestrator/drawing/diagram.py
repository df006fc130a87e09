"""Collect what is drawn of a definition: its nodes, edges and regions. An invalid one is drawn as far as possible.

Loop bodies and branches are the regions that the planner finds (SPEC §2.4).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from orchestrator.model.definition import TRIGGER, Definition, Node
from orchestrator.model.node_types import KINDS
from orchestrator.planner import graph, regions
from orchestrator.planner.report import Report

EdgeKey = tuple[str, str, str]
"""Source, port, target."""


@dataclass
class Drawing:
    """Nodes, edges and boxes, before they are text."""

    nodes: dict[str, Node]
    structure: graph.Graph
    """The graph that the planner reads: nodes of known types and the edges between them."""
    names: dict[str, str] = field(default_factory=lambda: {TRIGGER: "start"})
    """Mermaid's name of each node, and of each ID that an edge names and no node has."""
    edges: dict[EdgeKey, str] = field(default_factory=dict)
    """Label of each edge; empty without one."""

    @cached_property
    def regions(self) -> regions.Regions:
        """Loop bodies and branches; nodes without an incoming edge count as starts, for unfinished drafts."""
        led_to = {target for ways in self.structure.successors for targets in ways.values() for target in targets}
        loose = [number for number in range(len(self.structure.nodes)) if number not in led_to]
        return regions.find_regions(
            replace(self.structure, starts=graph.remove_duplicates([*self.structure.starts, *loose]))
        )

    @property
    def missing(self) -> list[str]:
        """IDs that an edge names and no node has."""
        return [key for key in self.names if key not in self.nodes and key != TRIGGER]


def build_drawing(definition: Definition) -> Drawing:
    """Collect nodes and edges, with edges to missing nodes."""
    nodes: dict[str, Node] = {}
    for node in definition.nodes:
        if node.id and node.id != TRIGGER:
            nodes.setdefault(node.id, node)
    usable = [(index, node) for index, node in enumerate(nodes.values()) if node.type in KINDS]
    structure = graph.build_graph(definition, usable, Report())
    edges = dict.fromkeys(_list_edges(structure), "")
    for edge in definition.edges:
        if edge.source and edge.target:
            edges[edge.source, edge.condition or graph.NEXT, edge.target] = edge.label
    drawing = Drawing(nodes, structure, edges=edges)
    for key in [*nodes, *(key for source, _, target in edges for key in (source, target))]:
        drawing.names.setdefault(key, f"n{len(drawing.names)}")
    return drawing


def _list_edges(structure: graph.Graph) -> Iterator[EdgeKey]:
    """Yield the edges of the graph that the planner reads."""
    starts = [structure.nodes[number] for number in structure.starts]
    yield from ((TRIGGER, graph.NEXT, node.id) for node in starts if node.type != TRIGGER)
    for node, ways in zip(structure.nodes, structure.successors, strict=True):
        for port, targets in ways.items():
            name = "branch" if node.type == "parallel" and port not in ("next", "error") else port
            yield from ((node.id, name, structure.nodes[target].id) for target in targets)
