"""Serve the OpenAPI 3.1 description, with corrections to what FastAPI generates."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api import docs_page
from api.access import require_known_caller
from api.examples import RESPONSES
from api.json_bodies import YAML_TYPES
from api.problems import ProblemDetails
from orchestrator.drawing.layout import Layout
from orchestrator.model.definition import build_definition_schema
from orchestrator.temporal.history.stream_events import RunEvent, SignalEvent, StepEvent

SCHEMAS = "#/components/schemas/"
DEFINITION = {"$ref": f"{SCHEMAS}Definition"}
TAKES_DEFINITION = ("createWorkflow", "saveWorkflow", "validateWorkflow", "layOutDefinition")
TAKES_YAML = (*TAKES_DEFINITION, "validateWorkflows", "runDefinition")
"""Operations that document YAML, in which people write definitions; the others take it, too."""
STREAM_EVENTS = (RunEvent, StepEvent, SignalEvent)
EVENT_STREAM = "text/event-stream"
EVENTS = "Server-sent events. `data` is JSON; its schema depends on the event name: " + ", ".join(
    f"`{model.event}` is `{model.__name__}`" for model in STREAM_EVENTS
)


def install(app: FastAPI, prefix: str) -> None:
    """Serve the description to the same callers as the API."""
    generate = app.openapi
    router = APIRouter(include_in_schema=False, dependencies=[Depends(require_known_caller)])

    @cache
    def openapi() -> dict[str, Any]:
        return complete_document(generate())

    @router.get(f"{prefix}/openapi.json")
    async def get_document() -> JSONResponse:
        return JSONResponse(openapi())

    docs_page.install(router, f"{prefix}/openapi.json", app.title)
    # The documented way to extend FastAPI's OpenAPI.
    app.openapi = openapi  # type: ignore[method-assign]
    app.include_router(router)


def complete_document(document: dict[str, Any]) -> dict[str, Any]:
    """Add the schemas that routes reference by name, and correct what is not OpenAPI 3.1."""
    schemas = document["components"]["schemas"]
    for model in (ProblemDetails, Layout, *STREAM_EVENTS):
        schema = model.model_json_schema(mode="serialization", ref_template=f"{SCHEMAS}{{model}}")
        schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
    schemas |= _read_definition_schemas()
    for response_model, example in RESPONSES.items():
        schemas[name_component(response_model)]["examples"] = [example]
    for method, operation in _iterate_operations(document):
        for response in operation["responses"].values():
            if method == "head":  # its answers have no body, which a generated client would parse
                response.pop("content", None)
            for kind, content in response.get("content", {}).items():
                _correct_content(kind, content)
        _correct_optional_body(operation.get("requestBody", {}))
        if operation["operationId"] in TAKES_DEFINITION:
            operation["requestBody"]["content"]["application/json"]["schema"] = DEFINITION
        if operation["operationId"] in TAKES_YAML:
            bodies = operation["requestBody"]["content"]
            bodies[YAML_TYPES[0]] = {"schema": bodies["application/json"]["schema"]}
    return document


def name_component(model: type[BaseModel]) -> str:
    """Return the component name of a model; brackets are not allowed in one."""
    return re.sub(r"[^\w.-]", "_", model.__name__)


def _iterate_operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in document["paths"].values():
        yield from methods.items()


def _correct_optional_body(body: dict[str, Any]) -> None:
    """Describe a body that may be left out by its schema alone: generated clients send `null`, or fail, for others."""
    for content in body.get("content", {}).values():
        match content["schema"].get("anyOf"):
            case [{"$ref": reference}, {"type": "null"}] if not body.get("required"):
                content["schema"] = {"$ref": reference}


def _correct_content(kind: str, content: dict[str, Any]) -> None:
    """Describe event streams in prose, since `itemSchema` is OpenAPI 3.2; keep a `$ref` without siblings."""
    if kind == EVENT_STREAM:
        content.pop("itemSchema", None)
        content["schema"] = {"type": "string", "description": EVENTS}
    schema = content.get("schema", {})
    if "$ref" in schema:
        content["schema"] = {"$ref": schema["$ref"]}


def _read_definition_schemas() -> dict[str, Any]:
    """Return the schemas of a definition and of its parts as components."""
    schema = json.loads(json.dumps(build_definition_schema()).replace("#/$defs/", SCHEMAS))
    del schema["$schema"]
    return {**schema.pop("$defs"), "Definition": schema}
