"""The API's description of itself: OpenAPI 3.1, completed where FastAPI says less or other than is true."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

from api.access import local_only
from api.examples import ANSWERS
from api.json_bodies import Route
from api.models.workflows import GraphView
from api.problems import ProblemDetails
from orchestrator.model.definition import json_schema
from orchestrator.temporal.history.stream_events import RunNews, SignalNews, StepNews

SCHEMAS = "#/components/schemas/"
DEFINITION = {"$ref": f"{SCHEMAS}Definition"}
TAKES_DEFINITION = ("createWorkflow", "saveWorkflow", "validateWorkflow")
NEWS = (RunNews, StepNews, SignalNews)
EVENT_STREAM = "text/event-stream"
EVENTS = "Server-sent events; `data` is JSON, by the name of the event: " + ", ".join(
    f"`{model.event}` has `{model.__name__}`" for model in NEWS
)


def install(app: FastAPI, prefix: str) -> None:
    """Serve the description, to whom the API itself would answer."""
    made = app.openapi
    router = APIRouter(route_class=Route, include_in_schema=False, dependencies=[Depends(local_only)])

    @cache
    def openapi() -> dict[str, Any]:
        return completed(made())

    @router.get(f"{prefix}/openapi.json")
    async def document() -> JSONResponse:
        return JSONResponse(openapi())

    @router.get("/docs")
    async def page() -> HTMLResponse:
        # Relative: a proxy may serve us under a path of its own.
        return get_swagger_ui_html(openapi_url=f"{prefix}/openapi.json".lstrip("/"), title=app.title)

    # The way that FastAPI names to add to its description.
    app.openapi = openapi  # type: ignore[method-assign]
    app.include_router(router)


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Add what routes refer to by name, and mend what is no OpenAPI 3.1."""
    schemas = document["components"]["schemas"]
    for model in (ProblemDetails, GraphView, *NEWS):
        schema = model.model_json_schema(mode="serialization", ref_template=f"{SCHEMAS}{{model}}")
        schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
    schemas |= _definition()
    for answered, example in ANSWERS.items():
        schemas[component(answered)]["examples"] = [example]
    for operation in _operations(document):
        for answer in operation["responses"].values():
            for kind, content in answer.get("content", {}).items():
                _mend(kind, content)
        if operation["operationId"] in TAKES_DEFINITION:
            operation["requestBody"]["content"]["application/json"]["schema"] = DEFINITION
    return document


def component(model: type[BaseModel]) -> str:
    """Name the schema of a model; brackets stand in no name of a component."""
    return re.sub(r"[^\w.-]", "_", model.__name__)


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _mend(kind: str, content: dict[str, Any]) -> None:
    """Describe a stream by words, since `itemSchema` is OpenAPI 3.2; where a model was named, it is the answer."""
    if kind == EVENT_STREAM:
        content.pop("itemSchema", None)
        content["schema"] = {"type": "string", "description": EVENTS}
    schema = content.get("schema", {})
    if "$ref" in schema:
        content["schema"] = {"$ref": schema["$ref"]}


def _definition() -> dict[str, Any]:
    """Give the schemas of a definition and of its parts, as components."""
    schema = json.loads(json.dumps(json_schema()).replace("#/$defs/", SCHEMAS))
    del schema["$schema"]
    return {**schema.pop("$defs"), "Definition": schema}
