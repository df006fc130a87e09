"""Check a definition and plan it: the only place that judges (SPEC §8)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.errors import Problem
from orchestrator.jsontools import schema
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.model.definition import Definition
from orchestrator.model.plan import DEFAULT_MAX_STEPS, DEFAULT_STEP_LOG_LIMIT, Plan
from orchestrator.planner import checks
from orchestrator.planner.node_checks import callee_key, pinned
from orchestrator.planner.parse import read
from orchestrator.planner.policies import Catalogue
from orchestrator.planner.report import Report
from orchestrator.planner.verdict import Verdict

MAX_CALL_DEPTH = 20
"""Workflows that call each other, one in another."""


def check(
    definition: Definition | Mapping[str, Any],
    *,
    registry: Catalogue | None = None,
    workflows: Mapping[str, Mapping[str, Any]] | None = None,
    drafts: Collection[str] = (),
) -> Verdict:
    """Judge a definition.

    `registry` knows the actions; without one their names are not checked. `workflows` holds the definitions
    that `workflow` nodes run, by id, or by `id@version` for one that is not the newest: they are planned too
    and stand in the plan. Those named in `drafts` have no version yet: no node can ask for one.
    """
    return _Planner(registry, workflows or {}, drafts).check(definition, ())


def plan(
    definition: Definition | Mapping[str, Any],
    *,
    registry: Catalogue | None = None,
    workflows: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plan | list[Problem]:
    """Give the plan of a definition, or all its problems (SPEC §13)."""
    verdict = check(definition, registry=registry, workflows=workflows)
    return verdict.problems if verdict.plan is None else verdict.plan


def validate(
    definition: Definition | Mapping[str, Any],
    *,
    registry: Catalogue | None = None,
    workflows: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Problem]:
    """Give all problems of a definition, warnings too."""
    return check(definition, registry=registry, workflows=workflows).problems


def check_input(made: Plan, given: Any) -> list[Problem]:
    """Say where a run's input does not fit `settings.input_schema`; paths point into the input."""
    return [] if made.input_schema is None else schema.problems(made.input_schema, given)


class _Planner:
    """Plans a definition and those that it calls, each once."""

    def __init__(
        self, registry: Catalogue | None, workflows: Mapping[str, Mapping[str, Any]], drafts: Collection[str]
    ) -> None:
        self.registry = registry
        self.workflows = workflows
        self.drafts = drafts
        self.done: dict[str, Verdict] = {}

    def check(self, definition: Definition | Mapping[str, Any], calling: tuple[str, ...]) -> Verdict:
        report = Report()
        found = read(definition, report)
        if found is None:
            return Verdict(None, report.found())
        calls = self._calls(found, (*calling, found.id), report)
        scopes = checks.check(found, self.registry, calls, report)
        if scopes is None or report.failed:
            return Verdict(None, report.found())
        settings = found.settings
        made = Plan(
            id=found.id or _slug(found.name),
            name=found.name,
            version=found.version,
            customer_id=found.customer_id,
            variables=found.variables,
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
            workflows=self._embedded(calls),
        )
        return Verdict(made, report.found())

    def _embedded(self, calls: Mapping[str, Verdict]) -> dict[str, Plan]:
        found: dict[str, Plan] = {}
        for name, verdict in calls.items():
            callee = verdict.require()
            found |= callee.workflows
            found[name] = callee.model_copy(update={"workflows": {}})
        return {name: found[name] for name in sorted(found)}

    def _calls(self, definition: Definition, calling: tuple[str, ...], report: Report) -> dict[str, Verdict]:
        """Plan the workflows that a definition calls."""
        found: dict[str, Verdict] = {}
        for place, node in enumerate(definition.nodes):
            name = node.config.get("workflow_id")
            if node.type != "workflow" or not isinstance(name, str) or not name:
                continue
            pointer = f"/nodes/{place}/config/workflow_id"
            key = callee_key(node.config, self.workflows)
            verdict = self._callee(name, key, calling, pointer, report)
            if verdict is None:
                continue
            found[key] = verdict
            wanted = pinned(node.config)
            if verdict.plan is not None and wanted is not None and wanted != verdict.plan.version:
                there = f"version {verdict.plan.version}" if verdict.plan.version else "a draft"
                message = f"workflow {name!r} is here as {there}, not as version {wanted}"
                report.error("unknown_version", f"/nodes/{place}/config/version", message)
        return found

    def _callee(self, name: str, key: str, calling: tuple[str, ...], pointer: str, report: Report) -> Verdict | None:
        if name in calling:
            way = " → ".join((*calling[calling.index(name) :], name))
            hint = "repeat with a loop, or with an edge back"
            report.error("workflow_cycle", pointer, f"the workflows call each other without end: {way}", hint)
            return None
        if len(calling) > MAX_CALL_DEPTH:
            report.error("too_deep", pointer, f"more than {MAX_CALL_DEPTH} workflows call each other")
            return None
        if key not in self.workflows:
            meant = did_you_mean(name, self.workflows)
            report.error("unknown_workflow", pointer, f"there is no workflow {name!r}", meant)
            return None
        if key not in self.done:
            verdict = self.check(self.workflows[key], calling)
            if verdict.plan is not None and key in self.drafts:
                verdict = replace(verdict, plan=verdict.plan.model_copy(update={"version": 0}))
            self.done[key] = verdict
        verdict = self.done[key]
        errors = [problem for problem in verdict.problems if problem.severity == "error"]
        if errors:
            first = f"{errors[0].path}: {errors[0].message}"
            message = f"workflow {name!r} has {len(errors)} errors, the first at {first}"
            report.error("invalid_workflow", pointer, message)
        return verdict


def _slug(name: str) -> str:
    """Make an id of a name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "workflow"
