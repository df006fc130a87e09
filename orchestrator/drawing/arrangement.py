"""Arrange one scope: measure its boxes, place them, and route its edges. Coordinates are relative to the scope."""

from dataclasses import dataclass, field

from orchestrator.drawing.boxes import SIDE_PORTS, BoxDraft, draft_box
from orchestrator.drawing.layers import Item, Link, place_items
from orchestrator.drawing.layout import SMALL_SIZE
from orchestrator.drawing.positions import apply_positions
from orchestrator.drawing.routes import Point, Router
from orchestrator.drawing.scope_tree import TreeEdge, TreeNode, TreeScope
from orchestrator.drawing.text_width import measure_text

FRAME_PADDING = 14
FRAME_TITLE = 24
"""Height of the title of a branch."""
FRAME_GAP = 14
ROW_WIDTH = 1_600
"""Branches beside each other are at most this wide together; more go below."""
EMPTY = (120, 40)
"""Size of a scope without nodes."""


@dataclass(slots=True, eq=False)
class FramePlace:
    """The rectangle of a scope in the box of its owner."""

    x: int
    y: int
    width: int
    height: int
    content_x: int
    content_y: int


@dataclass(slots=True, eq=False)
class Arrangement:
    """A scope with the places of its boxes and edges."""

    width: int
    height: int
    drafts: dict[str, BoxDraft] = field(default_factory=dict)
    places: dict[str, Point] = field(default_factory=dict)
    paths: list[list[Point]] = field(default_factory=list)
    """The lines of the edges, in their order."""
    frames: dict[str, FramePlace] = field(default_factory=dict)
    """Rectangles of the scopes inside it, by path, relative to the box of their owner."""


def arrange_scope(scope: TreeScope, inner: dict[str, Arrangement]) -> Arrangement:
    """Arrange a scope whose inner scopes are arranged already."""
    if not scope.nodes:
        return Arrangement(*EMPTY)
    arrangement = Arrangement(0, 0)
    leaving: dict[str, list[TreeEdge]] = {}
    for edge in scope.edges:
        if edge.kind != "entry":
            leaving.setdefault(edge.source.id, []).append(edge)
    for node in scope.nodes:
        draft = draft_box(node, leaving.get(node.id, ()))
        arrangement.drafts[node.id] = draft
        if node.scopes:
            _hold_frames(node, draft, inner, arrangement)
    _place_nodes(scope, arrangement)
    return arrangement


def _hold_frames(node: TreeNode, draft: BoxDraft, inner: dict[str, Arrangement], arrangement: Arrangement) -> None:
    """Grow the box of a loop or parallel so that it holds its scopes, in their order, in rows."""
    rows: list[list[tuple[TreeScope, int, int]]] = [[]]
    used = 0
    for scope in node.scopes:
        content = inner[scope.path]
        width = max(content.width + 2 * FRAME_PADDING, EMPTY[0] + 2 * FRAME_PADDING)
        height = content.height + FRAME_PADDING + (FRAME_TITLE if scope.title else 0)
        if rows[-1] and used + width > ROW_WIDTH:
            rows.append([])
            used = 0
        rows[-1].append((scope, width, height))
        used += width + FRAME_GAP
    is_plain = not node.scopes[0].title
    inset = 0 if is_plain else FRAME_PADDING
    widest = max(sum(width for _, width, _ in row) + FRAME_GAP * (len(row) - 1) for row in rows)
    old_width, draft.width = draft.width, max(draft.width, widest + 2 * inset)
    y = draft.height + (0 if is_plain else 2)
    for row in rows:
        free = draft.width - 2 * inset - sum(width for _, width, _ in row) - FRAME_GAP * (len(row) - 1)
        height = max(height for _, _, height in row)
        x = inset
        for index, (scope, width, _) in enumerate(row):
            share = free * (index + 1) // len(row) - free * index // len(row)
            content = inner[scope.path]
            left = (width + share - content.width) // 2
            top = FRAME_TITLE if scope.title else 0
            arrangement.frames[scope.path] = FramePlace(x, y, width + share, height, x + left, y + top)
            x += width + share + FRAME_GAP
        y += height + FRAME_GAP
    draft.height = y - FRAME_GAP + inset
    _move_ports(draft, old_width)


def _move_ports(draft: BoxDraft, old_width: int) -> None:
    """Keep ports in the middle, or at the side, of a box that has become wider."""
    for port, offset in draft.offsets.items():
        moved = draft.width - old_width
        draft.offsets[port] = offset + (moved if port in SIDE_PORTS else moved // 2)


def _place_nodes(scope: TreeScope, arrangement: Arrangement) -> None:
    """Place the boxes of a scope, between a point at its top and one at its bottom where edges need them."""
    first = 1 if scope.owner is not None else 0
    number = {node.id: at + first for at, node in enumerate(scope.nodes)}
    drafts = arrangement.drafts
    items = [Item(0, 0)] * first + [
        Item(drafts[node.id].width, drafts[node.id].height, drafts[node.id].margin) for node in scope.nodes
    ]
    has_exits = any(edge.kind == "exit" for edge in scope.edges)
    last = len(items) if has_exits else None
    if has_exits:
        items.append(Item(0, 0))
    links = [_link(edge, number, drafts, last or 0) for edge in scope.edges]
    positioned = apply_positions(scope.nodes, items, links, first=first, last=last)
    if positioned is None:
        router = Router(place_items(items, links, last=last), 0 if first else 2, 0 if has_exits else 2)
        positioned = router.paths, router.width, router.height
    paths, right, height = positioned
    left = min(item.left for item in items)
    arrangement.width, arrangement.height = right - left, height
    arrangement.paths = [[(x - left, y) for x, y in path] for path in paths]
    for node in scope.nodes:
        item = items[number[node.id]]
        arrangement.places[node.id] = item.left - left, item.top


def _link(edge: TreeEdge, number: dict[str, int], drafts: dict[str, BoxDraft], last: int) -> Link:
    target = last if edge.kind == "exit" else number[edge.target.id]
    if edge.kind == "entry":
        return Link(0, target, 0)
    offsets = drafts[edge.source.id].offsets
    offset = offsets[edge.port] if edge.port in offsets else offsets["next"]
    label = round(measure_text(drafts[edge.source.id].labels.get(edge.port, ""), SMALL_SIZE))
    return Link(number[edge.source.id], target, offset, edge.port in SIDE_PORTS, label)
