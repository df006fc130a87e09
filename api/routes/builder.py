"""Catalogues for a workflow builder: actions, functions, operators, presets, the definition schema."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from api.access import Reader
from api.json_bodies import StrictRoute
from api.models.builder import (
    ActionView,
    ConditionResult,
    ConditionTrial,
    FunctionView,
    OperatorView,
    PresetView,
    TemplateTrial,
    VariablesView,
)
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.language import FUNCTIONS, PIPES
from orchestrator.language.arithmetic import INFIX
from orchestrator.language.presets import OPERATORS_BY_TYPE, PRESETS, FieldType
from orchestrator.planner.editor_schema import build_editor_schema
from orchestrator.service.expressions import list_variables, try_condition

router = APIRouter(tags=["builder"], route_class=StrictRoute)
TRIAL = describe_problems(400, 401, 403, 404, 413, 422, 429, 503)
READ = describe_problems(401, 403, 404, 422, 429, 503)


@router.get("/actions", operation_id="listActions", responses=READ)
async def list_actions(services: ServicesDep, caller: Reader) -> list[ActionView]:
    """List the actions that nodes can call, with the schemas of their parameters and results."""
    return [ActionView.model_validate(each) for each in services.registry.describe()]


@router.get("/schema", operation_id="getDefinitionSchema", responses=READ)
async def get_schema(services: ServicesDep, caller: Reader) -> dict[str, Any]:
    """Return the JSON Schema of a definition for editors, with the parameters of all actions."""
    return build_editor_schema(services.registry.describe())


@router.get("/functions", operation_id="listFunctions", responses=READ)
async def list_functions(caller: Reader) -> list[FunctionView]:
    """List the functions, pipes and operators of the expression language."""
    tables: tuple[tuple[Literal["function", "pipe", "operator"], Any], ...] = (
        ("function", FUNCTIONS),
        ("pipe", PIPES),
        ("operator", INFIX),
    )
    return [
        FunctionView(
            name=each.name, kind=kind, signature=each.signature, description=each.description, example=each.example
        )
        for kind, table in tables
        for each in table.values()
    ]


@router.get("/conditions/operators", operation_id="listOperators", responses=READ)
async def list_operators(
    caller: Reader,
    type: Annotated[FieldType, Query(description="Field type.")] = "string",  # noqa: A002 - SPEC §10
) -> list[OperatorView]:
    """List the condition operators that apply to a field type, in display order."""
    return [OperatorView.model_validate(each) for each in OPERATORS_BY_TYPE[type]]


@router.get("/conditions/presets", operation_id="listPresets", responses=READ)
async def list_presets(caller: Reader) -> list[PresetView]:
    """List the predefined conditions."""
    return [PresetView.model_validate(preset.to_json()) for preset in PRESETS.values()]


@router.post("/variables", operation_id="listVariables", responses=TRIAL)
async def find_variables(body: TemplateTrial, services: ServicesDep, caller: Reader) -> VariablesView:
    """List the paths that a template reads, and those that are null or missing in a context."""
    found = await services.plans.call(caller.creates_for, list_variables, body.template, body.context)
    return VariablesView.model_validate(found)


@router.post("/conditions/evaluate", operation_id="evaluateCondition", responses=TRIAL)
async def evaluate_condition(body: ConditionTrial, services: ServicesDep, caller: Reader) -> ConditionResult:
    """Evaluate one condition on the given data."""
    found = await services.plans.call(caller.creates_for, try_condition, body.condition, body.context)
    return ConditionResult.model_validate(found)
