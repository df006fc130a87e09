"""All checks of one definition, in their order, and the scopes when there is no error."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.jsontools import schema
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.model.definition import Definition, Node
from orchestrator.model.plan import ActionCall, Scope
from orchestrator.planner import graph, node_checks, references, regions, scoping, structure, trigger_checks
from orchestrator.planner.action_calls import Actions
from orchestrator.planner.plan_builder import ScopeBuilder
from orchestrator.planner.policies import Catalogue, read_on_error
from orchestrator.planner.regions import Regions
from orchestrator.planner.report import Report

if TYPE_CHECKING:
    from orchestrator.planner.verdict import Verdict

MAX_NESTING = 50
"""Loops and parallels inside each other."""
MAX_STEP_LOG = 10_000
BAD_ID = re.compile(r"[\x00-\x1f/#\[\]]")
"""Signs that step ids are made with."""
COMPENSATE = ("on_failure", "on_cancel", "both", "never")


@dataclass(frozen=True, slots=True)
class Scopes:
    """What the builder made of a graph."""

    scope: Scope
    notify: ActionCall | None
    rewinds: bool


def check(
    definition: Definition, registry: Catalogue | None, calls: Mapping[str, "Verdict"], report: Report
) -> Scopes | None:
    """Run every check; `None` when the graph cannot be built."""
    usable = structure.check(definition, report)
    trigger_checks.check(definition.trigger, report)
    _check_settings(definition, report)
    for index, node in usable:
        _check_id(node, f"/nodes/{index}/id", report)
        node_checks.check(node, f"/nodes/{index}", report)
    workflow_graph = graph.build_graph(definition, usable, report)
    tree = regions.find_regions(workflow_graph)
    _check_reached(definition, tree, report)
    _check_regions(tree, report)
    uses = [
        references.collect_uses(references.find_sites(node, pointer), report)
        for node, pointer in zip(workflow_graph.nodes, workflow_graph.pointers, strict=True)
    ]
    notify_names = references.collect_notify_uses(definition, report)
    names = scoping.Names(definition, tree, uses, report)
    names.check()
    names.check_notify_uses(notify_names)
    actions = Actions(definition, registry, report)
    if _measure_nesting(tree) > MAX_NESTING:
        report.add_error("too_deep", "/nodes", f"loops and parallels are nested deeper than {MAX_NESTING}")
        return None
    if report.failed:
        _check_without_building(workflow_graph, actions, report)
        return None
    # A branch that may pause calls `settings.notify`: it needs what that names.
    for number, node in enumerate(workflow_graph.nodes):
        if _pauses(definition, node):
            uses[number] = [*uses[number], *notify_names]
    builder = ScopeBuilder(definition, tree, names, actions, report)
    builder.callees = {name: tuple(verdict.require().workflows) for name, verdict in calls.items()}
    scope = builder.build_scope(tree.whole)
    notify = actions.complete_side_call(definition.settings.notify, "/settings/notify")
    return Scopes(scope, notify, _rewinds(definition))


def _check_without_building(workflow_graph: graph.Graph, actions: Actions, report: Report) -> None:
    """Check what the builder would have, where there is an error already."""
    for node, pointer in zip(workflow_graph.nodes, workflow_graph.pointers, strict=True):
        read_on_error(node.on_error, f"{pointer}/on_error", report)
        if node.type == "action":
            actions.complete_call(node, pointer)
            actions.complete_side_call(node.compensate, f"{pointer}/compensate")
    actions.complete_side_call(actions.settings.notify, "/settings/notify")
    read_on_error(actions.settings.on_error, "/settings/on_error", report)


def _pauses(definition: Definition, node: Node) -> bool:
    return bool((node.on_error or definition.settings.on_error) == "pause")


def _rewinds(definition: Definition) -> bool:
    """Tell whether some node may go back."""
    policies = [definition.settings.on_error, *(node.on_error for node in definition.nodes)]
    return any(policy == "pause" or (isinstance(policy, Mapping) and "retry_from" in policy) for policy in policies)


def _check_id(node: Node, pointer: str, report: Report) -> None:
    if BAD_ID.search(node.id) or len(node.id) > 200:
        hint = "no `/`, `#`, `[`, `]`, at most 200 characters: step ids are made of it"
        report.add_error("bad_id", pointer, f"{node.id[:60]!r} cannot be an id", hint)


def _check_settings(definition: Definition, report: Report) -> None:
    settings = definition.settings
    if settings.compensate and settings.compensate not in COMPENSATE:
        hint = did_you_mean(settings.compensate, COMPENSATE) or f"one of {join_names(COMPENSATE)}"
        report.add_error("unknown_choice", "/settings/compensate", f"{settings.compensate!r} is not known here", hint)
    bounds: Iterable[tuple[str, float | None, float | None]] = (
        ("timeout_seconds", settings.timeout_seconds, None),
        ("max_steps", settings.max_steps, None),
        ("step_log_limit", settings.step_log_limit, MAX_STEP_LOG),
    )
    for key, value, most in bounds:
        if value is not None and (value <= 0 or (most is not None and value > most)):
            limit = "above 0" if most is None else f"from 1 to {most:g}"
            report.add_error("out_of_bounds", f"/settings/{key}", f"{key} must be {limit}")
    if settings.input_schema is not None:
        problems = schema.find_schema_problems(settings.input_schema, "/settings/input_schema")
        if not problems and definition.trigger.type == "schedule":  # nobody is there to be told when its time comes
            mismatches = schema.find_problems(settings.input_schema, definition.trigger.config.get("input"))
            problems = [replace(each, path=f"/trigger/config/input{each.path}") for each in mismatches]
        report.problems.extend(problems)


def _check_reached(definition: Definition, tree: Regions, report: Report) -> None:
    workflow_graph = tree.graph
    if not workflow_graph.starts:
        if workflow_graph.nodes:
            hint = 'an edge with source "trigger", or a node of type trigger, is the start'
            report.add_error("no_start", "/edges", "nothing is the start: no node would run", hint)
        return
    reached_by_edge = {edge.target for edge in definition.edges} | {edge.source for edge in definition.edges}
    for number, node in enumerate(workflow_graph.nodes):
        if tree.innermost[number] is not None:
            continue
        if node.id in reached_by_edge or any(target == number for _, _, _, target in workflow_graph.listings):
            report.add_warning(
                "unreachable", workflow_graph.pointers[number], f"no path from the start reaches {node.id!r}"
            )
        else:
            message = f"{node.id!r} is connected to nothing: it never runs"
            report.add_warning("orphan", workflow_graph.pointers[number], message)


def _check_regions(tree: Regions, report: Report) -> None:
    """Find listed nodes that are not in the body or branch which lists them."""
    workflow_graph = tree.graph
    owned: dict[tuple[int, str], int] = {}
    for pointer, owner, port, target in workflow_graph.listings:
        region = _find_region(tree, owner, port)
        if region is None or tree.innermost[owner] is None:
            continue
        inside = any(around is region for around in tree.iterate_enclosing(target))
        owned[owner, port] = owned.get((owner, port), 0) + inside
        if not inside:
            message = (
                f"{workflow_graph.nodes[target].id!r} can also be reached without {workflow_graph.nodes[owner].id!r}"
            )
            what = "body" if port == "body" else "branch"
            report.add_warning("region_overlap", pointer, f"{message}: it runs once after it, not inside its {what}")
    for (owner, port), count in owned.items():
        if count == 0:
            what = "body" if port == "body" else port
            node_id = workflow_graph.nodes[owner].id
            message = f"the {what} of {node_id!r} owns none of the nodes it lists: nothing would run in it"
            report.add_error("empty_region", workflow_graph.pointers[owner], message)
    for number, node in enumerate(workflow_graph.nodes):
        if node.type in ("loop", "parallel") and not any(region.entries for region in tree.inside.get(number, ())):
            what = "body" if node.type == "loop" else "branches"
            report.add_warning(
                "empty_region", workflow_graph.pointers[number], f"the {node.type} {node.id!r} has no {what}"
            )


def _find_region(tree: Regions, owner: int, port: str) -> regions.Region | None:
    return next((region for region in tree.inside.get(owner, ()) if region.port == port), None)


def _measure_nesting(tree: Regions) -> int:
    return max((region.depth for inside in tree.inside.values() for region in inside), default=0)
