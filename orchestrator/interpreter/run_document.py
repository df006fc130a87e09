"""Build the run document (SPEC §9) from the state of a run."""

import json
from collections.abc import Iterator
from typing import Any

from orchestrator.interpreter.frames import LoopFrame
from orchestrator.interpreter.loop_progress import count_items
from orchestrator.interpreter.passes import iterate_passes
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.model.plan import Call, Plan, Scope, Wait
from orchestrator.model.plan_nodes import iterate_nodes, list_inner_scopes
from orchestrator.model.run import (
    RESERVED,
    CalledVersion,
    Intervention,
    Run,
    RunInfo,
    Status,
    StepDocument,
    find_owner,
    format_timestamp,
    summarize_run,
)

WITH_SCHEMAS = ("event", "approval")
"""Kinds of waits that take a payload."""
MAX_SCHEMA_BYTES = 100_000
"""Schemas in the waits of a document, in total."""


def list_waits(state: RunState) -> list[dict[str, Any]]:
    """Return the open waits of the run."""
    return [
        {"node_id": step.node_id, "step_id": step.id, **step.waiting_for}
        for step in state.open.values()
        if step.waiting_for is not None
    ]


def list_held_nodes(plan: Plan, state: RunState) -> list[tuple[str, str]]:
    """Return the nodes before which the paths of a paused flow are held, each with the path of its scope."""
    passes = iterate_passes(plan, state)
    return [(node_id, each.path) for each in passes if (node_id := each.find_next()) is not None]


def describe_waits(plan: Plan, state: RunState) -> list[dict[str, Any]]:
    """Return the open waits as a document has them: with since when, and for events and approvals the schema."""
    waits = [{"since": find_since(state.open[wait["step_id"]]), **wait} for wait in list_waits(state)]
    if any(wait["kind"] in WITH_SCHEMAS for wait in waits):
        _add_schemas(waits, plan)
    return waits


def find_since(step: Step) -> str:
    """Return since when a step waits: since it failed, where it waits for an operator."""
    failed_at = step.error and step.error.timestamp
    return format_timestamp(failed_at or step.started_at)


def _add_schemas(waits: list[dict[str, Any]], plan: Plan) -> None:
    """Add schemas to waits, as many as have room in a document: hundreds of iterations may wait at the same node."""
    schemas = dict(_iterate_schemas(plan.scope))
    sizes = {node_id: len(json.dumps(schema)) for node_id, schema in schemas.items()}
    room = MAX_SCHEMA_BYTES
    for wait in waits:
        if wait["kind"] in WITH_SCHEMAS and wait["node_id"] in schemas:
            room -= sizes[wait["node_id"]]
            if room >= 0:
                wait["schema"] = schemas[wait["node_id"]]


def _iterate_schemas(scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the payload schemas of wait nodes, by node ID."""
    scopes = [scope]
    while scopes:
        for node in scopes.pop().nodes:
            if isinstance(node, Wait) and node.payload_schema is not None:
                yield node.id, node.payload_schema
            scopes.extend(list_inner_scopes(node))


def derive_status(state: RunState) -> Status:
    """Return the status of the run: `waiting` when every open step waits."""
    if state.status != "running":
        return state.status
    # Loops and parallels with open steps inside run because of these.
    owners = {find_owner(step.path) for step in state.open.values()}
    leaves = [step for step in state.open.values() if step.status != "running" or step.id not in owners]
    return "waiting" if leaves and all(step.status == "waiting" for step in leaves) else "running"


def _list_steps(plan: Plan, state: RunState) -> list[StepDocument]:
    """Return the steps, those of loops in progress with how far they have come."""
    steps = [step.to_document() for step in state.list_steps()]
    loops = [node for node in state.frame.iterate_open_nodes() if isinstance(node, LoopFrame)]
    if not loops:
        return steps
    nodes = {node.id: node for node in iterate_nodes(plan.scope)}
    progress = {each.step.id: count_items(nodes.get(each.step.node_id), each) for each in loops}
    return [step.model_copy(update={"progress": progress.get(step.id)}) for step in steps]


def build_run_document(plan: Plan, info: RunInfo, state: RunState) -> Run:
    """Return the run document of this flow alone; the client adds the steps of child branches."""
    context = state.data.context
    leaf = next(reversed(state.open.values()), None)
    return Run.from_summary(
        summarize_run(
            plan, info, status=derive_status(state), started_at=state.started_at, completed_at=state.completed_at
        ),
        workflow_name=plan.name,
        trigger_data=context.get("trigger"),
        input_data=context.get("input"),
        context={name: value for name, value in context.items() if name not in RESERVED},
        steps=_list_steps(plan, state),
        current_node_id=leaf.node_id if leaf else None,
        error=state.failure.message if state.failure else None,
        failure=state.failure and state.failure.to_json(),
        output=state.output,
        steps_completed=state.completed,
        steps_total=state.started - state.dropped,
        waiting_for=describe_waits(plan, state),
        interventions=[Intervention.model_validate(entry) for entry in state.interventions],
        warnings=list(state.warnings),
        parent_run_id=info.parent_run_id,
        calls=_list_calls(plan),
    )


def _list_calls(plan: Plan) -> list[CalledVersion]:
    """Return the workflows that the nodes of a run call, each with the version that its plan holds."""
    nodes = iterate_nodes(plan.scope) if plan.workflows else ()
    return [
        CalledVersion(node_id=node.id, workflow_id=held.id, version=held.version)
        for node in nodes
        if isinstance(node, Call) and (held := plan.workflows.get(node.workflow)) is not None
    ]
