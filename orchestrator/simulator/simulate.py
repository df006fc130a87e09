"""Run the interpreter in memory, on a virtual clock and with mocked actions: months of delays take milliseconds.

No I/O here, except in answers that are functions.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import DefinitionInvalid
from orchestrator.interpreter.execute import execute
from orchestrator.interpreter.repair_requests import RepairRequest
from orchestrator.interpreter.run_document import build_run_document, describe_waits
from orchestrator.interpreter.state import RunState
from orchestrator.model.definition import Definition
from orchestrator.model.plan import Plan
from orchestrator.model.run import Intervention, Run, RunInfo, StepDocument
from orchestrator.model.run_paths import is_inside
from orchestrator.planner.planner import check, check_input
from orchestrator.planner.policies import Catalogue
from orchestrator.simulator.effects import Answer, SimulatedCall, SimulatedEffects, Simulation
from orchestrator.timing.virtual_loop import Stuck, VirtualLoop

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Default start time of a simulation: fixed, so that traces can be compared."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A simulated run, with all that its document does not hold."""

    run: Run
    steps: list[StepDocument]
    """All steps in the order of their starts, those included that going back took off the record."""
    calls: list[SimulatedCall]
    """The calls of actions in their order, those by called workflows included."""


def simulate(
    definition: Definition | Mapping[str, Any] | Plan,
    *,
    input: Any = None,  # noqa: A002 - the contract's name
    actions: Mapping[str, Answer] | None = None,
    workflows: Mapping[str, Mapping[str, Any]] | None = None,
    events: Sequence[Mapping[str, Any]] = (),
    resolutions: Sequence[Mapping[str, Any]] = (),
    repairs: Sequence[Mapping[str, Any]] = (),
    trigger: Any = None,
    start: datetime = EPOCH,
    registry: Catalogue | None = None,
) -> Run:
    """Run a definition in memory and return its run document.

    `events` are `{at, name, payload, key, by}`, with `at` in seconds from the start. `resolutions` are what an operator
    would answer for paused steps: `{node_id, action, value | parameters | target}`, each used once. `repairs` are what
    an operator changes in the run: `{at, kind, …}`, as `RepairRequest` has them. A run that waits for an event or a
    resolution that is not among them ends as `waiting`. The parameters of an action that `registry` has are checked as
    its worker would. Raises DefinitionInvalid for an invalid definition or input.
    """
    plan = definition if isinstance(definition, Plan) else _plan_definition(definition, workflows)
    simulation = Simulation(start, actions or {}, list(resolutions), registry, repairs=repairs)
    return trace_simulation(plan, simulation, input=input, trigger=trigger, events=events).run


def trace_simulation(
    plan: Plan,
    simulation: Simulation,
    *,
    input: Any = None,  # noqa: A002 - the name that `simulate` has
    trigger: Any = None,
    events: Sequence[Mapping[str, Any]] = (),
) -> Trace:
    """Run a plan in memory and return its run with all steps and calls; raises DefinitionInvalid for the input."""
    problems = check_input(plan, input)
    if problems:
        raise DefinitionInvalid(problems)
    info = RunInfo(id="simulated", customer_id=plan.customer_id)

    def work() -> Trace:
        run = _simulate(plan, info, simulation, input, trigger, events)
        return Trace(run, [step.to_document() for step in simulation.steps], simulation.calls)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _plan_definition(definition: Any, workflows: Mapping[str, Mapping[str, Any]] | None) -> Plan:
    verdict = check(definition, workflows=workflows)
    if verdict.plan is None:
        raise DefinitionInvalid(verdict.problems)
    return verdict.plan


def _simulate(
    plan: Plan, info: RunInfo, simulation: Simulation, run_input: Any, trigger: Any, events: Sequence[Mapping[str, Any]]
) -> Run:
    state = RunState.new(plan, info, run_input=run_input, trigger=trigger, now=simulation.start)
    simulation.watch(state)
    loop = VirtualLoop()
    try:
        main = loop.create_task(_run_flow(plan, info, state, simulation, events))
        with contextlib.suppress(Stuck):
            loop.run_until_complete(main)
        return build_document(plan, info, state, simulation)
    finally:
        loop.discard()


async def _run_flow(
    plan: Plan, info: RunInfo, state: RunState, simulation: Simulation, events: Sequence[Mapping[str, Any]]
) -> None:
    effects = SimulatedEffects(simulation, plan, info, state)
    deliveries = [asyncio.create_task(deliver_later(simulation, event)) for event in events]
    deliveries += [asyncio.create_task(repair_later(simulation, info, request)) for request in simulation.repairs]
    await execute(plan, info, state, effects)
    for delivery in deliveries:
        delivery.cancel()
    await asyncio.gather(*deliveries, *simulation.background_tasks, return_exceptions=True)


async def deliver_later(simulation: Simulation, event: Mapping[str, Any]) -> None:
    """Deliver an event to all flows at its time."""
    await asyncio.sleep(float(event.get("at", 0)))
    simulation.received += 1
    for flow in list(simulation.flows):
        sender = event.get("by", ""), event.get("step_id")
        flow.deliver(event["name"], event.get("payload"), simulation.received, event.get("key"), *sender)


async def repair_later(simulation: Simulation, info: RunInfo, request: Mapping[str, Any]) -> None:
    """Repair the run at the time of a request, in the innermost flow around the step or the path that it names."""
    await asyncio.sleep(float(request.get("at", 0)))
    wanted = RepairRequest.from_json(request)
    path = wanted.step_id.rpartition("/")[0] if wanted.step_id else wanted.path or ""
    around = [flow for flow in simulation.flows if flow.info == info and is_inside(path, flow.state.path)]
    if around:
        max(around, key=lambda flow: len(flow.state.path)).repair(wanted)


def build_document(plan: Plan, info: RunInfo, state: RunState, simulation: Simulation) -> Run:
    """Return the run document, with the steps of branches among the others by start time."""
    run_document = build_run_document(plan, info, state)
    steps = [*run_document.steps, *(step.to_document() for branch in simulation.branch_states for step in branch.log)]
    steps.sort(key=lambda step: step.started_at)
    for step in steps:
        if step.id in simulation.unanswered:
            step.warnings.append(f'{simulation.unanswered[step.id]} has no mock: its output is {{"simulated": true}}')
    live = [branch for branch in simulation.branch_states if branch.status == "running"]
    waits = [entry for branch in live for entry in describe_waits(plan, branch)]
    repaired = [
        Intervention.model_validate(entry) for branch in simulation.branch_states for entry in branch.interventions
    ]
    interventions = sorted([*run_document.interventions, *repaired], key=lambda each: each.at)
    return run_document.model_copy(
        update={
            "steps": steps,
            "waiting_for": [*run_document.waiting_for, *waits],
            "interventions": interventions,
        }
    )
