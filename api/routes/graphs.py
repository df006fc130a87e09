"""Draw graphs: of working copies, versions, runs and unsaved definitions."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from api.access import Reader
from api.fields import RunId, Version, WorkflowId
from api.json_bodies import StrictRoute
from api.models.edges import EdgeCountsView
from api.models.workflows import Definition
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.drawing.formats import MEDIA_TYPES, Format
from orchestrator.drawing.layout import Layout
from orchestrator.service.graphs import Graph, make_draft_graph, make_unsaved_graph, make_version_graph
from orchestrator.service.services import Services

router = APIRouter(tags=["graphs"], route_class=StrictRoute)
PICTURE_ONLY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Names of nodes are in the picture: no script in them may run."""
DRAWN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The graph.",
        "headers": {"ETag": {"description": "For If-None-Match.", "schema": {"type": "string"}, "required": True}},
        "content": {
            "text/vnd.mermaid": {"schema": {"type": "string"}},
            "image/svg+xml": {"schema": {"type": "string"}},
            "application/json": {"schema": {"$ref": "#/components/schemas/Layout"}},
        },
    },
    304: {"description": "The graph has not changed since it was read."},
    **describe_problems(401, 403, 404, 409, 422, 429, 503),
}
DrawingFormat = Annotated[
    Format,
    Query(
        alias="format",
        description="`mermaid`: text for Mermaid. `svg`: a picture. `layout`: boxes and edges with their coordinates.",
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(max_length=1000, description="ETag of the graph that is already known; the answer is then 304.")
]


Opened = Annotated[
    list[str] | None,
    Query(
        alias="open",
        max_length=500,
        description="With `layout`: of a graph with more than 400 nodes, only these loops and parallels are drawn with "
        "what they hold, by ID; the others are folded. An empty one folds all.",
    ),
]


async def _respond(
    services: Services, graph: Graph, drawing_format: Format, if_none_match: str | None, opened: list[str] | None
) -> Response:
    """Draw a graph, or answer 304 where the client has the drawing."""
    etag = graph.format_etag(drawing_format, opened)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and etag in {each.strip().removeprefix("W/") for each in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    text = await services.graphs.draw(graph, drawing_format, opened)
    if drawing_format == "svg":
        headers["Content-Security-Policy"] = PICTURE_ONLY
    return Response(text, media_type=MEDIA_TYPES[drawing_format], headers=headers)


@router.post(
    "/workflows/layout",
    operation_id="layOutDefinition",
    response_model=Layout,
    responses=describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503),
)
async def lay_out_definition(
    definition: Definition, services: ServicesDep, caller: Reader, opened: Opened = None
) -> Response:
    """Lay out a definition without saving it: boxes and edges with coordinates. An invalid one as far as possible."""
    text = await services.graphs.draw(make_unsaved_graph(caller.creates_for, definition), "layout", opened)
    return Response(text, media_type=MEDIA_TYPES["layout"])


@router.get("/workflows/{workflow_id}/graph", operation_id="drawWorkflow", response_class=Response, responses=DRAWN)
async def draw_workflow(
    workflow_id: WorkflowId,
    services: ServicesDep,
    caller: Reader,
    drawing_format: DrawingFormat = "mermaid",
    if_none_match: IfNoneMatch = None,
    opened: Opened = None,
) -> Response:
    """Draw the working copy of a workflow."""
    stored = await services.workflows.get(caller.customer_id, workflow_id)
    return await _respond(services, make_draft_graph(stored), drawing_format, if_none_match, opened)


@router.get(
    "/workflows/{workflow_id}/versions/{version}/graph",
    operation_id="drawVersion",
    response_class=Response,
    responses=DRAWN,
)
async def draw_version(
    workflow_id: WorkflowId,
    version: Version,
    services: ServicesDep,
    caller: Reader,
    drawing_format: DrawingFormat = "mermaid",
    if_none_match: IfNoneMatch = None,
    opened: Opened = None,
) -> Response:
    """Draw a published version."""
    published = await services.workflows.get_version(caller.customer_id, workflow_id, version)
    return await _respond(services, make_version_graph(published), drawing_format, if_none_match, opened)


@router.get(
    "/workflows/{workflow_id}/versions/{version}/edges",
    operation_id="countEdges",
    responses=describe_problems(401, 403, 404, 422, 429, 503),
)
async def count_edges(
    workflow_id: WorkflowId, version: Version, services: ServicesDep, caller: Reader
) -> EdgeCountsView:
    """Count which edges the last runs of a version took: those in the archive that completed or failed, 100 at most.

    Of runs with more steps than their documents keep, the newest steps count.
    """
    counts = await services.edge_counter.count(caller.customer_id, workflow_id, version)
    return EdgeCountsView.model_validate(counts, from_attributes=True)


@router.get("/runs/{run_id}/graph", operation_id="drawRun", response_class=Response, responses=DRAWN)
async def draw_run(
    run_id: RunId,
    services: ServicesDep,
    caller: Reader,
    drawing_format: DrawingFormat = "mermaid",
    if_none_match: IfNoneMatch = None,
    opened: Opened = None,
) -> Response:
    """Draw the graph that a run executes: that of its version, or of its own definition if it has no version."""
    graph = await services.graphs.find_run_graph(caller.customer_id, run_id)
    return await _respond(services, graph, drawing_format, if_none_match, opened)
