"""All checks of one definition, in their order, and the scopes when there is no error."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.jsontools import schema
from orchestrator.jsontools.suggestions import did_you_mean, listed
from orchestrator.model.definition import Definition, Node
from orchestrator.model.plan import ActionCall, Scope
from orchestrator.planner import graph, node_checks, references, regions, scoping, structure, trigger_checks
from orchestrator.planner.action_calls import Actions
from orchestrator.planner.plan_builder import Builder
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
    for place, node in usable:
        _check_id(node, f"/nodes/{place}/id", report)
        node_checks.check(node, f"/nodes/{place}", report)
    made = graph.build(definition, usable, report)
    found = regions.find(made)
    _check_reached(definition, found, report)
    _check_regions(found, report)
    uses = [
        references.uses_of(references.sites(node, pointer), report)
        for node, pointer in zip(made.nodes, made.pointers, strict=True)
    ]
    notified = references.notify_uses(definition, report)
    known = scoping.Names(definition, found, uses, report)
    known.check()
    known.check_outside(notified)
    actions = Actions(definition, registry, report)
    if _nesting(found) > MAX_NESTING:
        report.error("too_deep", "/nodes", f"loops and parallels are nested deeper than {MAX_NESTING}")
        return None
    if report.failed:
        _check_unbuilt(made, actions, report)
        return None
    # A branch that may pause calls `settings.notify`: it needs what that names.
    for number, node in enumerate(made.nodes):
        if _pauses(definition, node):
            uses[number] = [*uses[number], *notified]
    builder = Builder(definition, found, known, actions, report)
    builder.callees = {name: tuple(verdict.require().workflows) for name, verdict in calls.items()}
    scope = builder.scope(found.whole)
    notify = actions.outside(definition.settings.notify, "/settings/notify")
    return Scopes(scope, notify, _rewinds(definition))


def _check_unbuilt(made: graph.Graph, actions: Actions, report: Report) -> None:
    """Check what the builder would have, where there is an error already."""
    for node, pointer in zip(made.nodes, made.pointers, strict=True):
        read_on_error(node.on_error, f"{pointer}/on_error", report)
        if node.type == "action":
            actions.call(node, pointer)
            actions.outside(node.compensate, f"{pointer}/compensate")
    actions.outside(actions.settings.notify, "/settings/notify")
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
        report.error("bad_id", pointer, f"{node.id[:60]!r} cannot be an id", hint)


def _check_settings(definition: Definition, report: Report) -> None:
    settings = definition.settings
    if settings.compensate and settings.compensate not in COMPENSATE:
        hint = did_you_mean(settings.compensate, COMPENSATE) or f"one of {listed(COMPENSATE)}"
        report.error("unknown_choice", "/settings/compensate", f"{settings.compensate!r} is not known here", hint)
    bounds: Iterable[tuple[str, float | None, float | None]] = (
        ("timeout_seconds", settings.timeout_seconds, None),
        ("max_steps", settings.max_steps, None),
        ("step_log_limit", settings.step_log_limit, MAX_STEP_LOG),
    )
    for key, value, most in bounds:
        if value is not None and (value <= 0 or (most is not None and value > most)):
            limit = "above 0" if most is None else f"from 1 to {most:g}"
            report.error("out_of_bounds", f"/settings/{key}", f"{key} must be {limit}")
    if settings.input_schema is not None:
        found = schema.schema_problems(settings.input_schema, "/settings/input_schema")
        if not found and definition.trigger.type == "schedule":  # nobody is there to be told when its time comes
            given = schema.problems(settings.input_schema, definition.trigger.config.get("input"))
            found = [replace(each, path=f"/trigger/config/input{each.path}") for each in given]
        report.problems.extend(found)


def _check_reached(definition: Definition, found: Regions, report: Report) -> None:
    made = found.graph
    if not made.starts:
        if made.nodes:
            hint = 'an edge with source "trigger", or a node of type trigger, is the start'
            report.error("no_start", "/edges", "nothing is the start: no node would run", hint)
        return
    reached_by_edge = {edge.target for edge in definition.edges} | {edge.source for edge in definition.edges}
    for number, node in enumerate(made.nodes):
        if found.home[number] is not None:
            continue
        if node.id in reached_by_edge or any(target == number for _, _, _, target in made.named):
            report.warning("unreachable", made.pointers[number], f"no path from the start reaches {node.id!r}")
        else:
            message = f"{node.id!r} is connected to nothing: it never runs"
            report.warning("orphan", made.pointers[number], message)


def _check_regions(found: Regions, report: Report) -> None:
    """Find listed nodes that are not in the body or branch which lists them."""
    made = found.graph
    owned: dict[tuple[int, str], int] = {}
    for pointer, owner, port, target in made.named:
        region = _region(found, owner, port)
        if region is None or found.home[owner] is None:
            continue
        inside = any(around is region for around in found.enclosing(target))
        owned[owner, port] = owned.get((owner, port), 0) + inside
        if not inside:
            message = f"{made.nodes[target].id!r} can also be reached without {made.nodes[owner].id!r}"
            what = "body" if port == "body" else "branch"
            report.warning("region_overlap", pointer, f"{message}: it runs once after it, not inside its {what}")
    for (owner, port), count in owned.items():
        if count == 0:
            what = "body" if port == "body" else port
            message = f"the {what} of {made.nodes[owner].id!r} owns none of the nodes it lists: nothing would run in it"
            report.error("empty_region", made.pointers[owner], message)
    for number, node in enumerate(made.nodes):
        if node.type in ("loop", "parallel") and not any(region.entries for region in found.inside.get(number, ())):
            what = "body" if node.type == "loop" else "branches"
            report.warning("empty_region", made.pointers[number], f"the {node.type} {node.id!r} has no {what}")


def _region(found: Regions, owner: int, port: str) -> regions.Region | None:
    return next((region for region in found.inside.get(owner, ()) if region.port == port), None)


def _nesting(found: Regions) -> int:
    return max((region.depth for inside in found.inside.values() for region in inside), default=0)
