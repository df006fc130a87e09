"""Place the nodes of a scope where its author put them, if all of them have a position.

Boxes are wider than a canvas may show them, and loops hold their bodies here: what would overlap is moved to the right
or down, with everything that the author put further to the right or below.
"""

from dataclasses import dataclass

from orchestrator.drawing.layers import Item, Link
from orchestrator.drawing.routes import SIDE_Y, Point, simplify
from orchestrator.drawing.scope_tree import TreeNode
from orchestrator.model.definition import TRIGGER

MARGIN = 30
"""Least distance of boxes."""
ENDS = 44
"""Between a box and the start, or the top or bottom of its scope."""
STUB = 14
MAX_BOXES = 500
"""Boxes of a scope that are moved apart; positions of more are ignored, since each is compared with all."""
Placed = tuple[list[list[Point]], int, int]
"""Lines of the links, right side and height."""


@dataclass(slots=True, eq=False)
class Span:
    """Where a box begins in one direction, and how much it takes."""

    wanted: float
    size: int
    begin: int = 0

    def meets(self, other: "Span") -> bool:
        """Return whether two boxes are beside each other, in this direction."""
        return self.begin < other.begin + other.size + MARGIN and other.begin < self.begin + self.size + MARGIN


def apply_positions(
    nodes: list[TreeNode], items: list[Item], links: list[Link], *, first: int, last: int | None
) -> Placed | None:
    """Place items at the authors' positions; return None where some have none, or two have the same."""
    spots = [node.position for node in nodes if node.id != TRIGGER]
    known = [spot for spot in spots if spot is not None]
    if not known or len(set(known)) < len(spots) or len(spots) > MAX_BOXES:
        return None
    boxes = [item for node, item in zip(nodes, items[first:], strict=False) if node.id != TRIGGER]
    for link in links:
        items[link.source].margin = max(items[link.source].margin, link.label + 8 if link.label else 0)
    across = [Span(x, item.width + item.margin) for (x, _), item in zip(known, boxes, strict=True)]
    down = [Span(y, item.height) for (_, y), item in zip(known, boxes, strict=True)]
    for span, (_, y) in zip(down, known, strict=True):
        span.begin = round(y)
    _move_apart(across, down)
    _move_apart(down, across)
    start = items[first] if nodes[0].id == TRIGGER else None
    is_wide = max(x for x, _ in known) - min(x for x, _ in known) > max(y for _, y in known) - min(y for _, y in known)
    shift = _place_start(start, items[first + 1 :], across, down, is_wide=is_wide) if start else (0, ENDS)
    for item, horizontal, vertical in zip(boxes, across, down, strict=True):
        item.left, item.top = horizontal.begin + shift[0], vertical.begin + shift[1]
    right = max(item.left + item.width + item.margin for item in items)
    height = max(item.top + item.height for item in items) + (ENDS if last is not None else 2 * STUB)
    return [_draw(items, link, first=first, last=last, height=height) for link in links], right, height


def _place_start(
    start: Item, boxes: list[Item], across: list[Span], down: list[Span], *, is_wide: bool
) -> tuple[int, int]:
    """Place the start beside or above what the author put first; return how far that moves all others."""
    if is_wide:
        index = min(range(len(boxes)), key=lambda at: across[at].begin)
        start.top = down[index].begin
        return start.width + ENDS, 0
    index = min(range(len(boxes)), key=lambda at: down[at].begin)
    start.left = across[index].begin + (boxes[index].width - start.width) // 2
    return max(-start.left, 0), start.height + ENDS


def _move_apart(spans: list[Span], beside: list[Span]) -> None:
    """Place boxes in one direction, where `beside` says which of them meet in the other; the first is at 0."""
    order = sorted(range(len(spans)), key=lambda at: spans[at].wanted)
    origin, moved = spans[order[0]].wanted, 0
    for index, at in enumerate(order):
        span = spans[at]
        least = round(span.wanted - origin) + moved
        ends = [
            spans[other].begin + spans[other].size + MARGIN
            for other in order[:index]
            if spans[other].wanted < span.wanted and beside[other].meets(beside[at])
        ]
        span.begin = max([least, *ends])
        moved += span.begin - least


def _draw(items: list[Item], link: Link, *, first: int, last: int | None, height: int) -> list[Point]:
    """Return a line from the top or to the bottom of the scope, or between two boxes."""
    source, target = items[link.source], items[link.target]
    if first and link.source == 0:
        return [(target.center, 0), (target.center, target.top)]
    if link.target == last:
        x = source.left + min(link.offset, source.width)
        return [(x, source.top + source.height), (x, height)]
    return simplify(_connect(source, target, link))


def _connect(source: Item, target: Item, link: Link) -> list[Point]:
    """Return a line to the right or down, whichever way the target is; back, around below both boxes."""
    right, bottom = source.left + source.width, source.top + source.height
    if target.left >= right + 2 * STUB:
        share = min(link.offset / source.width, 0.9)
        begin = right, source.top + round(min(source.height, 2 * SIDE_Y) * share)
        end = target.left, target.top + min(SIDE_Y, target.height // 2)
        middle = end[0] - STUB
        return [begin, (middle, begin[1]), (middle, end[1]), end]
    begin, end = (source.left + min(link.offset, source.width), bottom), (target.center, target.top)
    if target.top >= bottom + 2 * STUB:
        middle = end[1] - STUB
        return [begin, (begin[0], middle), (end[0], middle), end]
    below = max(bottom, target.top + target.height) + STUB
    return [begin, (begin[0], below), (end[0], below), (end[0], target.top + target.height)]
