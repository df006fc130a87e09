"""Plan a definition: return a Plan, or every problem it has (SPEC §8)."""

import gc
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from orchestrator.errors import Problem
from orchestrator.jsontools import schema
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.model.definition import Definition
from orchestrator.model.permissions import UNKNOWN, Permissions
from orchestrator.model.plan import DEFAULT_MAX_STEPS, DEFAULT_STEP_LOG_LIMIT, Plan
from orchestrator.planner import checks
from orchestrator.planner.callee_keys import choose_callee_key
from orchestrator.planner.data_flow import names
from orchestrator.planner.data_flow.names import KnownName
from orchestrator.planner.node_checks import read_pinned_version
from orchestrator.planner.parse import parse_definition
from orchestrator.planner.policies import Catalogue
from orchestrator.planner.report import Report
from orchestrator.planner.verdict import Verdict

MAX_CALL_DEPTH = 20
"""Levels of workflows that call each other."""


def check(
    definition: Definition | Mapping[str, Any],
    *,
    registry: Catalogue | None = None,
    workflows: Mapping[str, Mapping[str, Any]] | None = None,
    drafts: Collection[str] = (),
    permissions: Permissions = UNKNOWN,
) -> Verdict:
    """Check a definition and plan it.

    `registry` has the actions; without one their names and parameters are not checked. `workflows` has the
    definitions that `workflow` nodes call, by id, or by `id@version` for one that is not the newest: they are
    planned too and embedded in the plan. Those named in `drafts` have no version yet, so no node can pin one.
    `permissions` has what the customer may name.
    """
    with _pause_collection():
        return _Planner(registry, workflows or {}, drafts, permissions).check(definition, ())


@contextmanager
def _pause_collection() -> Iterator[None]:
    """Pause the garbage collector: of 10,000 nodes it takes a third of the time, and a check leaves no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def plan(
    definition: Definition | Mapping[str, Any],
    *,
    registry: Catalogue | None = None,
    workflows: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plan | list[Problem]:
    """Return the plan of a definition, or all its problems (SPEC §13)."""
    verdict = check(definition, registry=registry, workflows=workflows)
    return verdict.problems if verdict.plan is None else verdict.plan


def list_names(
    definition: Mapping[str, Any],
    pointer: str,
    *,
    registry: Catalogue | None = None,
    workflows: Mapping[str, Mapping[str, Any]] | None = None,
    drafts: Collection[str] = (),
    permissions: Permissions = UNKNOWN,
) -> list[KnownName]:
    """Return the names that the value at a JSON Pointer of a definition may read, with their types."""
    return _Planner(registry, workflows or {}, drafts, permissions).list_names(definition, pointer)


def check_input(plan: Plan, value: Any) -> list[Problem]:
    """Return where a run's input does not match `settings.input_schema`; paths point into the input."""
    return [] if plan.input_schema is None else schema.find_problems(plan.input_schema, value)


class _Planner:
    """Plans a definition and the workflows that it calls, each once."""

    def __init__(
        self,
        registry: Catalogue | None,
        workflows: Mapping[str, Mapping[str, Any]],
        drafts: Collection[str],
        permissions: Permissions,
    ) -> None:
        self.registry = registry
        self.workflows = workflows
        self.drafts = drafts
        self.permissions = permissions
        self.verdicts: dict[str, Verdict] = {}

    def check(self, definition: Definition | Mapping[str, Any], calling: tuple[str, ...], key: str = "") -> Verdict:
        report = Report()
        parsed = parse_definition(definition, report)
        if parsed is None:
            return Verdict(None, report.list_problems())
        calls = self._plan_callees(parsed, (*calling, parsed.id), key, report)
        scopes = checks.check(parsed, self.registry, calls, self.permissions, report, is_called=bool(calling))
        if scopes is None or report.failed:
            return Verdict(None, report.list_problems())
        settings = parsed.settings
        planned = Plan(
            id=parsed.id or _make_slug(parsed.name),
            name=parsed.name,
            version=parsed.version,
            customer_id=parsed.customer_id,
            variables=parsed.variables,
            scope=scopes.scope,
            strict=settings.strict,
            max_steps=settings.max_steps or DEFAULT_MAX_STEPS,
            step_log_limit=settings.step_log_limit or DEFAULT_STEP_LOG_LIMIT,
            timeout_seconds=settings.timeout_seconds,
            compensate=settings.compensate or "on_failure",
            notify=scopes.notify,
            task_queue=settings.task_queue or None,
            rewinds=scopes.rewinds,
            input_schema=settings.input_schema,
            keys=settings.keys or {},
            workflows=self._embed_plans(calls),
        )
        return Verdict(planned, report.list_problems(), scopes.output)

    def list_names(self, definition: Mapping[str, Any], pointer: str) -> list[KnownName]:
        parsed = parse_definition(definition, Report())
        if parsed is None:
            return []
        calls = self._plan_callees(parsed, (parsed.id,), "", Report())
        called = {key: verdict.output for key, verdict in calls.items()}
        return names.list_names(parsed, pointer, self.registry, called, self.permissions.secrets or ())

    def _embed_plans(self, calls: Mapping[str, Verdict]) -> dict[str, Plan]:
        plans: dict[str, Plan] = {}
        for name, verdict in calls.items():
            callee = verdict.require()
            plans |= callee.workflows
            plans[name] = callee.model_copy(update={"workflows": {}})
        return {name: plans[name] for name in sorted(plans)}

    def _plan_callees(
        self, definition: Definition, calling: tuple[str, ...], own_key: str, report: Report
    ) -> dict[str, Verdict]:
        """Plan the workflows that a definition calls; return their verdicts by key."""
        verdicts: dict[str, Verdict] = {}
        for index, node in enumerate(definition.nodes):
            name = node.config.get("workflow_id")
            if node.type != "workflow" or not isinstance(name, str) or not name:
                continue
            pointer = f"/nodes/{index}/config/workflow_id"
            key = choose_callee_key(node.config, self.workflows, own_key)
            verdict = self._plan_callee(name, key, calling, pointer, report)
            if verdict is None:
                continue
            verdicts[key] = verdict
            version = read_pinned_version(node.config)
            if verdict.plan is not None and version is not None and version != verdict.plan.version:
                newest = verdict.plan.version
                message = f"workflow {name!r} has no version {version}"
                hint = f"the newest version is {newest}" if newest else "it has never been published"
                report.add_error("unknown_version", f"/nodes/{index}/config/version", message, hint)
        return verdicts

    def _plan_callee(
        self, name: str, key: str, calling: tuple[str, ...], pointer: str, report: Report
    ) -> Verdict | None:
        if name in calling:
            cycle = " → ".join((*calling[calling.index(name) :], name))
            hint = "to repeat nodes, use a loop or an edge back to an earlier node"
            report.add_error("workflow_cycle", pointer, f"these workflows call each other in a cycle: {cycle}", hint)
            return None
        if len(calling) > MAX_CALL_DEPTH:
            report.add_error("too_deep", pointer, f"workflow calls are nested more than {MAX_CALL_DEPTH} levels deep")
            return None
        if key not in self.workflows:
            report.add_error(
                "unknown_workflow", pointer, f"there is no workflow {name!r:.60}", did_you_mean(name, self.workflows)
            )
            return None
        if key not in self.verdicts:
            verdict = self.check(self.workflows[key], calling, key)
            if verdict.plan is not None and name in self.drafts:
                verdict = replace(verdict, plan=verdict.plan.model_copy(update={"version": 0}))
            self.verdicts[key] = verdict
        verdict = self.verdicts[key]
        errors = [problem for problem in verdict.problems if problem.severity == "error"]
        if errors:
            count = "an error" if len(errors) == 1 else f"{len(errors)} errors"
            message = f"workflow {name!r} has {count}: {errors[0].path}: {errors[0].message}"
            report.add_error("invalid_workflow", pointer, message)
        return verdict


def _make_slug(name: str) -> str:
    """Return an id made from a name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "workflow"
