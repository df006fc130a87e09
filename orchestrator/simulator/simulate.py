"""Effects in memory: the same interpreter on a virtual clock, with answers in place of actions.

Months of delays take milliseconds. The only I/O is what a callable answer does.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import DefinitionInvalid
from orchestrator.interpreter.execute import execute
from orchestrator.interpreter.run_document import document, waiting
from orchestrator.interpreter.state import RunState
from orchestrator.model.definition import Definition
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run, RunInfo
from orchestrator.planner.planner import check, check_input
from orchestrator.simulator.effects import Answer, SimulatedEffects, World
from orchestrator.simulator.virtual_time import SimulationStuck, VirtualLoop, close_loop

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When a simulation begins unless told otherwise: the same at every run, so that traces compare."""


def simulate(
    definition: Definition | Mapping[str, Any] | Plan,
    *,
    input: Any = None,  # noqa: A002 - the contract's name
    actions: Mapping[str, Answer] | None = None,
    workflows: Mapping[str, Mapping[str, Any]] | None = None,
    events: Sequence[Mapping[str, Any]] = (),
    resolutions: Sequence[Mapping[str, Any]] = (),
    trigger: Any = None,
    start: datetime = EPOCH,
) -> Run:
    """Run a definition in memory and give its run document.

    `events` are `{at: seconds from the start, name, payload}`; `resolutions` are operators' words:
    `{node_id, action, value | parameters | target}`, each used once. A run that waits for something it was
    not given ends the simulation as `waiting`. Raises DefinitionInvalid for a bad definition or input.
    """
    made = definition if isinstance(definition, Plan) else _planned(definition, workflows)
    found = check_input(made, input)
    if found:
        raise DefinitionInvalid(found)
    world = World(start, actions or {}, list(resolutions))
    info = RunInfo(id="simulated", customer_id=made.customer_id)

    def work() -> Run:
        return _simulate(made, info, world, input, trigger, events)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _planned(definition: Any, workflows: Mapping[str, Mapping[str, Any]] | None) -> Plan:
    verdict = check(definition, workflows=workflows)
    if verdict.plan is None:
        raise DefinitionInvalid(verdict.problems)
    return verdict.plan


def _simulate(
    plan: Plan, info: RunInfo, world: World, given: Any, trigger: Any, events: Sequence[Mapping[str, Any]]
) -> Run:
    state = RunState.new(plan, info, given=given, trigger=trigger, now=world.start)
    loop = VirtualLoop()
    try:
        main = loop.create_task(_main(plan, info, state, world, events))
        try:
            loop.run_until_complete(main)
        except SimulationStuck:
            return _shown(plan, info, state, world)
        return _shown(plan, info, state, world)
    finally:
        close_loop(loop)


async def _main(plan: Plan, info: RunInfo, state: RunState, world: World, events: Sequence[Mapping[str, Any]]) -> None:
    effects = SimulatedEffects(world, info, None, {})
    deliveries = [asyncio.create_task(_deliver_later(world, event)) for event in events]
    await execute(plan, info, state, effects)
    for delivery in deliveries:
        delivery.cancel()
    await asyncio.gather(*deliveries, *world.background, return_exceptions=True)


async def _deliver_later(world: World, event: Mapping[str, Any]) -> None:
    await asyncio.sleep(float(event.get("at", 0)))
    for flow in list(world.flows):
        flow.deliver(event["name"], event.get("payload"))


def _shown(plan: Plan, info: RunInfo, state: RunState, world: World) -> Run:
    """Make the run document, with the steps of branches in the order they started."""
    shown = document(plan, info, state)
    steps = [*shown.steps, *(step.document() for branch in world.branches for step in branch.log)]
    steps.sort(key=lambda step: step.started_at)
    for step in steps:
        if step.id in world.unanswered:
            step.warnings.append(f"no answer was given for {world.unanswered[step.id]}: simulated")
    waits = [entry for branch in world.branches if branch.status == "running" for entry in waiting(branch)]
    return shown.model_copy(update={"steps": steps, "waiting_for": [*shown.waiting_for, *waits]})
