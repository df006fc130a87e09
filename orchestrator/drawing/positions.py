"""Place the nodes of a scope where its author put them, if all of them have a position."""

from orchestrator.drawing.layers import Item, Link
from orchestrator.drawing.routes import SIDE_Y, Point
from orchestrator.drawing.scope_tree import TreeNode
from orchestrator.model.definition import TRIGGER

MARGIN = 24
"""Least distance of boxes; a scope whose boxes would come closer is stretched."""
STRETCHES = (1.0, 1.5, 2.25, 3.4)
"""Factors that are tried before the positions are ignored."""
ENDS = 40
"""Between the top or bottom of a scope and its boxes."""
STUB = 14
CELL = 200
Placed = tuple[list[list[Point]], int, int]
"""Lines of the links, right side and height."""


def apply_positions(
    nodes: list[TreeNode], items: list[Item], links: list[Link], *, first: int, last: int | None
) -> Placed | None:
    """Place items at the authors' positions; return None where some have none, or boxes would overlap."""
    own = [node for node in nodes if node.id != TRIGGER]
    spots = [node.position for node in own if node.position is not None]
    if not own or len(spots) < len(own):
        return None
    boxes = [item for node, item in zip(nodes, items[first:], strict=False) if node.id != TRIGGER]
    left, top = min(x for x, _ in spots), min(y for _, y in spots)
    for stretch in STRETCHES:
        for item, (x, y) in zip(boxes, spots, strict=True):
            item.left, item.top = round((x - left) * stretch), round((y - top) * stretch)
        if not _overlap(boxes):
            return _finish(nodes, items, links, boxes, first=first, last=last)
    return None


def _finish(
    nodes: list[TreeNode], items: list[Item], links: list[Link], boxes: list[Item], *, first: int, last: int | None
) -> Placed:
    """Place what has no position above and below the boxes, and draw the links."""
    right = max(item.left + item.width + item.margin for item in boxes)
    down = ENDS if first else 0
    if nodes[0].id == TRIGGER:
        start, target = items[first], min(boxes, key=lambda item: item.top)
        start.left, start.top = max(target.center - start.width // 2, 0), 0
        down = start.height + ENDS
        right = max(right, start.left + start.width)
    for item in boxes:
        item.top += down
    height = max(item.top + item.height for item in boxes) + (ENDS if last is not None else STUB)
    for number in [0] * first + [last] * (last is not None):
        items[number or 0].left, items[number or 0].top = right // 2, height if number else 0
    return [_draw(items[link.source], items[link.target], link) for link in links], right, height


def _draw(source: Item, target: Item, link: Link) -> list[Point]:
    x, end = source.left + link.offset, (target.center, target.top)
    begin = [(x, source.top + source.height)]
    if link.side:
        y = source.top + min(SIDE_Y, source.height // 2)
        begin = [(source.left + source.width, y), (x, y)]
    return [*begin, (begin[-1][0], begin[-1][1] + STUB), (end[0], end[1] - STUB), end]


def _overlap(boxes: list[Item]) -> bool:
    """Return whether two boxes are closer than the margin; only those in the same part of the plane are compared."""
    cells: dict[tuple[int, int], list[Item]] = {}
    for item in boxes:
        right, bottom = item.left + item.width + item.margin + MARGIN, item.top + item.height + MARGIN
        keys = [
            (x, y)
            for x in range(item.left // CELL, right // CELL + 1)
            for y in range(item.top // CELL, bottom // CELL + 1)
        ]
        for key in keys:
            for other in cells.get(key, ()):
                if (
                    item.left < other.left + other.width + other.margin + MARGIN
                    and other.left < right
                    and item.top < other.top + other.height + MARGIN
                    and other.top < bottom
                ):
                    return True
        for key in keys:
            cells.setdefault(key, []).append(item)
    return False
