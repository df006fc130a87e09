"""Draw a definition as Mermaid text. No I/O and no checks: an invalid definition is drawn as far as possible.

Loop bodies and branches are boxes: the regions that the planner finds (SPEC §2.4).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.drawing.diagram import Drawing, EdgeKey, build_drawing
from orchestrator.drawing.wording import describe_node, describe_trigger
from orchestrator.jsontools.text import shorten
from orchestrator.model.definition import Definition, Node
from orchestrator.planner import graph
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


def draw_mermaid(definition: Definition | Mapping[str, Any]) -> str:
    """Return the flow chart of a definition as Mermaid text, with a final newline."""
    parsed = parse_definition(definition, Report()) or Definition()
    drawing = build_drawing(parsed)
    lines = [
        "flowchart TD",
        f"    start{_draw_shape('trigger', describe_trigger(parsed.trigger))}",
        *_draw_boxes(drawing),
    ]
    lines += [f"    {drawing.names[key]}{_draw_shape('action', [key, 'missing'])}:::missing" for key in drawing.missing]
    lines += [_draw_arrow(edge, label, drawing.names) for edge, label in drawing.edges.items()]
    if drawing.missing:
        lines.append("    classDef missing stroke-dasharray: 4")
    return "\n".join(lines) + "\n"


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
            yield f"{indent}{drawing.names[member.id]}{_draw_shape(member.type, describe_node(member))}"
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
