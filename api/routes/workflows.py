"""Save, publish, pause, archive and roll back definitions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from api.access import Caller, Editor, Reader
from api.audit import note_change
from api.fields import MAX_VERSION, IdPrefix, IfMatch, Version, WorkflowId, format_etag, require_revision
from api.json_bodies import YAML_TYPES, AcceptedTypes, StrictRoute, YamlText
from api.models.workflows import (
    ActivatedWorkflow,
    CalledWorkflow,
    ChangeView,
    ComparisonView,
    Definition,
    HeldCallView,
    PausedWorkflow,
    RollbackRequest,
    Stats,
    VersionDocument,
    VersionSummary,
    WorkflowDocument,
    make_problem_view,
)
from api.paging import Cursor, Limit, Page, cut_page, decode_cursor
from api.problems import describe_problems
from api.routes.callers import list_calling
from api.services import ServicesDep
from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.service.regressions import list_problems
from orchestrator.service.services import Services
from orchestrator.service.yaml_bodies import render_yaml
from orchestrator.simulator.regression import MAX_LAST
from orchestrator.store.records import Stored
from orchestrator.store.records import Version as Published

router = APIRouter(prefix="/workflows", tags=["workflows"], route_class=StrictRoute)
ETAG_HEADER: dict[str, Any] = {
    "headers": {
        "ETag": {
            "description": "Revision of the definition, for If-Match.",
            "schema": {"type": "string"},
            "required": True,
        }
    }
}
AS_YAML: dict[str, Any] = {"content": {YAML_TYPES[0]: {"schema": {"type": "string"}}}}
CHANGED = {200: ETAG_HEADER, **describe_problems(401, 403, 404, 409, 412, 422, 429, 503)}
FOUND = describe_problems(401, 403, 404, 422, 429, 503)


async def _read_expected(services: Services, caller: Caller, workflow_id: str, if_match: str | None) -> int | None:
    """Return the revision that a change expects; raises EditConflict."""
    if if_match is None:
        return None
    return require_revision(if_match, await services.workflows.get(caller.customer_id, workflow_id))


async def _respond_changed(services: Services, stored: Stored, response: Response) -> WorkflowDocument:
    response.headers["ETag"] = format_etag(stored)
    note_change(target=stored.id, customer_id=stored.customer_id, version=stored.version)
    return WorkflowDocument.model_validate(await services.workflows.describe_changed(stored))


@router.post(
    "",
    operation_id="createWorkflow",
    status_code=201,
    responses={
        201: {"headers": {**ETAG_HEADER["headers"], "Location": {"schema": {"type": "string"}, "required": True}}},
        **describe_problems(400, 401, 403, 404, 409, 413, 422, 429, 503),
    },
)
async def create_workflow(
    definition: Definition, services: ServicesDep, caller: Editor, response: Response, text: YamlText
) -> WorkflowDocument:
    """Save a new definition as a draft. An invalid one is refused with all of its problems."""
    stored = await services.workflows.create(caller.creates_for, definition, caller.name, text)
    response.headers["Location"] = f"/api/v1/workflows/{stored.id}"
    return await _respond_changed(services, stored, response)


@router.get("", operation_id="listWorkflows", responses=describe_problems(401, 403, 404, 422, 429, 503))
async def list_workflows(
    services: ServicesDep,
    caller: Reader,
    status: Annotated[
        Literal["draft", "active", "paused", "archived"] | None, Query(description="Status of the workflow.")
    ] = None,
    id_prefix: IdPrefix = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[WorkflowDocument]:
    """List workflows, ordered by customer and id."""
    rows = await services.workflows.list_workflows(
        caller.customer_id,
        status=status,
        id_prefix=id_prefix,
        after=decode_cursor(cursor, str, str),
        limit=limit + 1,
    )
    page, next_cursor = cut_page(rows, limit, lambda stored: (stored.customer_id, stored.id))
    items = [WorkflowDocument.model_validate(each) for each in await services.workflows.describe(page)]
    return Page(items=items, next_cursor=next_cursor)


@router.get(
    "/{workflow_id}",
    operation_id="getWorkflow",
    response_model=WorkflowDocument,
    responses={200: {**ETAG_HEADER, **AS_YAML}, **FOUND},
)
async def get_workflow(
    workflow_id: WorkflowId, services: ServicesDep, caller: Reader, response: Response, accepted: AcceptedTypes
) -> WorkflowDocument | Response:
    """Return the current definition, published or not.

    With `Accept: application/yaml` it is the text that was sent, with its comments, or one that is made where JSON was;
    with `Accept: application/yaml, application/json` it is JSON where JSON was sent.
    """
    stored = await services.workflows.get(caller.customer_id, workflow_id)
    if accepted.prefers_yaml(stored.yaml):
        return await _respond_yaml(services, stored, {"ETag": format_etag(stored)})
    response.headers["ETag"] = format_etag(stored)
    (document,) = await services.workflows.describe([stored])
    return WorkflowDocument.model_validate(document)


async def _respond_yaml(
    services: Services, content: Stored | Published, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    text = content.yaml
    if text is None:
        text = await services.plans.call(content.customer_id, render_yaml, content.definition)
    return Response(text, media_type=YAML_TYPES[0], headers=dict(headers))


@router.put("/{workflow_id}", operation_id="saveWorkflow", responses={**CHANGED, **describe_problems(400, 413)})
async def save_workflow(
    workflow_id: WorkflowId,
    definition: Definition,
    services: ServicesDep,
    caller: Editor,
    response: Response,
    text: YamlText,
    if_match: IfMatch = None,
) -> WorkflowDocument:
    """Replace the definition. The published version stays active until the workflow is activated again."""
    expected = await _read_expected(services, caller, workflow_id, if_match)
    return await _respond_changed(
        services, await services.workflows.save(caller.customer_id, workflow_id, definition, expected, text), response
    )


@router.delete(
    "/{workflow_id}",
    operation_id="deleteWorkflow",
    status_code=204,
    responses=describe_problems(401, 403, 404, 412, 422, 429, 503),
)
async def delete_workflow(
    workflow_id: WorkflowId, services: ServicesDep, caller: Editor, if_match: IfMatch = None
) -> None:
    """Delete a workflow with its versions and its trigger. Runs in progress continue."""
    stored = await services.workflows.get(caller.customer_id, workflow_id)
    expected = None if if_match is None else require_revision(if_match, stored)
    note_change(customer_id=stored.customer_id, version=stored.version)
    await services.workflows.delete(caller.customer_id, workflow_id, revision=expected)


@router.get("/{workflow_id}/versions", operation_id="listVersions", responses=FOUND)
async def list_versions(
    workflow_id: WorkflowId, services: ServicesDep, caller: Reader, limit: Limit = 50, cursor: Cursor = None
) -> Page[VersionSummary]:
    """List the published versions, newest first."""
    before = next(iter(decode_cursor(cursor, int)), None)
    rows = await services.workflows.list_versions(caller.customer_id, workflow_id, before=before, limit=limit + 1)
    page, next_cursor = cut_page(rows, limit, lambda version: (version.version,))
    return Page(items=[_make_summary(each) for each in page], next_cursor=next_cursor)


@router.get(
    "/{workflow_id}/versions/{version}",
    operation_id="getVersion",
    response_model=VersionDocument,
    responses={200: AS_YAML, **FOUND},
)
async def get_version(
    workflow_id: WorkflowId, version: Version, services: ServicesDep, caller: Reader, accepted: AcceptedTypes
) -> VersionDocument | Response:
    """Return a published version; with `Accept: application/yaml` its text, as for the current definition."""
    published = await services.workflows.get_version(caller.customer_id, workflow_id, version)
    if accepted.prefers_yaml(published.yaml):
        return await _respond_yaml(services, published)
    return VersionDocument(**_make_summary(published).model_dump(), definition=published.definition)


def _make_summary(version: Published) -> VersionSummary:
    return VersionSummary(
        version=version.version,
        published_at=version.published_at,
        published_by=version.published_by,
        copy_of=version.copy_of,
        calls=[
            HeldCallView(
                workflow_id=each.workflow_id,
                version=each.version,
                pinned=each.pinned,
                latest=each.latest,
                node_ids=version.list_calling_nodes(each),
            )
            for each in version.calls
        ],
    )


@router.get("/{workflow_id}/diff", operation_id="compareVersions", responses=FOUND)
async def compare_versions(
    workflow_id: WorkflowId,
    services: ServicesDep,
    caller: Reader,
    from_version: Annotated[
        int | None, Query(ge=0, le=MAX_VERSION, description="First version. Default: the newest published one.")
    ] = None,
    to_version: Annotated[
        int, Query(ge=0, le=MAX_VERSION, description="Second version. Default: 0, the working copy.")
    ] = 0,
) -> ComparisonView:
    """Return what changes from one version to another, or to the working copy."""
    found = await services.workflows.compare(caller.customer_id, workflow_id, from_version, to_version)
    changes = [
        ChangeView(kind=each.kind, path=each.path, before=each.before, after=each.after) for each in found.changes
    ]
    return ComparisonView(from_version=found.before, to_version=found.after, changes=changes)


@router.post("/{workflow_id}/activate", operation_id="activateWorkflow", responses=CHANGED)
async def activate_workflow(
    workflow_id: WorkflowId,
    services: ServicesDep,
    caller: Editor,
    response: Response,
    if_match: IfMatch = None,
    strict: Annotated[bool, Query(description="Refuse a definition with warnings, too.")] = False,
    regress: Annotated[
        int | None, Query(ge=1, le=MAX_LAST, description="Judge it first by this number of the last runs.")
    ] = None,
    on_difference: Annotated[
        Literal["refuse", "warn"],
        Query(description="What to do where it would have done something else with one of them."),
    ] = "refuse",
) -> ActivatedWorkflow:
    """Publish the current definition and install its trigger."""
    expected = await _read_expected(services, caller, workflow_id, if_match)
    differences = await _judge_draft(services, caller, workflow_id, regress, on_difference)
    activation = await services.workflows.activate(
        caller.customer_id, workflow_id, caller.name, revision=expected, strict=strict
    )
    warnings = [make_problem_view(each) for each in (*activation.warnings, *differences)]
    document = await _respond_changed(services, activation.stored, response)
    callers = await list_calling(services, activation.stored)
    return ActivatedWorkflow.model_validate({**document.model_dump(), "warnings": warnings, "callers": callers})


async def _judge_draft(
    services: Services, caller: Caller, workflow_id: str, last: int | None, on_difference: str
) -> list[Problem]:
    """Return where a working copy would have acted otherwise with the last runs; raises DefinitionInvalid."""
    if last is None:
        return []
    stored = await services.workflows.get(caller.customer_id, workflow_id)
    regression = await services.regressions.judge(stored.customer_id, workflow_id, 0, last)
    problems = list_problems(regression, stored.definition, refuse=on_difference == "refuse")
    if problems and on_difference == "refuse":
        raise DefinitionInvalid(problems)
    return problems


@router.post("/{workflow_id}/pause", operation_id="pauseWorkflow", responses=CHANGED)
async def pause_workflow(
    workflow_id: WorkflowId,
    services: ServicesDep,
    caller: Editor,
    response: Response,
    if_match: IfMatch = None,
    include_runs: Annotated[
        bool, Query(description="Pause its open runs, too, as `POST /bulk` does; needs the scope `run` as well.")
    ] = False,
) -> PausedWorkflow:
    """Stop the trigger until the workflow is activated again. Its open runs continue, unless they are included."""
    if include_runs:
        caller.require_scope("run", "only keys with this scope may pause the runs of a workflow")
    expected = await _read_expected(services, caller, workflow_id, if_match)
    stored = await services.workflows.pause(caller.customer_id, workflow_id, revision=expected)
    job = None
    if include_runs:
        job = await services.bulk.pause_runs(stored.customer_id, workflow_id, actor=caller.name)
    document = await _respond_changed(services, stored, response)
    note_change(include_runs=include_runs or None, bulk_id=None if job is None else job.id)
    return PausedWorkflow.model_validate({**document.model_dump(), "bulk_id": None if job is None else job.id})


@router.post("/{workflow_id}/archive", operation_id="archiveWorkflow", responses=CHANGED)
async def archive_workflow(
    workflow_id: WorkflowId, services: ServicesDep, caller: Editor, response: Response, if_match: IfMatch = None
) -> CalledWorkflow:
    """Remove the trigger and refuse edits and starts. Runs in progress continue, and so do the callers' calls of it."""
    expected = await _read_expected(services, caller, workflow_id, if_match)
    stored = await services.workflows.archive(caller.customer_id, workflow_id, revision=expected)
    return await _respond_with_callers(services, stored, response)


@router.post(
    "/{workflow_id}/rollback", operation_id="rollbackWorkflow", responses={**CHANGED, **describe_problems(400, 413)}
)
async def rollback_workflow(
    workflow_id: WorkflowId,
    request: RollbackRequest,
    services: ServicesDep,
    caller: Editor,
    response: Response,
    if_match: IfMatch = None,
) -> CalledWorkflow:
    """Publish an older version again, as the newest."""
    expected = await _read_expected(services, caller, workflow_id, if_match)
    stored = await services.workflows.rollback(
        caller.customer_id, workflow_id, request.version, caller.name, revision=expected
    )
    return await _respond_with_callers(services, stored, response)


async def _respond_with_callers(services: Services, stored: Stored, response: Response) -> CalledWorkflow:
    document = await _respond_changed(services, stored, response)
    callers = await list_calling(services, stored)
    return CalledWorkflow.model_validate({**document.model_dump(), "callers": callers})


@router.get("/{workflow_id}/stats", operation_id="getWorkflowStats", responses=FOUND)
async def get_stats(
    workflow_id: WorkflowId,
    services: ServicesDep,
    caller: Reader,
    version: Annotated[
        int | None, Query(ge=0, le=2_147_483_647, description="Only runs of this version; 0 is the draft.")
    ] = None,
) -> Stats:
    """Return statistics of the runs of a workflow. They may lag by about a second."""
    statistics = await services.workflows.compute_statistics(caller.customer_id, workflow_id, version)
    counts = statistics.counts
    return Stats(
        workflow_id=workflow_id,
        version=version,
        runs=counts.total,
        by_status=dict(counts.by_status),
        success_rate=counts.success_rate,
        last_run_at=counts.last_run_at,
        p50_ms=statistics.durations["p50_ms"],
        p95_ms=statistics.durations["p95_ms"],
        usage=statistics.usage,
    )
