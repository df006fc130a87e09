"""Draw a definition as Mermaid text. No I/O, and no opinion: what is wrong is drawn as far as it goes.

Bodies and branches are boxes: the nodes that can be reached only through them (SPEC §2.4).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

START = "trigger"
MAX_LABEL = 80
UNSAFE = re.compile(r"""[\x00-\x1f\x7f"#$%&*;<>\[\]\\^`{|}~]|(?<=\d)\.(?= )|^[-+](?= )""")
"""What Mermaid could read as syntax, a directive or Markdown."""

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
LISTS = {"condition": {"true": "true_branch", "false": "false_branch"}, "loop": {"body": "body"}}
"""By type: port to the key that lists its targets."""

Raw = Mapping[str, Any]
GroupKey = tuple[str, str]
"""The loop or parallel, and which of its parts."""
Vertex = str | GroupKey
Ways = dict[Vertex, list[Vertex]]

ABOUT: dict[str, Callable[[Raw, Raw], str]] = {
    "trigger": lambda node, config: "",
    "action": lambda node, config: _text(node.get("action")),
    "condition": lambda node, config: "",
    "switch": lambda node, config: _text(config.get("value")),
    "loop": lambda node, config: f"each {_text(node.get('item_variable')) or 'item'}",
    "parallel": lambda node, config: f"join {_text(config.get('join')) or 'all'}",
    "delay": lambda node, config: _pause(node, config),
    "wait": lambda node, config: f"event {_text(config.get('event'))}",
    "set": lambda node, config: ", ".join(config),
    "workflow": lambda node, config: _text(config.get("workflow_id")),
    "end": lambda node, config: _text(config.get("outcome")),
}
"""By type: what stands under the title of a node."""


@dataclass(frozen=True, slots=True)
class Link:
    """One way from a node to another."""

    source: str
    port: str
    target: str
    label: str = ""
    group: GroupKey | None = None
    """The body or branch that the way leads into."""


@dataclass(slots=True)
class Group:
    """A body or a branch: a box."""

    title: str
    members: list[Vertex] = field(default_factory=list)
    """Nodes and boxes, in order."""


@dataclass(slots=True)
class Drawing:
    """Nodes, ways and boxes, before they are text."""

    nodes: dict[str, Raw] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    groups: dict[GroupKey, Group] = field(default_factory=dict)
    top: list[Vertex] = field(default_factory=list)
    """Nodes and boxes that are in no box."""
    missing: dict[str, None] = field(default_factory=dict)
    """Ids that something leads to and that no node has."""


def mermaid(definition: Raw) -> str:
    """Give the flow chart of a definition: one Mermaid text, with a line feed at its end."""
    drawing = read(definition)
    names: dict[Vertex, str] = {START: "start"}
    names |= {key: f"n{place}" for place, key in enumerate([*drawing.nodes, *drawing.missing], 1)}
    names |= {key: f"box{place}" for place, key in enumerate(drawing.groups, 1)}
    lines = ["flowchart TD", f"    start{_shape('trigger', _trigger_lines(definition.get('trigger')))}"]
    lines += _drawn(drawing, names)
    lines += [f"    {names[key]}{_shape('action', [key, 'missing'])}:::missing" for key in drawing.missing]
    lines += [_arrow(link, names) for link in drawing.links]
    if drawing.missing:
        lines.append("    classDef missing stroke-dasharray: 4")
    return "\n".join(lines) + "\n"


def read(definition: Raw) -> Drawing:
    """Find nodes, ways and boxes."""
    drawing = Drawing()
    for node in _objects(definition.get("nodes")):
        if isinstance(node.get("id"), str) and node["id"] != START:
            drawing.nodes.setdefault(node["id"], node)
    edges = [_link(edge) for edge in _objects(definition.get("edges"))]
    known = [edge for edge in edges if edge is not None]
    reach = _successors(known)
    for key, node in drawing.nodes.items():
        drawing.links += _listed(drawing, key, node, reach)
    drawing.links += _unlisted(drawing, known)
    ends = [end for link in drawing.links for end in (link.source, link.target)]
    drawing.missing = {end: None for end in ends if end not in drawing.nodes and end != START}
    _box(drawing)
    return drawing


def _objects(value: Any) -> list[Raw]:
    return [entry for entry in _sequence(value) if isinstance(entry, Mapping)]


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _ids(value: Any) -> list[str]:
    return list(dict.fromkeys(entry for entry in _sequence(value) if isinstance(entry, str)))


def _link(edge: Raw) -> Link | None:
    source, target, port = edge.get("source"), edge.get("target"), edge.get("condition")
    if not isinstance(source, str) or not isinstance(target, str):
        return None
    label = edge.get("label")
    return Link(
        source,
        port if isinstance(port, str) and port else "next",
        target,
        label if isinstance(label, str) else "",
    )


def _successors(links: Iterable[Link]) -> Ways:
    found: Ways = {}
    for link in links:
        found.setdefault(link.source, []).append(link.target)
    return found


def _listed(drawing: Drawing, key: str, node: Raw, reach: Ways) -> Iterator[Link]:
    """Give the ways that a node lists by id, and open a box for each body and branch."""
    for port, name in LISTS.get(_type(node), {}).items():
        group = None
        if port == "body" and _ids(node.get(name)):
            group = _open(drawing, key, "body", _title(key, node))
        yield from (Link(key, port, target, group=group) for target in _entries(_ids(node.get(name)), reach))
    if _type(node) == "parallel":
        for place, ids in enumerate(_sequence(node.get("branches")), 1):
            group = _open(drawing, key, str(place), f"branch {place}")
            yield from (Link(key, "branch", target, group=group) for target in _entries(_ids(ids), reach))


def _open(drawing: Drawing, owner: str, part: str, title: str) -> GroupKey:
    drawing.groups[owner, part] = Group(title)
    return owner, part


def _entries(ids: list[str], reach: Ways) -> list[str]:
    """Drop ids that another of the list leads to; of a cycle, the first stays (SPEC §2.1)."""
    if len(ids) < 2:
        return ids
    entries: list[str] = []
    for key in ids:
        if any(key in _reached(entry, reach) for entry in entries):
            continue
        after = _reached(key, reach)
        entries = [*(entry for entry in entries if entry not in after), key]
    return entries


def _reached(start: Vertex, reach: Ways, seen: set[Vertex] | None = None) -> set[Vertex]:
    """Give what a vertex leads to, added to what has been seen."""
    seen = set() if seen is None else seen
    todo = list(reach.get(start, ()))
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            todo.extend(reach.get(key, ()))
    return seen


def _unlisted(drawing: Drawing, edges: list[Link]) -> Iterator[Link]:
    """Give the edges that no list has said already; those into a body or a branch lead into its box."""
    said = {(link.source, link.port, link.target) for link in drawing.links}
    bodies = {link.source: link.group for link in drawing.links if link.port == "body"}
    branches = Counter(owner for owner, part in drawing.groups if part != "body")
    for edge in edges:
        if (edge.source, edge.port, edge.target) in said:
            continue
        said.add((edge.source, edge.port, edge.target))
        kind, group = _type(drawing.nodes.get(edge.source, {})), None
        if (kind, edge.port) == ("loop", "body"):
            title = _title(edge.source, drawing.nodes[edge.source])
            group = bodies.get(edge.source) or _open(drawing, edge.source, "body", title)
            bodies[edge.source] = group
        elif (kind, edge.port) == ("parallel", "branch"):
            branches[edge.source] += 1
            place = branches[edge.source]
            group = _open(drawing, edge.source, str(place), f"branch {place}")
        yield Link(edge.source, edge.port, edge.target, edge.label, group)


def _box(drawing: Drawing) -> None:
    """Put each node and box into the innermost box that dominates it."""
    ways: Ways = {START: []}
    for link in drawing.links:
        if link.group is None:
            ways.setdefault(link.source, []).append(link.target)
        else:
            ways.setdefault(link.source, []).append(link.group)
            ways.setdefault(link.group, []).append(link.target)
    _root(ways, drawing.nodes)
    dominators = _dominators(ways)
    inside: dict[Vertex, GroupKey | None] = {START: None}
    for vertex, dominator in dominators.items():
        inside[vertex] = dominator if isinstance(dominator, tuple) else inside[dominator]
    parts: dict[str, list[GroupKey]] = {}
    for group in drawing.groups:
        parts.setdefault(group[0], []).append(group)
    for key in drawing.nodes:
        for vertex in (key, *parts.get(key, ())):
            owner = inside.get(vertex)
            (drawing.groups[owner].members if owner else drawing.top).append(vertex)


def _root(ways: Ways, nodes: Iterable[str]) -> None:
    """Let the start reach every node: first those that nothing leads to, then one of each loose cycle."""
    led_to = {target for targets in ways.values() for target in targets}
    ways[START] += [key for key in nodes if key not in led_to]
    reached = _reached(START, ways)
    for key in nodes:
        if key not in reached:
            ways[START].append(key)
            reached.add(key)
            _reached(key, ways, reached)


def _dominators(ways: Ways) -> dict[Vertex, Vertex]:
    """Give the immediate dominator of each vertex in reverse postorder (Cooper, Harvey, Kennedy 2001)."""
    order = _reverse_postorder(ways)
    rank = {vertex: place for place, vertex in enumerate(order)}
    before: dict[Vertex, list[Vertex]] = {vertex: [] for vertex in order}
    for vertex in order:
        for target in ways.get(vertex, ()):
            before[target].append(vertex)
    found: dict[Vertex, Vertex] = {START: START}
    changed = True
    while changed:
        changed = False
        for vertex in order[1:]:
            known = [source for source in before[vertex] if source in found] or [START]
            dominator = known[0]
            for other in known[1:]:
                dominator = _common(dominator, other, found, rank)
            changed = changed or found.get(vertex) != dominator
            found[vertex] = dominator
    return {vertex: found[vertex] for vertex in order[1:]}


def _common(one: Vertex, other: Vertex, found: Mapping[Vertex, Vertex], rank: Mapping[Vertex, int]) -> Vertex:
    """Find the nearest dominator of both."""
    while one != other:
        if rank[one] > rank[other]:
            one = found[one]
        else:
            other = found[other]
    return one


def _reverse_postorder(ways: Ways) -> list[Vertex]:
    """Order what the start reaches; without recursion, so that depth is no matter."""
    seen: set[Vertex] = {START}
    done: list[Vertex] = []
    stack: list[tuple[Vertex, Iterator[Vertex]]] = [(START, iter(ways[START]))]
    while stack:
        _, targets = stack[-1]
        target = next((target for target in targets if target not in seen), None)
        if target is None:
            done.append(stack.pop()[0])
        else:
            seen.add(target)
            stack.append((target, iter(ways.get(target, ()))))
    return done[::-1]


def _drawn(drawing: Drawing, names: Mapping[Vertex, str]) -> Iterator[str]:
    """Write nodes, and boxes with what is in them."""
    open_boxes = [iter(drawing.top)]
    while open_boxes:
        indent = "    " * len(open_boxes)
        member = next(open_boxes[-1], None)
        if member is None:
            open_boxes.pop()
            if open_boxes:
                yield f"{indent[4:]}end"
        elif isinstance(member, str):
            node = drawing.nodes[member]
            yield f"{indent}{names[member]}{_shape(_type(node), _lines(member, node))}"
        elif drawing.groups[member].members:
            yield f'{indent}subgraph {names[member]}["{_safe(drawing.groups[member].title)}"]'
            open_boxes.append(iter(drawing.groups[member].members))


def _shape(kind: str, lines: Iterable[str]) -> str:
    left, right = SHAPES.get(kind, SHAPES["action"])
    label = "<br/>".join(_safe(line) for line in lines if line)
    return f'{left}"{label}"{right}'


def _safe(text: str) -> str:
    """Cut a label to one short line and write as a code whatever Mermaid could read as syntax."""
    flat = " ".join(text.split())
    flat = flat if len(flat) <= MAX_LABEL else flat[: MAX_LABEL - 1] + "…"
    return UNSAFE.sub(lambda found: f"#{ord(found.group())};", flat) or "#160;"


def _arrow(link: Link, names: Mapping[Vertex, str]) -> str:
    words = [link.label, "" if link.port in ("next", link.label) else link.port]
    label = ": ".join(word for word in words if word)
    line = "-.->" if link.port == "error" else "-->"
    said = f'|"{_safe(label)}"|' if label else ""
    return f"    {names[link.source]} {line}{said} {names[link.target]}"


def _type(node: Raw) -> str:
    return _text(node.get("type"))


def _text(value: Any) -> str:
    """Show what a reader can use; anything else is left out."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _pause(node: Raw, config: Raw) -> str:
    seconds = _text(node.get("delay_seconds"))
    return (
        f"{seconds} s"
        if seconds and seconds != "0"
        else _text(node.get("delay_until")) or _text(config.get("cron"))
    )


def _title(key: str, node: Raw) -> str:
    return _text(node.get("name")) or key


def _lines(key: str, node: Raw) -> list[str]:
    """Give the title of a node and, under it, what it is about."""
    kind = _type(node)
    config = node.get("config")
    about = (
        ABOUT[kind](node, config if isinstance(config, Mapping) else {})
        if kind in ABOUT
        else f"{kind or 'no type'}?"
    )
    return [_title(key, node), about]


def _trigger_lines(trigger: Any) -> list[str]:
    given: Raw = trigger if isinstance(trigger, Mapping) else {}
    kind = _type(given)
    keys = {"schedule": ("cron", "interval_seconds"), "event": ("event",), "webhook": ("webhook_path",)}
    return [kind or "start", " ".join(_text(given.get(key)) for key in keys.get(kind, ()) if given.get(key))]
