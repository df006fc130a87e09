"""Random runs whose actions are fused: as on the simulator, whatever is done to them, and if their workers are lost.

`SEED=…` draws other graphs, as in `test_random_runs`.
"""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from orchestrator.interpreter.effects import ActRequest
from orchestrator.model.run import RunInfo
from orchestrator.planner.planner import check
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import run_dev_server
from orchestrator.temporal.segments.activity import SegmentActivity
from orchestrator.temporal.worker import set_deadlock_timeout
from orchestrator.temporal.workflow.run_workflow import RunWorkflow
from orchestrator.temporal.workflow.segments import SEGMENT
from tests.graphs import Generated
from tests.temporal.answers import Scripts
from tests.temporal.delicate_runs import SUGGESTED_AT
from tests.temporal.test_random_runs import (
    MOST,
    SEED,
    Operator,
    build_input,
    compare_with_simulator,
    draw_graphs,
    inline_branches,
    let_operators_decide,
    read_executions,
    report,
    require_replays,
    require_undone,
    run_all,
)
from tests.temporal.world import NONE, World, open_world

pytestmark = [pytest.mark.temporal, pytest.mark.slow]
MOST_LOST = 3


class LostSegments(SegmentActivity):
    """Loses the results of every third segment, at most three of a run, as a worker does that is killed."""

    def __init__(self, scripts: Scripts) -> None:
        super().__init__(self.call_once)
        self.scripts = scripts
        self.known: dict[tuple[str, int], Any] = {}
        """What each attempt came to, by its idempotency key: actions recognize a call that they have had."""
        self.chance = random.Random(SEED)
        self.lost: Counter[str] = Counter()
        """Number by run."""

    async def call_once(self, info: RunInfo, workflow_id: str, request: ActRequest, number: int) -> Any:
        key = (request.idempotency_key, number)
        if key not in self.known:
            try:
                self.known[key] = await self.scripts.call_fused(info, workflow_id, request, number)
            except ApplicationError as error:
                self.known[key] = error
        if isinstance(self.known[key], ApplicationError):
            raise self.known[key]
        return self.known[key]

    @activity.defn(name=SEGMENT)
    async def run(self, head: dict[str, Any], plan_json: bytes, state_json: bytes) -> dict[str, Any]:
        answer = await super().run(head, plan_json, state_json)
        # Each time, Temporal waits longer before it tries the workflow task again: the fifth time for over a minute.
        run_id = activity.info().workflow_id
        if self.lost[run_id] < MOST_LOST and self.chance.random() < 0.33:
            self.lost[run_id] += 1
            raise ApplicationError("the worker is lost")
        return answer


@pytest.fixture(scope="module")
async def short(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A server whose histories are short."""
    config = (f"limit.historyCount.suggestContinueAsNew={SUGGESTED_AT}",)
    home = tmp_path_factory.mktemp("random")
    async with run_dev_server(home, dynamic_config=config) as server, open_world(server) as world:
        yield world


def fuse(graph: Generated, number: int) -> Generated:
    """Return a graph with fused actions, every second one with its branches inline."""
    settings = {**graph.definition["settings"], "execution": "local"}
    graph = inline_branches(graph) if number % 2 else graph
    return replace(graph, definition={**graph.definition, "settings": settings})


def draw_fused(count: int) -> list[Generated]:
    return [fuse(graph, number) for number, graph in enumerate(draw_graphs(count))]


async def test_random_graphs_with_fused_actions_run_as_on_the_simulator(short: World) -> None:
    counts = await compare_with_simulator(short, draw_fused(MOST))
    report("fused on simulator and Temporal", counts)

    assert counts["runs"] >= 5


async def test_random_graphs_run_as_on_the_simulator_when_segments_are_lost(short: World) -> None:
    queue = "lost segments"
    options = short.runs.settings.model_copy(update={"task_queue": queue})
    world = World(short.client, Runs(short.client, options), short.scripts, queue, short.numbers)
    segments = LostSegments(short.scripts)
    activities = [short.scripts.act, segments.run]
    worker = Worker(
        short.client, task_queue=queue, workflows=[RunWorkflow], activities=activities, workflow_runner=NONE
    )
    set_deadlock_timeout(worker)
    async with worker:
        counts = await compare_with_simulator(world, draw_fused(MOST))
    report(f"{segments.lost.total()} segments lost", counts)

    assert counts["runs"] >= 5
    assert segments.lost


@pytest.mark.long
async def test_whatever_an_operator_does_a_run_with_fused_actions_ends_and_replays(short: World) -> None:
    graphs, counts = draw_fused(MOST), Counter[str]()
    executions: list[tuple[str, str]] = []

    async def operate(number: int) -> None:
        graph, chance = graphs[number], random.Random(SEED * 1_000 + number)
        customer, script = short.script(graph.mocks | {"undo": {"output": {}}})
        script.seconds = 0.03
        plan = check(let_operators_decide(graph.definition, chance) | {"customer_id": customer}).require()
        run_id = await short.start(plan, build_input(number))
        operator = Operator(short, run_id, [node["id"] for node in graph.definition["nodes"]], chance, counts)
        await operator.interfere()
        run = await operator.end()
        require_undone(run, script, f"seed {SEED}, graph {number}: {json.dumps(graph.definition)}")
        counts[run.status] += 1
        executions.extend(await read_executions(short, run_id))

    counts |= await run_all(operate)
    await require_replays(executions)
    report("operators and fused actions", counts)

    assert counts["runs"] >= 5
