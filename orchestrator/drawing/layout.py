"""The layout of a graph: boxes and edges with their coordinates, as JSON. No behaviour.

Coordinates are pixels from the top left corner. In a box the text begins `TEXT_LEFT` from its left; the title has its
baseline `TITLE_BASELINE` below its top, the line of details `DETAIL_BASELINE`. Text is cut so that it stays in its box
in any usual sans serif font, with titles at `TITLE_SIZE` in bold, details at `DETAIL_SIZE`, marks and labels at
`SMALL_SIZE`.
"""

from typing import Literal

from pydantic import Field

from orchestrator.model.plan import Frozen

TEXT_LEFT, TITLE_BASELINE, DETAIL_BASELINE = 14, 22, 38
TITLE_SIZE, DETAIL_SIZE, SMALL_SIZE = 13, 11, 11

Point = tuple[int, int]
MarkKind = Literal["when", "retry", "timeout", "on_error", "compensate"]
EdgeKind = Literal["forward", "back", "entry", "exit", "onward"]


class Mark(Frozen):
    """A setting of a node that changes how it runs, in words."""

    kind: MarkKind = Field(description="The setting.")
    text: str = Field(description="What it says, such as `up to 5 attempts`.")
    x: int = Field(description="Left of the mark.")
    y: int = Field(description="Top of the mark.")
    width: int = Field(description="Width of the mark.")
    height: int = Field(description="Height of the mark.")


class Box(Frozen):
    """A node. The box of a loop or a parallel holds its scopes."""

    id: str = Field(description="Node ID; `trigger` is the start.")
    type: str = Field(description="Node type; `missing` for an ID that an edge names and no node has.")
    scope: str = Field(
        description="Path of the scope that the node is in, as in the path of its steps without the numbers of "
        "iterations: empty for the workflow, `each` for the body of a loop, `each/fan[0]` for a branch."
    )
    name: str = Field(description="Name of the node, or its ID.")
    description: str = Field(description="Description of the node.")
    title: str = Field(description="The name, cut to fit.")
    detail: str = Field(description="The line below it: what the node does, cut to fit.")
    x: int = Field(description="Left of the box.")
    y: int = Field(description="Top of the box.")
    width: int = Field(description="Width of the box.")
    height: int = Field(description="Height of the box.")
    marks: tuple[Mark, ...] = Field(description="Settings of the node, in words.")
    folded: tuple[str, ...] = Field((), description="IDs of the nodes that a folded loop or parallel holds.")


class ScopeFrame(Frozen):
    """The body of a loop, or a branch of a parallel: a rectangle in the box of its owner."""

    path: str = Field(description="Path of the scope, as `scope` of the boxes in it.")
    owner: str = Field(description="ID of the loop or parallel.")
    title: str = Field(description="`branch 1`, or empty for the body of a loop.")
    x: int = Field(description="Left of the rectangle.")
    y: int = Field(description="Top of the rectangle.")
    width: int = Field(description="Width of the rectangle.")
    height: int = Field(description="Height of the rectangle.")


class LaidEdge(Frozen):
    """An edge, as a line of horizontal and vertical pieces that ends in an arrow."""

    kind: EdgeKind = Field(
        description="`forward` or `back` to an earlier node, both between boxes of one scope; `entry` from the top of "
        "a scope to where it begins; `exit` to the bottom of a scope, where the path of an iteration or branch ends; "
        "`onward` from a loop or parallel to where exits of its scopes lead, followed once, after it has ended."
    )
    source: str = Field(description="ID of the node that it leaves.")
    port: str = Field(description="Port that it leaves by; empty for `onward`.")
    target: str = Field(description="ID of the node that it leads to.")
    scope: str = Field(description="Path of the scope that it is drawn in.")
    label: str = Field(description="Its label, cut to fit; empty on all but the first edge of a port.")
    label_x: int = Field(description="Horizontal centre of the label.")
    label_y: int = Field(description="Baseline of the label.")
    points: tuple[Point, ...] = Field(description="Ends and corners of the line, from its source on.")


class Layout(Frozen):
    """A graph with the coordinates of its boxes and edges."""

    width: int = Field(description="Width of the drawing.")
    height: int = Field(description="Height of the drawing.")
    boxes: tuple[Box, ...] = Field(description="The nodes by rank, each before what it holds.")
    scopes: tuple[ScopeFrame, ...] = Field(description="Bodies and branches, each before those inside it.")
    edges: tuple[LaidEdge, ...] = Field(description="The edges.")
