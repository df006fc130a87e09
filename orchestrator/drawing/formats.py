"""Draw a definition in each format that is offered."""

from collections.abc import Collection, Mapping
from typing import Any, Literal, assert_never

from orchestrator.drawing.graph_layout import lay_out
from orchestrator.drawing.mermaid import draw_mermaid
from orchestrator.drawing.plan_definition import restore_definition
from orchestrator.drawing.svg import draw_svg
from orchestrator.model.plan import Plan

Format = Literal["mermaid", "svg", "layout"]
MEDIA_TYPES: dict[Format, str] = {
    "mermaid": "text/vnd.mermaid; charset=utf-8",
    "svg": "image/svg+xml",
    "layout": "application/json",
}
DRAWING_REVISION = 3
"""Raised when the same definition is drawn differently: cached drawings are then read again."""


def draw(definition: Mapping[str, Any], drawing_format: Format, opened: Collection[str] | None = None) -> str:
    """Return a definition as Mermaid text, as SVG, or as the JSON of its layout; also an invalid one.

    `opened` folds the boxes of a large layout but those with these IDs.
    """
    match drawing_format:
        case "mermaid":
            return draw_mermaid(definition)
        case "svg":
            return draw_svg(lay_out(definition), str(definition.get("name") or definition.get("id") or ""))
        case "layout":
            return lay_out(definition, opened).model_dump_json()
        case _:
            assert_never(drawing_format)


def draw_plan(recorded: Mapping[str, Any], drawing_format: Format, opened: Collection[str] | None = None) -> str:
    """Return a recorded plan in a format: `{plan, trigger_type}`, the plan as JSON."""
    plan = Plan.model_validate(recorded["plan"])
    return draw(restore_definition(plan, recorded["trigger_type"]), drawing_format, opened)
