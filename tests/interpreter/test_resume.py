"""A run that is written down between two nodes and read again ends as if nothing had happened.

Continue-as-new relies on this: at every boundary that can be resumed the state goes through JSON.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from orchestrator.interpreter.execute import execute
from orchestrator.interpreter.state import RunState
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run, RunInfo
from orchestrator.planner.planner import check
from orchestrator.simulator.effects import SimulatedEffects, Simulation
from orchestrator.simulator.simulate import EPOCH, build_document, simulate
from orchestrator.simulator.virtual_time import VirtualLoop, close_loop
from tests.golden import Case, load_cases
from tests.graphs import Generated, structured, wild

INFO = RunInfo(id="simulated", customer_id="golden")
QUICK = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


class MovedOnError(BaseException):
    """The flow has been written down: what Temporal's continue-as-new raises is no Exception either."""

    def __init__(self, written: str) -> None:
        self.written = written


class MovingEffects(SimulatedEffects):
    """Stops the flow at every so many-th boundary that can be resumed."""

    every = 1
    seen = 0
    state: RunState

    def boundary_due(self, *, resumable: bool) -> bool:
        return True

    async def pass_boundary(self, *, resumable: bool) -> None:
        if resumable:
            self.seen += 1
            if self.seen > self.every:
                raise MovedOnError(json.dumps(self.state.to_json()))


def run_interrupted(plan: Plan, given: Any, world: Simulation, every: int) -> tuple[Run, int]:
    """Run a plan, through JSON at every so many-th boundary; gives the document and how often it moved on."""
    loop = VirtualLoop()
    state = RunState.new(plan, INFO, run_input=given, trigger=None, now=world.start)
    moves = 0

    async def resume() -> None:
        effects = MovingEffects(world, INFO, None, {})
        effects.every, effects.state = every, state
        try:
            await execute(plan, INFO, state, effects)
        finally:
            world.flows.remove(effects)

    try:
        while True:
            try:
                loop.run_until_complete(resume())
            except MovedOnError as moved:
                moves += 1
                state = RunState.from_json(plan, json.loads(moved.written))
            else:
                return build_document(plan, INFO, state, world), moves
    finally:
        close_loop(loop)


def compare(definition: Mapping[str, Any], *, input: Any, actions: Any, workflows: Any = None, every: int) -> int:  # noqa: A002
    """Hold an interrupted run against one that is left alone."""
    verdict = check(definition, workflows=workflows)
    if verdict.plan is None:
        return 0
    plain = simulate(verdict.plan, input=input, actions=actions)
    world = Simulation(EPOCH, actions, [])
    moved, moves = run_interrupted(verdict.plan, input, world, every)

    assert drop_times(moved) == drop_times(plain)
    return moves


TIMES = frozenset(("started_at", "completed_at", "duration_ms", "until", "timestamp", "customer_id"))
"""What may differ: iterations beside each other end before the flow moves on, so all takes longer."""


def drop_times(run: Run) -> Any:
    """Take the times out of a document; steps by id, because what runs side by side may start in another order."""
    shown = strip(run.model_dump(mode="json"))
    return {**shown, "steps": {step["id"]: step for step in shown["steps"]}}


def strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in TIMES}
    return [strip(item) for item in value] if isinstance(value, list) else value


def load_plain_cases() -> list[Case]:
    return [case for case in load_cases() if not case.events and not case.resolutions and "refused" not in case.expect]


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("case", load_plain_cases(), ids=lambda case: case.name)
def test_golden_cases_end_the_same(case: Case, every: int) -> None:
    if case.expect.get("status") != "waiting":
        compare(case.definition, input=case.input, actions=case.actions, workflows=case.workflows, every=every)


@QUICK
@given(structured(crossing=2))
def test_random_graphs_end_the_same(graph: Generated) -> None:
    compare(graph.definition, input=None, actions=graph.mocks, every=1)


@QUICK
@given(wild())
def test_wild_graphs_end_the_same(graph: Generated) -> None:
    compare(graph.definition, input=None, actions=graph.mocks, every=2)


def test_a_loop_in_a_loop_moves_on_at_every_node() -> None:
    inner = {"id": "inner", "type": "loop", "collection": 3, "item_variable": "j", "body": ["work"]}
    definition = {
        "name": "Nested",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "outer", "type": "loop", "collection": 3, "item_variable": "i", "body": ["inner"]},
            inner | {"config": {"collect": "{{ i }}{{ j }}"}},
            {"id": "work", "type": "set", "config": {"last": "{{ i }}-{{ j }}"}},
        ],
        "edges": [{"source": "trigger", "target": "outer"}],
    }

    moves = compare(definition, input=None, actions={}, every=1)

    assert moves >= 9


def test_virtual_time_goes_on() -> None:
    """The clock of the double is the loop's: a delay before and after moving on takes its whole time."""
    definition = {
        "name": "Delays",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "a", "type": "delay", "delay_seconds": 60},
            {"id": "b", "type": "delay", "delay_seconds": 60},
        ],
        "edges": [{"source": "trigger", "target": "a"}, {"source": "a", "target": "b"}],
    }
    run = simulate(definition)

    assert run.completed_at == EPOCH + timedelta(seconds=120)
    assert compare(definition, input=None, actions={}, every=1) == 1
