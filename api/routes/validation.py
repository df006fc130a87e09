"""Check definitions without saving them."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator

from api.access import Caller, Reader
from api.json_bodies import StrictRoute, YamlText
from api.models.forecasts import parse_sizes, require_sizes
from api.models.workflows import (
    Definition,
    NameView,
    ValidationRequest,
    ValidationResult,
    ValidationResults,
    make_validation_result,
)
from api.problems import describe_problems
from api.services import ServicesDep
from orchestrator.jsontools.positions import Position
from orchestrator.service.services import Services
from orchestrator.service.yaml_bodies import locate_in_yaml

router = APIRouter(prefix="/workflows", tags=["workflows"], route_class=StrictRoute)


@router.post(
    "/validate", operation_id="validateWorkflow", responses=describe_problems(400, 401, 403, 404, 413, 422, 429, 503)
)
async def validate_workflow(
    definition: Definition,
    services: ServicesDep,
    caller: Reader,
    text: YamlText,
    at: Annotated[
        str | None,
        Query(
            pattern="^/",
            max_length=2_000,
            description="JSON Pointer to a value, such as `/nodes/2/config/message`: the answer has the names that can "
            "be read there, with their types.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        AfterValidator(require_sizes),
        Query(
            max_length=20_000,
            description="Sizes for which to forecast the history of a run, as JSON: `{}` takes the defaults.",
            examples=['{"items": {"each": 1000}}'],
        ),
    ] = None,
) -> ValidationResult:
    """Return every problem of a definition, without saving it. Of a body in YAML each has its line and column.

    With `budget` also what a run adds to Temporal's history: events, bytes and workflow tasks, by node and child
    workflow.
    """
    verdict = await services.plans.check(caller.creates_for, definition)
    positions = await _locate(services, caller, text, [each.path for each in verdict.problems])
    result = make_validation_result(verdict, positions)
    if at is not None:
        names = await services.plans.list_names(caller.creates_for, definition, at)
        result.names = [NameView.model_validate(each) for each in names]
    result.forecast = await services.plans.forecast(caller.creates_for, verdict, parse_sizes(budget))
    return result


async def _locate(
    services: Services, caller: Caller, text: str | None, pointers: Sequence[str]
) -> Iterator[Position] | None:
    """Return the positions of pointers into a YAML body; `None` for one in JSON."""
    if text is None or not pointers:
        return None
    return iter(await services.plans.call(caller.creates_for, locate_in_yaml, text, pointers))


@router.post(
    "/validate-all",
    operation_id="validateWorkflows",
    responses=describe_problems(400, 401, 403, 404, 413, 422, 429, 503),
)
async def validate_workflows(
    request: ValidationRequest, services: ServicesDep, caller: Reader, text: YamlText
) -> ValidationResults:
    """Return every problem of several definitions, which may call each other, without saving them.

    Of a body in YAML each has its line and column.
    """
    verdicts = await services.plans.check_together(caller.creates_for, request.workflows)
    pointers = [f"/workflows/{index}{each.path}" for index, verdict in enumerate(verdicts) for each in verdict.problems]
    positions = await _locate(services, caller, text, pointers)
    results = [make_validation_result(each, positions) for each in verdicts]
    for verdict, result in zip(verdicts, results, strict=True):
        result.forecast = await services.plans.forecast(caller.creates_for, verdict, request.budget)
    return ValidationResults(customer_id=caller.creates_for, results=results)
