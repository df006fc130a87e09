"""Run all checks of one definition in order, and build its scopes if there is no error."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from orchestrator.jsontools import schema
from orchestrator.model.definition import Definition, Node
from orchestrator.model.permissions import Permissions
from orchestrator.model.plan import ActionCall, Scope
from orchestrator.model.run import OPERATOR_RETRY
from orchestrator.planner import (
    graph,
    node_checks,
    permission_checks,
    references,
    region_checks,
    regions,
    scoping,
    structure,
    trigger_checks,
)
from orchestrator.planner.action_calls import Actions
from orchestrator.planner.approval_checks import check_links
from orchestrator.planner.data_flow import check as data_flow
from orchestrator.planner.data_flow.outputs import infer_run_output
from orchestrator.planner.data_flow.types import ANY, Type
from orchestrator.planner.iteration_checks import Iterations
from orchestrator.planner.key_checks import check_keys
from orchestrator.planner.plan_builder import ScopeBuilder
from orchestrator.planner.policies import Catalogue, check_timeout, read_on_error, read_reminder_call
from orchestrator.planner.report import Report, suggest_choice
from orchestrator.planner.verdict import Verdict

MAX_NESTING = 50
"""Levels of loops and parallels."""
MAX_STEP_LOG = 10_000
MAX_ID = 200
BAD_ID = re.compile(r"[\x00-\x1f/#\[\]]")
"""Characters that step ids use as separators."""
COMPENSATE = ("on_failure", "on_cancel", "both", "never")


@dataclass(frozen=True, slots=True)
class Scopes:
    """The part of a plan that is built from the graph."""

    scope: Scope
    notify: ActionCall | None
    rewinds: bool
    """Whether a run may return to an earlier node."""
    output: Type
    """What a run returns; anything for one that no workflow calls."""


def check(
    definition: Definition,
    registry: Catalogue | None,
    calls: Mapping[str, Verdict],
    permissions: Permissions,
    report: Report,
    *,
    is_called: bool = False,
) -> Scopes | None:
    """Run every check; return None when there is an error.

    `is_called` is for a workflow that another one calls: the type of its output is inferred.
    """
    tree = _check_structure(definition, report)
    workflow_graph = tree.graph
    uses = [
        references.collect_uses(references.find_sites(node, pointer), report)
        for node, pointer in zip(workflow_graph.nodes, workflow_graph.pointers, strict=True)
    ]
    notify_names = references.collect_notify_uses(definition, report)
    names = scoping.Names(definition, tree, uses, report)
    names.check()
    names.check_notify_uses(notify_names)
    check_links(tree, report)
    Iterations(definition, tree, uses, registry, report).check()
    data_flow.check(definition, tree, uses, registry, calls, names.precedence, report)
    permission_checks.check(definition, workflow_graph, [*itertools.chain(*uses), *notify_names], permissions, report)
    actions = Actions(definition, registry, report)
    if region_checks.measure_nesting(tree) > MAX_NESTING:
        message = f"loops and parallels are nested more than {MAX_NESTING} levels deep"
        report.add_error("too_deep", "/nodes", message, "move inner parts into workflows that it calls")
        return None
    if report.failed:
        _check_without_building(workflow_graph, actions, report)
        return None
    called = {key: verdict.output for key, verdict in calls.items()}
    output = infer_run_output(definition, tree, uses, registry, called) if is_called else ANY
    # A branch that may pause calls `settings.notify`, so it needs the variables that the call reads.
    for number, node in enumerate(workflow_graph.nodes):
        if _may_pause(definition, node):
            uses[number] = [*uses[number], *notify_names]
    builder = ScopeBuilder(definition, tree, names, actions, report)
    builder.callees = {name: tuple(verdict.require().workflows) for name, verdict in calls.items()}
    scope = builder.build_scope(tree.whole)
    notify = actions.complete_side_call(definition.settings.notify, "/settings/notify")
    return Scopes(scope, notify, _may_rewind(definition), output)


def _check_structure(definition: Definition, report: Report) -> regions.Regions:
    """Check nodes and edges one by one, and the regions that they form."""
    usable = structure.check(definition, report)
    trigger_checks.check(definition.trigger, report)
    _check_settings(definition, report)
    for index, node in usable:
        _check_id(node, f"/nodes/{index}/id", report)
        node_checks.check(node, f"/nodes/{index}", report)
    tree = regions.find_regions(graph.build_graph(definition, usable, report))
    region_checks.check_reached(definition, tree, report)
    region_checks.check_regions(tree, report)
    return tree


def _check_without_building(workflow_graph: graph.Graph, actions: Actions, report: Report) -> None:
    """Run the checks that the builder makes, when an earlier error prevents building."""
    for node, pointer in zip(workflow_graph.nodes, workflow_graph.pointers, strict=True):
        read_on_error(node.on_error, f"{pointer}/on_error", report)
        if node.type == "action":
            actions.complete_call(node, pointer)
        if node.type in ("action", "workflow"):
            actions.complete_side_call(node.compensate, f"{pointer}/compensate")
        if (call := read_reminder_call(node)) is not None:
            actions.complete_side_call(call, f"{pointer}/config/approval/reminder")
    actions.complete_side_call(actions.settings.notify, "/settings/notify")
    read_on_error(actions.settings.on_error, "/settings/on_error", report)


def _may_pause(definition: Definition, node: Node) -> bool:
    return bool((node.on_error or definition.settings.on_error) == "pause")


def _may_rewind(definition: Definition) -> bool:
    """Return whether the run may return to an earlier node."""
    policies = [definition.settings.on_error, *(node.on_error for node in definition.nodes)]
    return any(policy == "pause" or (isinstance(policy, Mapping) and "retry_from" in policy) for policy in policies)


def _check_id(node: Node, pointer: str, report: Report) -> None:
    if BAD_ID.search(node.id) or OPERATOR_RETRY.search(node.id):
        hint = "do not use `/`, `#`, `[`, `]`, control characters, and `~` with a number at the end: step ids use them"
        report.add_error("bad_id", pointer, f"{node.id!r:.60} is not a valid id", hint)
    elif len(node.id) > MAX_ID:
        report.add_error("bad_id", pointer, f"the id has {len(node.id)} characters, more than {MAX_ID}")


def _check_settings(definition: Definition, report: Report) -> None:
    settings = definition.settings
    check_keys(settings.keys, report)
    if settings.compensate and settings.compensate not in COMPENSATE:
        message = f"unknown value {settings.compensate!r:.60} for `compensate`"
        hint = suggest_choice(settings.compensate, COMPENSATE)
        report.add_error("unknown_choice", "/settings/compensate", message, hint)
    if settings.timeout_seconds is not None:
        check_timeout(settings.timeout_seconds, "/settings/timeout_seconds", report)
    bounds: Iterable[tuple[str, float | None, float | None]] = (
        ("max_steps", settings.max_steps, None),
        ("step_log_limit", settings.step_log_limit, MAX_STEP_LOG),
    )
    for key, value, maximum in bounds:
        if value is not None and (value <= 0 or (maximum is not None and value > maximum)):
            limit = "greater than 0" if maximum is None else f"between 1 and {maximum:,.0f}"
            report.add_error("out_of_bounds", f"/settings/{key}", f"{key} must be {limit}, not {value:g}")
    if settings.input_schema is not None:
        problems = schema.find_schema_problems(settings.input_schema, "/settings/input_schema")
        if not problems and definition.trigger.type == "schedule":
            # A mismatch would otherwise show only when the schedule fires, with no caller to tell.
            mismatches = schema.find_problems(settings.input_schema, definition.trigger.config.get("input"))
            problems = [replace(each, path=f"/trigger/config/input{each.path}") for each in mismatches]
        report.problems.extend(problems)
