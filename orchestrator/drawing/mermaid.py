"""Draw a definition as Mermaid text. No I/O and no checks: an invalid definition is drawn as far as possible.

Loop bodies and branches are boxes: the regions that the planner finds (SPEC §2.4).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from orchestrator.jsontools.text import shorten
from orchestrator.model.definition import TRIGGER, Definition, Node, Trigger
from orchestrator.model.node_types import KINDS
from orchestrator.planner import graph, regions
from orchestrator.planner.parse import parse_definition
from orchestrator.planner.regions import Region
from orchestrator.planner.report import Report

MAX_LABEL = 80
UNSAFE = re.compile(r"""[\x00-\x1f\x7f"#$%&*;<>\[\]\\^`{|}~]|(?<=\d)\.(?= )|^[-+](?= )""")
"""Text that Mermaid would parse as syntax, a directive, a formula or Markdown."""

SHAPES = {
    "trigger": ("([", "])"),
    "action": ("[", "]"),
    "condition": ("{", "}"),
    "switch": ("{", "}"),
    "loop": ("{{", "}}"),
    "parallel": ("[/", "\\]"),
    "delay": ("(", ")"),
    "wait": ("[/", "/]"),
    "set": ("(", ")"),
    "workflow": ("[[", "]]"),
    "end": ("([", "])"),
}

DETAILS: dict[str, Callable[[Node], object]] = {
    "trigger": lambda node: "",
    "action": lambda node: node.action,
    "condition": lambda node: "",
    "switch": lambda node: node.config.get("value"),
    "loop": lambda node: f"each {node.item_variable or 'item'}",
    "parallel": lambda node: f"join {node.config.get('join') or 'all'}",
    "delay": lambda node: _describe_delay(node),
    "wait": lambda node: f"event {node.config.get('event')}",
    "set": lambda node: ", ".join(node.config),
    "workflow": lambda node: node.config.get("workflow_id"),
    "end": lambda node: node.config.get("outcome"),
}
"""The line below the title of a node, by type."""

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


def draw_mermaid(definition: Definition | Mapping[str, Any]) -> str:
    """Return the flow chart of a definition as Mermaid text, with a final newline."""
    parsed = parse_definition(definition, Report()) or Definition()
    drawing = build_drawing(parsed)
    lines = [
        "flowchart TD",
        f"    start{_draw_shape('trigger', _describe_trigger(parsed.trigger))}",
        *_draw_boxes(drawing),
    ]
    lines += [f"    {drawing.names[key]}{_draw_shape('action', [key, 'missing'])}:::missing" for key in drawing.missing]
    lines += [_draw_arrow(edge, label, drawing.names) for edge, label in drawing.edges.items()]
    if drawing.missing:
        lines.append("    classDef missing stroke-dasharray: 4")
    return "\n".join(lines) + "\n"


def describe_graph(definition: Definition | Mapping[str, Any]) -> dict[str, Any]:
    """Return `{nodes: [{id, type, name}], edges: [{source, port, target, label}]}`, as the planner reads the graph."""
    drawing = build_drawing(parse_definition(definition, Report()) or Definition())
    nodes = [{"id": node.id, "type": node.type, "name": node.name} for node in drawing.nodes.values()]
    edges = [
        {"source": source, "port": port, "target": target, "label": label}
        for (source, port, target), label in drawing.edges.items()
    ]
    return {"nodes": nodes, "edges": edges}


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


def _draw_boxes(drawing: Drawing) -> Iterator[str]:
    """Yield nodes, and boxes with their content."""
    top, inside = _group_members(drawing)
    open_boxes, count = [iter(top)], 0
    while open_boxes:
        indent = "    " * len(open_boxes)
        member = next(open_boxes[-1], None)
        if member is None:
            open_boxes.pop()
            if open_boxes:
                yield f"{indent[4:]}end"
        elif isinstance(member, Node):
            yield f"{indent}{drawing.names[member.id]}{_draw_shape(member.type, _describe_node(member))}"
        elif id(member) in inside:
            count += 1
            yield f'{indent}subgraph box{count}["{_escape_label(_title_box(drawing.structure, member))}"]'
            open_boxes.append(iter(inside[id(member)]))


def _group_members(drawing: Drawing) -> tuple[list[Node | Region], dict[int, list[Node | Region]]]:
    """Return the members outside all boxes, and those of each box by the identity of its region, in source order."""
    top: list[Node | Region] = []
    inside: dict[int, list[Node | Region]] = {}
    regions_found = drawing.regions
    for key, node in drawing.nodes.items():
        number = drawing.structure.index.get(key)
        region_of_node = None if number is None else regions_found.innermost[number]
        members = (
            top
            if region_of_node is None or region_of_node is regions_found.whole
            else inside.setdefault(id(region_of_node), [])
        )
        members += [node, *regions_found.inside.get(-1 if number is None else number, ())]
    return top, inside


def _title_box(structure: graph.Graph, region: Region) -> str:
    if region.owner is None or region.port == "body":
        owner = structure.nodes[region.owner or 0]
        return owner.name or owner.id
    return f"branch {int(region.port.removeprefix('branch ')) + 1}"


def _draw_shape(kind: str, lines: Iterable[object]) -> str:
    left, right = SHAPES.get(kind, SHAPES["action"])
    label = "<br/>".join(_escape_label(str(line)) for line in lines if line)
    return f'{left}"{label}"{right}'


def _escape_label(text: str) -> str:
    """Truncate a label to one line, and escape what Mermaid would parse as syntax."""
    flat = shorten(" ".join(text.split()), MAX_LABEL - 1)
    return UNSAFE.sub(lambda match: f"#{ord(match.group())};", flat) or "#160;"


def _draw_arrow(edge: EdgeKey, label: str, names: Mapping[str, str]) -> str:
    source, port, target = edge
    parts = [label, "" if port in (graph.NEXT, label) else port]
    text = ": ".join(part for part in parts if part)
    line = "-.->" if port == "error" else "-->"
    return f"    {names[source]} {line}" + (f'|"{_escape_label(text)}"|' if text else "") + f" {names[target]}"


def _describe_node(node: Node) -> list[object]:
    """Return the title of a node and the line below it."""
    details = DETAILS.get(node.type)
    return [node.name or node.id, details(node) if details else f"{node.type or 'no type'}?"]


def _describe_delay(node: Node) -> object:
    if node.delay_seconds is not None:
        return f"{node.delay_seconds} s"
    return node.delay_until or node.config.get("cron")


def _describe_trigger(trigger: Trigger) -> list[object]:
    every = f"every {trigger.interval_seconds:g} s" if trigger.interval_seconds else ""
    details = {"schedule": trigger.cron or every, "event": trigger.event, "webhook": trigger.webhook_path}
    return [trigger.type or "start", details.get(trigger.type)]
