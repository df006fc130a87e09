"""Draw a layout as SVG: a picture that needs no script, no font and no background of the page around it."""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from orchestrator.drawing.layout import (
    DETAIL_BASELINE,
    DETAIL_SIZE,
    SMALL_SIZE,
    TEXT_LEFT,
    TITLE_BASELINE,
    TITLE_SIZE,
    Box,
    LaidEdge,
    Layout,
    Mark,
    Point,
    ScopeFrame,
)
from orchestrator.drawing.overlay import PLAIN, Overlay

RADIUS = 6
"""Of the corners of edges."""
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML does not allow."""
STYLE = f"""
svg {{ --back: #fff; --box: #fff; --line: #adb5bd; --border: #ced4da; --text: #1b2330; --muted: #5c6675;
  --scope: #f6f8ff; --scope-border: #d3dbf4; --bad: #c92a2a; --bad-back: #fff5f5; --accent: #3b5bdb;
  --mark: #eef1fb; --mark-text: #33418a; --good: #2b8a3e; --good-back: #ebfbee }}
@media (prefers-color-scheme: dark) {{ svg {{ --back: #14181f; --box: #1d232d; --line: #6b7686; --border: #3a4352;
  --text: #e6e9ef; --muted: #a3adbd; --scope: #181e29; --scope-border: #2e3a55; --bad: #ff8787; --bad-back: #2d1c1f;
  --accent: #91a7ff; --mark: #262f47; --mark-text: #bac8ff; --good: #8ce99a; --good-back: #16281b }} }}
text {{ font-family: Inter, system-ui, "DejaVu Sans", sans-serif; fill: var(--text) }}
.back {{ fill: var(--back) }}
.box {{ fill: var(--box); stroke: var(--border); stroke-width: 1.2 }}
.condition .box, .switch .box {{ stroke: var(--accent) }}
.loop .box, .parallel .box {{ fill: var(--scope); stroke: var(--scope-border) }}
.missing .box {{ fill: var(--bad-back); stroke: var(--bad); stroke-dasharray: 4 3 }}
.scope {{ fill: var(--box); fill-opacity: .6; stroke: var(--scope-border); stroke-dasharray: 5 4 }}
.body {{ fill: none; stroke: var(--scope-border) }}
.title {{ font-size: {TITLE_SIZE}px; font-weight: 600 }}
.detail, .branch {{ font-size: {DETAIL_SIZE}px; fill: var(--muted) }}
.mark rect {{ fill: var(--mark) }}
.mark text {{ font-size: {SMALL_SIZE}px; fill: var(--mark-text) }}
.on_error rect, .compensate rect {{ fill: var(--bad-back) }}
.on_error text, .compensate text {{ fill: var(--bad) }}
.edge {{ fill: none; stroke: var(--line); stroke-width: 1.5 }}
.error {{ stroke: var(--bad); stroke-dasharray: 5 3 }}
.good .box {{ fill: var(--good-back); stroke: var(--good) }}
.bad .box {{ fill: var(--bad-back); stroke: var(--bad); stroke-width: 2 }}
.edge.good {{ stroke: var(--good) }}
.edge.bad {{ stroke: var(--bad); stroke-width: 2.5 }}
.exit, .entry {{ stroke-dasharray: 2 3 }}
.tip {{ fill: var(--line) }}
.error-tip {{ fill: var(--bad) }}
.label {{ font-size: {SMALL_SIZE}px; fill: var(--muted); text-anchor: middle; paint-order: stroke;
  stroke: var(--back); stroke-width: 4px; stroke-linejoin: round }}
"""
TIPS = "".join(
    f'<marker id="{name}" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto" '
    f'markerUnits="userSpaceOnUse"><path class="{name}" d="M0 0L8 4L0 8z"/></marker>'
    for name in ("tip", "error-tip")
)


def draw_svg(layout: Layout, title: str = "", overlay: Overlay = PLAIN) -> str:
    """Return a layout as an SVG document, with a final newline."""
    size = f'width="{layout.width}" height="{layout.height}" viewBox="0 0 {layout.width} {layout.height}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={_quote(title or "Workflow")}>',
            f"<title>{_escape(title or 'Workflow')}</title>",
            f"<style>{escape(STYLE)}</style>",
            f"<defs>{TIPS}</defs>",
            '<rect class="back" width="100%" height="100%"/>',
            *_draw_boxes(layout, overlay),
            *(_draw_edge(edge, overlay) for edge in layout.edges),
            *(_draw_label(edge) for edge in layout.edges if edge.label),
            "</svg>\n",
        )
    )


def _draw_boxes(layout: Layout, overlay: Overlay) -> Iterator[str]:
    """Yield each box, followed by the rectangles of the scopes in it."""
    frames: dict[str, list[ScopeFrame]] = {}
    for frame in layout.scopes:
        frames.setdefault(frame.owner, []).append(frame)
    for box in layout.boxes:
        yield _draw_box(box, overlay)
        yield from map(_draw_frame, frames.get(box.id, ()))


def _draw_box(box: Box, overlay: Overlay) -> str:
    emphasis = overlay.nodes.get(box.id)
    words = [box.name, box.detail, *(mark.text for mark in box.marks), emphasis.note if emphasis else ""]
    mood = f" {emphasis.mood}" if emphasis else ""
    parts = [
        f'<g class="node {_name_class(box.type)}{mood}" data-node={_quote(box.id)} data-scope={_quote(box.scope)}>',
        f"<title>{_escape(' · '.join(filter(None, words)))}</title>",
        f"<desc>{_escape(box.description)}</desc>" if box.description else "",
        _draw_rectangle("box", box, 10),
        _draw_text("title", box.x + TEXT_LEFT, box.y + TITLE_BASELINE, box.title),
        _draw_text("detail", box.x + TEXT_LEFT, box.y + DETAIL_BASELINE, box.detail) if box.detail else "",
        *map(_draw_mark, box.marks),
        "</g>",
    ]
    return "".join(parts)


def _draw_frame(frame: ScopeFrame) -> str:
    if not frame.title:
        return f'<path class="body" d="M{frame.x} {frame.y}h{frame.width}"/>'
    title = _draw_text("branch", frame.x + 10, frame.y + 16, frame.title)
    return f"<g data-scope={_quote(frame.path)}>{_draw_rectangle('scope', frame, 8)}{title}</g>"


def _draw_mark(mark: Mark) -> str:
    text = _draw_text("", mark.x + 8, mark.y + 13, mark.text)
    return f'<g class="mark {mark.kind}">{_draw_rectangle("", mark, 9)}{text}</g>'


def _draw_edge(edge: LaidEdge, overlay: Overlay) -> str:
    emphasis = overlay.edges.get((edge.source, edge.port, edge.target))
    kind = "error" if edge.port == "error" else ""
    tip = "error-tip" if kind else "tip"
    mood = f" {emphasis.mood}" if emphasis else ""
    path = (
        f'<path class="edge {edge.kind} {kind}{mood}" data-source={_quote(edge.source)} data-port={_quote(edge.port)} '
        f'data-target={_quote(edge.target)} d="{draw_path(edge.points)}" marker-end="url(#{tip})"'
    )
    return f"{path}><title>{_escape(emphasis.note)}</title></path>" if emphasis else f"{path}/>"


def _draw_label(edge: LaidEdge) -> str:
    return _draw_text("label", edge.label_x, edge.label_y, edge.label)


def draw_path(points: tuple[Point, ...]) -> str:
    """Return the path data of a line with round corners."""
    parts = [f"M{points[0][0]} {points[0][1]}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near, far = _approach(corner, before), _approach(corner, after)
        parts.append(f"L{near[0]:g} {near[1]:g}Q{corner[0]} {corner[1]} {far[0]:g} {far[1]:g}")
    return "".join(parts) + f"L{points[-1][0]} {points[-1][1]}"


def _approach(corner: Point, other: Point) -> tuple[float, float]:
    """Return the point on the way from a corner to another point where its rounding ends."""
    x, y = other[0] - corner[0], other[1] - corner[1]
    length = (x * x + y * y) ** 0.5 or 1.0
    share = min(RADIUS, length / 2) / length
    return round(corner[0] + x * share, 1), round(corner[1] + y * share, 1)


def _draw_rectangle(kind: str, place: Box | ScopeFrame | Mark, radius: int) -> str:
    size = f'x="{place.x}" y="{place.y}" width="{place.width}" height="{place.height}" rx="{radius}"'
    return f'<rect class="{kind}" {size}/>' if kind else f"<rect {size}/>"


def _draw_text(kind: str, x: int, y: int, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{_escape(text)}</text>'


def _name_class(kind: str) -> str:
    return kind if kind.isascii() and kind.isalpha() else "unknown"


def _escape(text: str) -> str:
    return escape(ILLEGAL.sub("", text))


def _quote(text: str) -> str:
    return quoteattr(ILLEGAL.sub("", text))
