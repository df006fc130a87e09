"""Lay out the graph of a definition: arrange its scopes from the inside out, then place them from the outside in."""

from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.drawing.arrangement import Arrangement, arrange_scope
from orchestrator.drawing.boxes import MARK_HEIGHT, BoxDraft
from orchestrator.drawing.diagram import build_drawing
from orchestrator.drawing.folding import fold_scopes
from orchestrator.drawing.layout import SMALL_SIZE, Box, LaidEdge, Layout, Mark, Point, ScopeFrame
from orchestrator.drawing.routes import STUB
from orchestrator.drawing.scope_tree import TreeBuilder, TreeEdge, TreeNode, TreeScope
from orchestrator.drawing.text_width import clean_text, measure_text
from orchestrator.model.definition import Definition
from orchestrator.planner.parse import parse_definition
from orchestrator.planner.report import Report

BORDER = 20
"""Around the whole drawing."""
LABEL_Y = 13
"""Baseline of a label below its box."""
MAX_NAME, MAX_DESCRIPTION = 500, 5_000


def lay_out(definition: Definition | Mapping[str, Any], opened: Collection[str] | None = None) -> Layout:
    """Return the layout of a definition; an invalid one is laid out as far as possible.

    `opened` folds the boxes of a large graph but those with these IDs.
    """
    parsed = parse_definition(definition, Report()) or Definition()
    scopes = TreeBuilder(parsed, build_drawing(parsed)).build()
    if opened is not None:
        scopes = fold_scopes(scopes, opened)
    arranged: dict[str, Arrangement] = {}
    for scope in reversed(scopes):
        arranged[scope.path] = arrange_scope(scope, arranged)
    return _Composer(scopes, arranged).compose()


class _Composer:
    """Places arranged scopes in the coordinates of the whole."""

    def __init__(self, scopes: list[TreeScope], arranged: Mapping[str, Arrangement]) -> None:
        self.scopes = scopes
        self.arranged = arranged
        self.origins: dict[str, Point] = {scopes[0].path: (BORDER, BORDER)}
        self.spans: dict[str, tuple[int, int]] = {}
        """Top and bottom of the rectangle of each scope."""
        self.boxes: list[Box] = []
        self.frames: list[ScopeFrame] = []
        self.edges: list[LaidEdge] = []

    def compose(self) -> Layout:
        for scope in self.scopes:
            arrangement = self.arranged[scope.path]
            for node in scope.nodes:
                self._add_box(scope, node, arrangement)
            self._add_edges(scope, arrangement)
        whole = self.arranged[self.scopes[0].path]
        return Layout.model_construct(
            width=whole.width + 2 * BORDER,
            height=whole.height + 2 * BORDER,
            boxes=tuple(self.boxes),
            scopes=tuple(self.frames),
            edges=tuple(self.edges),
        )

    def _add_box(self, scope: TreeScope, node: TreeNode, arrangement: Arrangement) -> None:
        draft, origin, place = arrangement.drafts[node.id], self.origins[scope.path], arrangement.places[node.id]
        x, y = origin[0] + place[0], origin[1] + place[1]
        self.boxes.append(
            Box.model_construct(
                id=node.id,
                type=node.type,
                scope=scope.path,
                name=clean_text(node.name[:MAX_NAME]),
                description=node.description[:MAX_DESCRIPTION],
                title=draft.title,
                detail=draft.detail,
                x=x,
                y=y,
                width=draft.width,
                height=draft.height,
                marks=_place_marks(draft, x, y),
                folded=node.folded,
            )
        )
        for inner in node.scopes:
            frame = arrangement.frames[inner.path]
            self.origins[inner.path] = x + frame.content_x, y + frame.content_y
            self.spans[inner.path] = y + frame.y, y + frame.y + frame.height
            self.frames.append(
                ScopeFrame.model_construct(
                    path=inner.path,
                    owner=node.id,
                    title=inner.title,
                    x=x + frame.x,
                    y=y + frame.y,
                    width=frame.width,
                    height=frame.height,
                )
            )

    def _add_edges(self, scope: TreeScope, arrangement: Arrangement) -> None:
        left, top = self.origins[scope.path]
        labelled: set[tuple[str, str]] = set()
        number = {node.id: at for at, node in enumerate(scope.nodes)}
        for edge, path in zip(scope.edges, arrangement.paths, strict=True):
            points = [(left + x, top + y) for x, y in path]
            kind, label, at = edge.kind, "", points[0]
            if kind == "entry":
                points[0] = points[0][0], self.spans[scope.path][0]
            else:
                draft = arrangement.drafts[edge.source.id]
                at = _place_label(edge, draft, points)
                label = "" if (edge.source.id, edge.port) in labelled else draft.labels[edge.port]
                labelled.add((edge.source.id, edge.port))
            if kind == "exit":
                points[-1] = points[-1][0], self.spans[scope.path][1]
            elif kind == "forward" and number[edge.target.id] <= number[edge.source.id]:
                kind = "back"
            self.edges.append(
                LaidEdge.model_construct(
                    kind=kind,
                    source=edge.source.id,
                    port=edge.port,
                    target=edge.target.id,
                    scope=scope.path,
                    label=label,
                    label_x=at[0],
                    label_y=at[1],
                    points=tuple(points),
                )
            )


def _place_label(edge: TreeEdge, draft: BoxDraft, points: list[Point]) -> Point:
    """Return the middle of the baseline of a label: below its port, or beside a port at the side."""
    (x, y), (after, level) = points[0], points[1]
    half = round(measure_text(draft.labels[edge.port], SMALL_SIZE) / 2)
    if y != level:
        return x, y + LABEL_Y
    if after - x > STUB:
        return x + half + 6, y - 5
    return x + half + 6, y + 16


def _place_marks(draft: BoxDraft, x: int, y: int) -> tuple[Mark, ...]:
    return tuple(
        Mark.model_construct(
            kind=mark.kind, text=mark.text, x=x + mark.x, y=y + mark.y, width=mark.width, height=MARK_HEIGHT
        )
        for mark in draft.marks
    )
