"""Simulate runs that are interrupted: the seam for tests of state that survives continue-as-new."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.interpreter.execute import execute
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.value_table import ValueTable, load_lines
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run, RunInfo
from orchestrator.simulator.effects import Answer, SimulatedEffects, Simulation
from orchestrator.simulator.simulate import EPOCH, build_document
from orchestrator.simulator.virtual_time import VirtualLoop, close_loop


class _Interrupted(BaseException):
    """The flow stopped at a boundary. Temporal's continue-as-new is not an Exception either."""

    def __init__(self, state_json: str) -> None:
        self.state_json = state_json


class _InterruptingEffects(SimulatedEffects):
    """Effects that stop the flow after `every` resumable boundaries."""

    def __init__(self, simulation: Simulation, info: RunInfo, state: RunState, every: int) -> None:
        super().__init__(simulation, info, None, ())
        self.state = state
        self.boundaries_left = every

    def boundary_due(self, cost: int, *, resumable: bool) -> bool:
        return True

    async def pass_boundary(self, *, resumable: bool) -> None:
        if not resumable:
            return
        if self.boundaries_left == 0:
            raise _Interrupted(ValueTable().dump(self.state.to_json()))
        self.boundaries_left -= 1


def simulate_interrupted(
    plan: Plan,
    *,
    input: Any = None,  # noqa: A002 - the name that `simulate` has
    actions: Mapping[str, Answer] | None = None,
    start: datetime = EPOCH,
    every: int = 1,
) -> tuple[Run, int]:
    """Run a plan, writing its state to JSON and reading it back after `every` resumable boundaries.

    Returns the run document and the number of interruptions. Raises SimulationStuck where the run waits for an event.
    """
    info = RunInfo(id="simulated", customer_id=plan.customer_id)
    simulation = Simulation(start, actions or {}, [])
    state = RunState.new(plan, info, run_input=input, trigger=None, now=start)
    interruptions = 0
    loop = VirtualLoop()
    try:
        while True:
            try:
                loop.run_until_complete(_resume(plan, info, simulation, state, every))
            except _Interrupted as interrupted:
                interruptions += 1
                state = RunState.from_json(plan, load_lines(interrupted.state_json))
            else:
                return build_document(plan, info, state, simulation), interruptions
    finally:
        close_loop(loop)


async def _resume(plan: Plan, info: RunInfo, simulation: Simulation, state: RunState, every: int) -> None:
    effects = _InterruptingEffects(simulation, info, state, every)
    try:
        await execute(plan, info, state, effects)
    finally:
        simulation.flows.remove(effects)
