"""Judge another version of a workflow by its real runs: what it would have done with what they were answered.

The runs come from the archive, or from Temporal while they are not in it. Nothing is started and no action is called.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field

from orchestrator.errors import OrchestratorError, Problem
from orchestrator.model.plan import Plan
from orchestrator.model.plan_nodes import takes_latest
from orchestrator.model.run import Document, Run
from orchestrator.service.plans import Plans
from orchestrator.service.process_pool import TooCostly
from orchestrator.service.runs import Operations
from orchestrator.simulator.regression import DEFAULT_LAST, MAX_LAST, Outcome, RunVerdict, judge_run, make_unjudged
from orchestrator.store.records import Stored
from orchestrator.store.run_filter import RunFilter
from orchestrator.store.workflows import Definitions, WorkflowNotFound
from orchestrator.temporal.payloads import TRIMMED

CANDIDATES = 3
"""Runs that are looked at for each one that is judged, so that rare paths are among them."""
MAX_EXAMPLES = 5
MANY_UNJUDGED = 0.2
"""Share of the runs above which a report begins with how many are not judged."""
STATUSES = ("completed", "failed")


class DifferenceGroup(Document):
    """Runs with which another version would have done the same other thing."""

    outcome: Outcome = Field(description="The outcome, as of its runs.")
    node_id: str | None = Field(description="Node where they part.")
    text: str = Field(description="The difference, in words.")
    count: int = Field(description="Number of runs.")
    examples: list[str] = Field(description="IDs of some of them, the newest first.")
    before: Any = Field(None, description="The decision, call or output of the first, of the version that it executed.")
    after: Any = Field(None, description="The same of the other version.")
    changed: list[str] = Field([], description="JSON Pointers to what has changed in it.")


class Regression(Document):
    """What another version of a workflow would have done with its last runs."""

    workflow_id: str = Field(description="Workflow ID.")
    version: int = Field(description="The version that was judged; 0 is the working copy.")
    summary: str = Field(description="The counts in words; where many runs are not judged, it begins with them.")
    runs: int = Field(description="Number of runs that were looked at.")
    same: int = Field(description="Runs with the same path, calls and output.")
    different: int = Field(description="Runs with which it would have done something else.")
    not_judged: int = Field(description="Runs whose record does not say enough.")
    groups: list[DifferenceGroup] = Field(description="Differences, and reasons not to judge, the most frequent first.")
    verdicts: list[RunVerdict] = Field(description="The verdict of each run, the newest first, without its details.")


class Regressions:
    """Judges versions by the runs of all customers' workflows."""

    def __init__(self, definitions: Definitions, plans: Plans, operations: Operations) -> None:
        self.definitions = definitions
        self.plans = plans
        self.operations = operations

    async def judge(
        self, customer_id: str | None, workflow_id: str, version: int = 0, last: int = DEFAULT_LAST
    ) -> Regression:
        """Judge a version by the last runs; 0 is the working copy. Raises WorkflowNotFound and DefinitionInvalid."""
        stored = await self.definitions.get(customer_id, workflow_id)
        after = await self._load_plan(stored, version)
        plans: dict[int, Plan | None] = {}
        verdicts = [
            await self._judge_run(stored, run_id, after, plans) for run_id in await self._choose_runs(stored, last)
        ]
        return _report(workflow_id, version, verdicts)

    async def _load_plan(self, stored: Stored, version: int) -> Plan:
        if version:
            published = await self.definitions.get_version(stored.customer_id, stored.id, version)
            return await self.plans.load(published)
        content = {**stored.definition, "version": stored.content_version}
        return await self.plans.make(stored.customer_id, content)

    async def _choose_runs(self, stored: Stored, last: int) -> list[str]:
        """Return the last runs; where there are more, some of each path that the runs before them took."""
        wanted = RunFilter(workflow_id=stored.id, statuses=STATUSES)
        limit = min(last * CANDIDATES, MAX_LAST * CANDIDATES)
        summaries = await self.operations.list_runs(stored.customer_id, wanted, limit=limit)
        run_ids = [summary.id for summary in summaries]
        if len(run_ids) <= last:
            return run_ids
        by_path: dict[tuple[str, ...], list[str]] = {}
        for run_id in run_ids:
            run = await self._read(stored.customer_id, run_id)
            path = tuple(sorted({step.node_id for step in run.steps})) if isinstance(run, Run) else ()
            by_path.setdefault(path, []).append(run_id)
        return choose_by_path(list(by_path.values()), last)

    async def _read(self, customer_id: str, run_id: str) -> Run | str:
        """Return the document of a run, or why it cannot be read."""
        try:
            return await self.operations.get_document(customer_id, run_id)
        except OrchestratorError as error:
            return f"its record cannot be read: {error.message}"

    async def _judge_run(self, stored: Stored, run_id: str, after: Plan, plans: dict[int, Plan | None]) -> RunVerdict:
        run = await self._read(stored.customer_id, run_id)
        if isinstance(run, str):
            return make_unjudged(run_id, 0, run)
        version = run.workflow_version
        if not version:
            before = await self._read_recorded_plan(run_id)
        else:
            if version not in plans:
                plans[version] = await self._find_plan(stored, version)
            before = plans[version]
            if before is not None and takes_latest(before):  # as it was when the run started
                before = await self._read_recorded_plan(run_id)
        if before is None:
            return make_unjudged(run_id, version, "its version is no longer stored")
        if await asyncio.to_thread(_is_cut, run):
            return make_unjudged(run_id, version, "its record is cut")
        try:
            return await self.plans.call(stored.customer_id, judge_run, run, before, after)
        except TooCostly:
            return make_unjudged(run_id, version, "it takes too long")

    async def _find_plan(self, stored: Stored, version: int) -> Plan | None:
        try:
            published = await self.definitions.get_version(stored.customer_id, stored.id, version)
        except WorkflowNotFound:
            return None
        return await self.plans.load(published)

    async def _read_recorded_plan(self, run_id: str) -> Plan | None:
        """Return the plan of a run of a working copy, which only its history has."""
        try:
            recorded = await self.operations.runs.reader.read_recorded_plan(run_id)
            return Plan.model_validate(recorded.plan)
        except (OrchestratorError, ValueError):
            return None


def choose_by_path(paths: Sequence[Sequence[str]], count: int) -> list[str]:
    """Return runs, of each path as many as of any other as far as it has them; those of a path are in their order."""
    chosen: list[str] = []
    for turn in range(max(map(len, paths), default=0)):
        chosen += [runs[turn] for runs in paths if turn < len(runs)]
    return chosen[:count]


def _is_cut(run: Run) -> bool:
    """Return whether the document of a run has lost values, because it was too long."""
    return TRIMMED in run.model_dump_json()


def _report(workflow_id: str, version: int, verdicts: Sequence[RunVerdict]) -> Regression:
    counts = {name: sum(each.outcome == name for each in verdicts) for name in ("same", "not_judged")}
    different = len(verdicts) - sum(counts.values())
    return Regression(
        workflow_id=workflow_id,
        version=version,
        summary=summarize(len(verdicts), counts["same"], different, counts["not_judged"]),
        runs=len(verdicts),
        same=counts["same"],
        different=different,
        not_judged=counts["not_judged"],
        groups=_group(each for each in verdicts if each.outcome != "same"),
        verdicts=[each.model_copy(update={"before": None, "after": None, "changed": []}) for each in verdicts],
    )


def summarize(runs: int, same: int, different: int, not_judged: int) -> str:
    """Return the counts of a report in words."""
    text = f"{different} of {runs} runs differ, {same} are the same"
    if not runs:
        return "no run to judge by"
    if not_judged > MANY_UNJUDGED * runs:
        return f"{not_judged} of {runs} runs are not judged; {text}"
    return f"{text}, {not_judged} not judged" if not_judged else text


def _group(verdicts: Iterable[RunVerdict]) -> list[DifferenceGroup]:
    groups: dict[tuple[str, str | None, str], list[RunVerdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.outcome, verdict.node_id, verdict.text), []).append(verdict)
    ordered = sorted(groups.values(), key=lambda group: (group[0].outcome == "not_judged", -len(group)))
    return [
        DifferenceGroup(
            outcome=group[0].outcome,
            node_id=group[0].node_id,
            text=group[0].text,
            count=len(group),
            examples=[verdict.run_id for verdict in group[:MAX_EXAMPLES]],
            before=group[0].before,
            after=group[0].after,
            changed=group[0].changed,
        )
        for group in ordered
    ]


def list_problems(regression: Regression, definition: dict[str, Any], *, refuse: bool) -> list[Problem]:
    """Return the differences of a working copy as problems of its definition."""
    nodes = definition.get("nodes") or []
    index = {node.get("id"): number for number, node in enumerate(nodes) if isinstance(node, dict)}
    return [
        Problem(
            "error" if refuse else "warning",
            "regression",
            f"/nodes/{index[group.node_id]}" if group.node_id in index else "",
            f"{group.count} of {regression.runs} runs: {group.text}",
            f"for example {group.examples[0]}",
        )
        for group in regression.groups
        if group.outcome != "not_judged"
    ]
