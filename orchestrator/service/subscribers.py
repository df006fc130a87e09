"""Ask the workflows of an event or a webhook whether they start, and note what each of them answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.errors import OrchestratorError, Problem
from orchestrator.jsontools.schema import find_problems
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.language import Env
from orchestrator.language.condition_reader import build_evidence, compile_condition
from orchestrator.model.run_ids import draw_run_id
from orchestrator.service.plans import Plans
from orchestrator.service.process_pool import TooCostly
from orchestrator.store.deliveries import FAILED, PAUSED, Start
from orchestrator.store.records import ACTIVE, TriggerRow
from orchestrator.store.triggers import Triggers

MAX_PROBLEMS = 3
"""Problems of an event's data that a reason names."""
MAX_REASON = 500
MAX_ANSWERS = 20
"""Answers that a delivery keeps, those first of workflows that do not start."""
START, FILTERED = "start", "filtered"
ANSWERS = (START, PAUSED, FILTERED, FAILED)
"""What a workflow answers: it starts; it is paused; its filter is false; its filter cannot be evaluated, or the data
does not match its schema."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the workflows that were asked have answered."""

    starts: tuple[Start, ...]
    answers: list[dict[str, Any]]
    reason: str | None
    """Why nothing starts, if nothing does."""


class Subscribers:
    """The workflows with event triggers and webhooks, of all customers."""

    def __init__(self, triggers: Triggers, plans: Plans) -> None:
        self.triggers = triggers
        self.plans = plans

    async def ask_about_event(self, customer_id: str, received: Mapping[str, Any]) -> Asked:
        """Ask every workflow whose trigger matches the name of an event; raises Busy."""
        subscribers = await self.triggers.list_subscribers(customer_id)
        rows = [row for row in subscribers if matches_pattern(row.event or "", received["name"])]
        if not rows:
            hint = did_you_mean(received["name"], {row.event or "" for row in subscribers})
            reason = "no workflow has a trigger for this event" + (f": {hint}" if hint else "")
            return Asked((), [], reason)
        return await self._ask(customer_id, [(row, start_for(row)) for row in rows], received)

    async def ask_about_request(self, row: TriggerRow, start: Start, received: Mapping[str, Any]) -> Asked:
        """Ask the workflow of a webhook, which has the start planned; raises Busy."""
        return await self._ask(row.customer_id, [(row, start)], received)

    async def _ask(
        self, customer_id: str, planned: Sequence[tuple[TriggerRow, Start]], received: Mapping[str, Any]
    ) -> Asked:
        configs = {
            row.workflow_id: row.config for row, _ in planned if row.config.get("filter") or row.config.get("schema")
        }
        refused: dict[str, dict[str, Any]] = {}
        if configs:
            try:
                refused = await self.plans.call(customer_id, find_refusals, configs, received)
            except TooCostly as error:
                refused = {name: {"answer": FAILED, "reason": _explain_failed_filter(error)} for name in configs}
        starts: list[Start] = []
        answers: list[dict[str, Any]] = []
        for row, start in planned:
            paused = PAUSED if row.wanted != ACTIVE else START
            answer = refused.get(row.workflow_id) or {"answer": paused}
            answers.append({"workflow_id": row.workflow_id, "version": row.version, "trigger": _describe(row)} | answer)
            match answer["answer"]:
                case "start":
                    starts.append(start)
                case "paused":
                    starts.append(replace(start, state=PAUSED))
                case "failed":
                    starts.append(replace(start, state=FAILED, reason=answer["reason"]))
        answers.sort(key=lambda each: bool(each["answer"] == START))
        return Asked(tuple(starts), answers[:MAX_ANSWERS], _explain_no_start(starts, answers))


def start_for(row: TriggerRow) -> Start:
    """Return the start of a workflow by its trigger, with the ID of the run."""
    return Start(row.workflow_id, row.version, draw_run_id(row.workflow_id))


def matches_pattern(pattern: str, name: str) -> bool:
    """Return whether an event's name matches: `order.*` any one part, `order.**` one part or more."""
    wanted, parts = pattern.split("."), name.split(".")
    if wanted[-1] == "**":
        if len(parts) < len(wanted):
            return False
        wanted, parts = wanted[:-1], parts[: len(wanted) - 1]
    return len(wanted) == len(parts) and all(want in ("*", part) for want, part in zip(wanted, parts, strict=True))


def find_refusals(configs: Mapping[str, Mapping[str, Any]], received: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the answers of the workflows that do not start, each with what its filter saw or why it failed."""
    env = _build_filter_env(received)
    refused: dict[str, dict[str, Any]] = {}
    for name, config in configs.items():
        problems = find_problems(config["schema"], received["data"]) if config.get("schema") else []
        if problems:
            refused[name] = {"answer": FAILED, "reason": _explain_mismatch(problems)}
            continue
        try:
            result, seen = compile_condition(config["filter"]).decide(env) if config.get("filter") else (True, [])
            if not result:
                refused[name] = {"answer": FILTERED, "decision": build_evidence(seen, "false")}
        except OrchestratorError as error:
            refused[name] = {"answer": FAILED, "reason": _explain_failed_filter(error)}
    return refused


def _explain_mismatch(problems: Sequence[Problem]) -> str:
    listed = "; ".join(f"{problem.path or '/'}: {problem.message}" for problem in problems[:MAX_PROBLEMS])
    return f"the event's data does not match the trigger's schema: {listed}"[:MAX_REASON]


def _build_filter_env(received: Mapping[str, Any]) -> Env:
    """Return what a filter sees: the event or request as `trigger`, as in the run's templates, and its keys."""
    return Env({**received, "trigger": received}, lambda: datetime.now(UTC), lambda: str(uuid4()))


def _describe(row: TriggerRow) -> str:
    return row.event or row.path or ""


def _explain_failed_filter(error: OrchestratorError) -> str:
    return f"the trigger's filter failed: {error}"


def _explain_no_start(starts: Iterable[Start], answers: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why nothing starts, from the answers of all workflows; None if something does."""
    if any(start.state not in (PAUSED, FAILED) for start in starts):
        return None
    counts = {name: sum(answer["answer"] == name for answer in answers) for name in ANSWERS}
    described = {PAUSED: "paused", FILTERED: "filtered out", FAILED: "failed by its filter"}
    listed = ", ".join(f"{counts[name]} {words}" for name, words in described.items() if counts[name])
    return f"no workflow starts: {listed}"
