"""Measure the boxes of nodes: their text, their marks, and where edges leave them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.drawing.layout import DETAIL_BASELINE, DETAIL_SIZE, SMALL_SIZE, TEXT_LEFT, TITLE_SIZE, MarkKind
from orchestrator.drawing.routes import STUB
from orchestrator.drawing.scope_tree import TreeEdge, TreeNode
from orchestrator.drawing.text_width import fit_text, measure_text

MIN_WIDTH, MAX_TEXT = 120, 240
MAX_LABEL = 150
TITLE_HEIGHT = 36
MARK_HEIGHT, MARK_PADDING, MARK_GAP = 18, 8, 6
LABEL_GAP = 14
SIDE_PORTS = ("error",)
"""Ports at the right side; the others are below, in order."""
ALWAYS = ("condition",)
"""Types whose ports keep their places, used or not."""


@dataclass(slots=True)
class DraftMark:
    """A mark, relative to its box."""

    kind: MarkKind
    text: str
    x: int
    y: int
    width: int


@dataclass(slots=True, eq=False)
class BoxDraft:
    """A box without a position."""

    title: str
    detail: str
    width: int
    height: int
    margin: int
    marks: list[DraftMark]
    offsets: dict[str, int] = field(default_factory=dict)
    """Where edges leave, by port, from the left of the box."""
    labels: dict[str, str] = field(default_factory=dict)


def draft_box(node: TreeNode, leaving: Iterable[TreeEdge]) -> BoxDraft:
    """Measure a box with the edges that leave it."""
    labels: dict[str, str] = {}
    for edge in leaving:
        labels[edge.port] = labels.get(edge.port) or fit_text(edge.label, SMALL_SIZE, MAX_LABEL)
    title = fit_text(node.name, TITLE_SIZE, MAX_TEXT)
    detail = fit_text(node.detail, DETAIL_SIZE, MAX_TEXT)
    widths = [measure_text(title, TITLE_SIZE), measure_text(detail, DETAIL_SIZE)]
    height = DETAIL_BASELINE + 12 if detail else TITLE_HEIGHT
    marks, marks_width = _place_marks(node, height - 2)
    if marks:
        height = marks[-1].y + MARK_HEIGHT + 10
    side = [measure_text(label, SMALL_SIZE) for port, label in labels.items() if port in SIDE_PORTS]
    below = _list_ports_below(node, labels)
    cells = [_measure_label(labels.get(port, "")) for port in below]
    width = max(MIN_WIDTH, round(max(*widths, marks_width)) + 2 * TEXT_LEFT + 1, sum(cells))
    width += width % 2
    margin = round(max(side)) + 12 if side else 0
    return BoxDraft(title, detail, width, height, margin, marks, spread_ports(below, cells, width, side=labels), labels)


def spread_ports(below: list[str], cells: list[int], width: int, side: Iterable[str]) -> dict[str, int]:
    """Return where each port is, from the left of a box."""
    offsets = {port: width + STUB for port in side if port in SIDE_PORTS}
    extra = (width - sum(cells)) / max(len(cells), 1)
    at = 0.0
    for port, cell in zip(below, cells, strict=True):
        offsets[port] = round(at + (cell + extra) / 2)
        at += cell + extra
    return offsets


def _list_ports_below(node: TreeNode, used: Iterable[str]) -> list[str]:
    """Return the ports below a box, from left to right; edges onward leave by the same place as `next`."""
    wanted = set(used)
    known = [port for port in node.ports if port not in SIDE_PORTS and (port in wanted or node.type in ALWAYS)]
    others = [port for port in used if port and port not in node.ports and port not in SIDE_PORTS]
    ports = [*known, *others]
    if "" in wanted and "next" not in ports:
        ports.append("")
    return ports


def _measure_label(label: str) -> int:
    return round(measure_text(label, SMALL_SIZE)) + LABEL_GAP if label else 24


def _place_marks(node: TreeNode, top: int) -> tuple[list[DraftMark], int]:
    """Place marks in rows; return the width that they take."""
    marks: list[DraftMark] = []
    x, y, right = TEXT_LEFT, top, 0
    for kind, words in node.marks:
        text = fit_text(words, SMALL_SIZE, MAX_TEXT - 2 * MARK_PADDING)
        width = round(measure_text(text, SMALL_SIZE)) + 2 * MARK_PADDING
        if x > TEXT_LEFT and x + width > TEXT_LEFT + MAX_TEXT:
            x, y = TEXT_LEFT, y + MARK_HEIGHT + 4
        marks.append(DraftMark(kind, text, x, y, width))
        x += width + MARK_GAP
        right = max(right, x - MARK_GAP - TEXT_LEFT)
    return marks, right
