"""Random runs on Temporal, where histories are short: as on the simulator, whatever is done to them, to the last undo.

Each of them replays, and the history reader comes to what its worker knew.

`pytest -m slow -s tests/temporal/test_random_runs.py` prints the seed, and how many runs met what is tested;
`SEED=…` draws other graphs.
"""

import asyncio
import functools
import itertools
import json
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import Phase, given, seed, settings
from temporalio.client import WorkflowHistory

from orchestrator.errors import OperationRefused, RunNotFound, ServerUnavailable
from orchestrator.model.plan import Plan
from orchestrator.model.run import ENDED, RepairKind, Run
from orchestrator.planner.planner import check
from orchestrator.reruns.restart import Changes
from orchestrator.reruns.targets import Target
from orchestrator.simulator.simulate import simulate
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import run_dev_server
from orchestrator.temporal.payloads import TRIMMED
from tests.graphs import VALUES, VARIABLES, Generated, draw_structured
from tests.interpreter.test_resume import drop_times
from tests.scale import scale
from tests.temporal.answers import Script
from tests.temporal.delicate_runs import ARRIVALS, SUGGESTED_AT, make_fork, make_loop, read_type, run_flagged_worker
from tests.temporal.readings import find_differing_readings, is_ended_by_worker
from tests.temporal.record_histories import list_executions
from tests.temporal.test_replay import find_mismatches
from tests.temporal.world import World, add_heartbeats, make_plan, open_world
from tests.written_keys import collect_payload_keys

pytestmark = [pytest.mark.temporal, pytest.mark.slow]

SEED = int(os.environ.get("SEED") or 1)
SECONDS = scale(6)
"""No further run begins after that time; those that have begun end."""
AT_ONCE = 12
MOST = scale(200)
"""Runs of one test at most."""
FEWEST = 80
"""Runs in which an operator does each of the common things at least once, also on a machine with time for 30."""
FEW = 40
"""Runs of the other tests at least: enough to meet what they are about, on a machine with time for 12."""
END_SECONDS = 180.0
MAX_STEPS = 50
"""Of one run: on a busy machine, a run of 150 steps took over a minute."""
CANCEL = "WORKFLOW_EXECUTION_CANCEL_REQUESTED"


@pytest.fixture(scope="module")
async def short(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A server whose histories are short, and workers with the flag `BATCH` off and on."""
    config = (f"limit.historyCount.suggestContinueAsNew={SUGGESTED_AT}",)
    home = tmp_path_factory.mktemp("random")
    async with run_dev_server(home, dynamic_config=config) as server, open_world(server) as world:
        yield world


@pytest.fixture(scope="module")
async def workers(short: World) -> AsyncIterator[tuple[World, World]]:
    """Worlds whose workers handle the events of a workflow task one by one, and in one batch."""
    async with AsyncExitStack() as stack:
        worlds = []
        for batch in (False, True):
            queue = f"batch {batch}"
            options = short.runs.settings.model_copy(update={"task_queue": queue})
            world = World(short.client, Runs(short.client, options), short.scripts, queue, short.numbers)
            await stack.enter_async_context(run_flagged_worker(world, batch=batch))
            worlds.append(world)
        yield worlds[0], worlds[1]


@functools.cache
def draw_graphs(count: int) -> list[Generated]:
    """Draw graphs by the seed; few have data that the planner knows to be wrong, and are left out."""
    graphs: list[Generated] = []

    @seed(SEED)
    @settings(max_examples=count, phases=[Phase.generate])
    @given(draw_structured(rich=True))
    def collect(graph: Generated) -> None:
        settings = {**graph.definition["settings"], "max_steps": MAX_STEPS}
        graph = replace(graph, definition={**graph.definition, "settings": settings})
        if check(graph.definition).plan is not None:
            graphs.append(graph)

    collect()
    return graphs


async def run_all(each: Callable[[int], Awaitable[None]], most: int = MOST, least: int = 0) -> Counter[str]:
    """Call a function for each number, a few at a time: `least` times, and then as long as there is time."""
    room, began, counts = asyncio.Semaphore(AT_ONCE), time.monotonic(), Counter[str]()

    async def run(number: int) -> None:
        async with room:
            if number < least or time.monotonic() - began < SECONDS:
                async with asyncio.timeout(END_SECONDS):
                    await each(number)
                counts["runs"] += 1

    await asyncio.gather(*(run(number) for number in range(min(most, MOST))))
    return counts


def report(title: str, counts: Counter[str]) -> None:
    print(f"\n{title}: seed {SEED}, {', '.join(f'{count} {name}' for name, count in counts.items())}")


async def read_executions(world: World, run_id: str) -> list[tuple[str, str]]:
    return await list_executions(world.client, run_id)


async def require_replays(executions: Iterable[tuple[str, str]]) -> None:
    histories = [WorkflowHistory.from_json(name, history) for name, history in executions]

    assert await find_mismatches(histories) == {}, f"seed {SEED}"
    assert await find_differing_readings(list(filter(is_ended_by_worker, histories))) == [], f"seed {SEED}"


def build_input(number: int) -> dict[str, Any]:
    """Return an input; every third one is so large that a state with it is compressed."""
    return {"rows": [f"{row} " + "x" * (2_000 if number % 3 == 0 else 2) for row in range(20)]}


async def test_random_graphs_run_as_on_the_simulator(short: World) -> None:
    # Of these graphs, one in 40 is so long that it continues.
    counts = await compare_with_simulator(short, draw_graphs(MOST), FEWEST)
    report("simulator and Temporal", counts)

    assert counts["runs"] >= 5
    assert counts["continued as new"] > 0


@pytest.mark.long
async def test_random_graphs_that_are_cut_inside_forks_run_as_on_the_simulator(short: World) -> None:
    """Concurrent iterations and inline branches are written down and resumed in the middle."""
    forking = [inline_branches(graph) for graph in draw_graphs(MOST) if has_forks(graph)]
    counts = await compare_with_simulator(short, forking)
    report("forks on simulator and Temporal", counts)

    assert counts["runs"] >= 5
    assert counts["continued inside a fork"] > 0


def has_forks(graph: Generated) -> bool:
    nodes = graph.definition["nodes"]
    return any(node["type"] == "parallel" or "max_concurrency" in node.get("config", {}) for node in nodes)


def inline_branches(graph: Generated) -> Generated:
    nodes = [
        {**node, "config": {**node["config"], "mode": "inline"}} if node["type"] == "parallel" else node
        for node in graph.definition["nodes"]
    ]
    return replace(graph, definition={**graph.definition, "nodes": nodes})


async def compare_with_simulator(short: World, graphs: Sequence[Generated], least: int = FEW) -> Counter[str]:
    """Run graphs on Temporal and on the simulator, and compare the documents; return what the runs met."""
    counts: Counter[str] = Counter()
    executions: list[tuple[str, str]] = []

    async def compare(number: int) -> None:
        graph = graphs[number]
        customer, _ = short.script(graph.mocks | {"undo": {"output": {}}})
        verdict = check(graph.definition | {"customer_id": customer})
        assert verdict.plan is not None, (SEED, number)
        given_input = build_input(number)
        expected = simulate(verdict.plan, input=given_input, actions=graph.mocks | {"undo": {"output": {}}})
        run = await short.run(verdict.plan, given_input)
        where = f"seed {SEED}, graph {number}: {json.dumps(graph.definition)}"
        if is_limited(expected):
            assert is_limited(run), where
            counts["ended by max_steps"] += 1
        else:
            assert find_difference(simplify(expected), simplify(run)) is None, where
        count_features(counts, graph, run)
        recorded = await read_executions(short, run.id)
        executions.extend(recorded)
        counts["continued as new"] += len(recorded) > 1 + count_children(run)
        counts["continued inside a fork"] += any(map(begins_inside_fork, recorded))

    counts |= await run_all(compare, len(graphs), least)
    await require_replays(executions)
    return counts


@pytest.mark.long
async def test_random_runs_are_rerun_from_any_step_as_on_the_simulator(short: World) -> None:
    """Actions always answer the same, so a rerun ends as the run that it continues."""
    graphs = [
        replace(graph, answers={name: answers[:1] for name, answers in graph.answers.items()})
        for graph in draw_graphs(MOST)
    ]
    counts: Counter[str] = Counter()

    async def rerun(number: int) -> None:
        graph, chance = graphs[number], random.Random(SEED * 1_000 + number)
        actions = graph.mocks | {"undo": {"output": {}}}
        customer, script = short.script(actions)
        plan = check(graph.definition | {"customer_id": customer}).require()
        expected = simulate(plan, input=build_input(number), actions=actions)
        old = await short.run(plan, build_input(number))
        steps = [step for step in old.steps if "#" not in step.id and not step.id.endswith("/compensate")]
        if is_limited(expected) or not steps:
            return
        chosen, called = chance.choice(steps), len(script.calls)
        changes = Changes(Target(chosen.node_id, chosen.path or None))
        try:
            planned = await short.runs.reader.reruns.plan("", old.id, changes, f"{old.id}-again")
        except OperationRefused:
            counts["refused"] += 1
            return
        started = await short.runs.start(short.runs.prepare_rerun(planned))
        run = await short.wait_for_end(started.id)
        where = f"seed {SEED}, graph {number}, from {chosen.id}: {json.dumps(graph.definition)}"
        assert find_difference(simplify_end(expected), simplify_end(run)) is None, where
        counts[run.status] += 1
        counts["from inside an iteration or a branch"] += "[" in chosen.id
        counts["calls that were saved"] += max(2 * called - len(script.calls), 0)

    counts |= await run_all(rerun, least=FEW)
    report("reruns", counts)

    assert counts["completed"] > 0
    assert counts["from inside an iteration or a branch"] > 0


def simplify_end(run: Run) -> Any:
    """Return how a run ended, and with what; the record of a rerun has other steps, and may say more of failures."""
    document = simplify(run)
    shown = ("status", "output", "context") if run.status == "completed" else ("status",)
    return {name: document[name] for name in shown}


def begins_inside_fork(execution: tuple[str, str]) -> bool:
    """Return whether an execution begins with a state in which iterations or inline branches are in progress."""
    return "forks" in collect_payload_keys(json.loads(execution[1])["events"][0])


def is_limited(run: Run) -> bool:
    return run.failure is not None and run.failure["details"].get("limit") == "max_steps"


def simplify(run: Run) -> Any:
    """Return what does not depend on where the run took place."""
    document = drop_times(run)
    shown = ("status", "output", "steps", "steps_completed", "steps_total", "failure", "warnings")
    context = {name: value for name, value in document["context"].items() if name not in ("run", "workflow")}
    return {name: document[name] for name in shown} | {"context": context}


def find_difference(expected: Any, value: Any, path: str = "") -> str | None:
    """Return where two values differ; what a document has lost by its size is not compared."""
    if value == TRIMMED or (isinstance(value, dict) and value.get("dropped") == TRIMMED):
        return None
    if isinstance(expected, dict) and isinstance(value, dict) and expected.keys() == value.keys():
        found = (find_difference(expected[key], value[key], f"{path}/{key}") for key in expected)
    elif isinstance(expected, list) and isinstance(value, list) and len(expected) == len(value):
        pairs = enumerate(zip(expected, value, strict=True))
        found = (find_difference(one, other, f"{path}/{index}") for index, (one, other) in pairs)
    else:
        return None if expected == value else f"{path}: {str(expected)[:300]!r} is not {str(value)[:300]!r}"
    return next((each for each in found if each is not None), None)


def count_features(counts: Counter[str], graph: Generated, run: Run) -> None:
    ran = {step.node_id for step in run.steps}
    texts = [json.dumps(node) for node in graph.definition["nodes"] if node["id"] in ran]
    counts["with computed keys"] += any('"{{ ' in text and '}}": ' in text for text in texts)
    counts["with copies of all steps"] += any("{{ steps }}" in text or "[steps]" in text for text in texts)
    counts["with the whole input"] += any("input" in text for text in texts)
    counts["failed at a computed key"] += run.failure is not None and "key" in run.failure["message"]
    counts["undone"] += any(step.id.endswith("/compensate") for step in run.steps)


def count_children(run: Run) -> int:
    """Return at most how many workflows of branches a run has."""
    return sum(
        len((step.output_data or {}).get("branches", ())) for step in run.steps if isinstance(step.output_data, dict)
    )


@pytest.mark.long
async def test_whatever_an_operator_does_a_run_ends_and_replays(workers: tuple[World, World]) -> None:
    graphs = draw_graphs(MOST)
    counts: Counter[str] = Counter()
    executions: list[tuple[str, str]] = []

    async def operate(number: int) -> None:
        world, graph, chance = workers[number % 2], graphs[number], random.Random(SEED * 1_000 + number)
        customer, script = world.script(graph.mocks | {"undo": {"output": {}}})
        script.seconds = 0.03
        plan = check(let_operators_decide(graph.definition, chance) | {"customer_id": customer}).require()
        run_id = await world.start(plan, build_input(number))
        operator = Operator(world, run_id, [node["id"] for node in graph.definition["nodes"]], chance, counts)
        await operator.interfere()
        run = await operator.end()
        where = f"seed {SEED}, graph {number}: {json.dumps(graph.definition)}"
        recorded = await read_executions(world, run_id)
        assert not (run.status == "completed" and any(map(is_cancel_ignored, recorded))), where
        require_undone(run, script, where)
        counts[run.status] += 1
        counts["cancellations that arrived with another event"] += any(map(is_race, recorded))
        executions.extend(recorded)

    counts |= await run_all(operate, least=FEWEST)
    await require_replays(executions)
    report("operators", counts)

    assert counts["runs"] >= 5
    # Few runs come to wait for an operator, and on a slow machine none may in time.
    assert min(counts[name] for name in ("pause", "resume", "cancel")) > 0
    assert sum(counts[kind] for kind in get_args(RepairKind)) > 0


def let_operators_decide(definition: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return a definition in which some failures wait for an operator; what is cancelled is undone."""
    nodes = [
        {**node, "on_error": "pause"} if node["type"] == "action" and chance.random() < 0.5 else node
        for node in definition["nodes"]
    ]
    return {**definition, "nodes": nodes, "settings": {**definition["settings"], "compensate": "both"}}


OPERATIONS = ("pause", "resume", "resolve", "resolve", "event", "cancel", *["repair"] * 4)


class Operator:
    """Does something to a run now and then."""

    def __init__(
        self, world: World, run_id: str, nodes: Sequence[str], chance: random.Random, counts: Counter[str]
    ) -> None:
        self.world = world
        self.nodes = nodes
        self.run_id = run_id
        self.chance = chance
        self.counts = counts
        self.cancelled = False

    async def interfere(self) -> None:
        for _ in range(self.chance.randint(1, 6)):
            await asyncio.sleep(self.chance.random() * 0.15)
            operation = self.chance.choice(OPERATIONS)
            try:
                done = await self.do(operation)
            except (OperationRefused, RunNotFound, ServerUnavailable):
                self.counts["refused repairs"] += operation == "repair"
                continue  # the run has ended, or cannot take the repair as it is now
            if operation not in ("resolve", "repair"):
                self.counts[operation] += done

    async def do(self, operation: str) -> bool:
        """Carry out an operation; return whether there was anything to do."""
        runs = self.world.runs
        match operation:
            case "pause":
                await runs.pause(self.run_id)
            case "resume":
                await runs.resume(self.run_id)
            case "event":
                await runs.send_event(self.run_id, "never", {"so": "now"})
            case "cancel" if self.cancelled or self.chance.random() < 0.4:
                return False
            case "cancel":
                await runs.cancel(self.run_id)
                self.cancelled = True
            case "resolve":
                return await self.resolve(self.chance.choice(("retry", "skip", "fallback", "abort")))
            case "repair":
                return await self.repair(self.chance.choice(get_args(RepairKind)))
        return True

    async def repair(self, kind: str) -> bool:
        if self.chance.random() < 0.5:
            await self.world.runs.pause(self.run_id)
        run = await self.world.runs.reader.read_document(self.run_id)
        steps = [step.id for step in run.steps if step.status not in ENDED]
        steps += [str(wait["step_id"] or wait["node_id"]) for wait in run.waiting_for]
        if not steps and kind != "set_variables":
            return False
        target = {"step_id": self.chance.choice(steps)} if steps and self.chance.random() < 0.6 else self.draw_node(run)
        values = {
            "set_variables": {"variables": {self.chance.choice(VARIABLES): self.chance.choice(VALUES)}},
            "set_parameters": {"parameters": {"text": "{{ v0 }}"}, **target},
            "set_result": {"result": {"by": "hand"}, **target},
        }
        await self.world.runs.repair(self.run_id, {"kind": kind, **values.get(kind, target)}, by="Ada")
        self.counts[kind] += 1
        return True

    def draw_node(self, run: Run) -> dict[str, str]:
        """Name a node, within the iteration or branch of some step."""
        paths = ["", *(step.path for step in run.steps)]
        return {"node_id": self.chance.choice(self.nodes), "path": self.chance.choice(paths)}

    async def resolve(self, action: str) -> bool:
        run = await self.world.runs.reader.read_document(self.run_id)
        steps = [wait["step_id"] for wait in run.waiting_for if wait["kind"] == "operator"]
        if steps:
            await self.world.runs.resolve(self.run_id, self.chance.choice(steps), action, value={"by": "hand"})
            self.counts["resolve"] += 1
        return bool(steps)

    async def end(self) -> Run:
        """Do what lets the run end."""
        while True:
            run = await self.world.runs.reader.read_document(self.run_id)
            if run.status in ENDED:
                return await self.world.wait_for_end(self.run_id)
            try:
                await self.world.runs.resume(self.run_id)
                await self.resolve("skip")
            except (OperationRefused, ServerUnavailable):
                continue  # it has ended, or the step has been resolved
            # Temporal begins the next execution after a second. With a signal for each of the few events that it may
            # have here, it would continue as new at once, for ever.
            await asyncio.sleep(1.0 / (SUGGESTED_AT // 3))


def require_undone(run: Run, script: Script, where: str) -> None:
    """Assert that nothing was undone twice, and in a run that completed only what is in an iteration or a branch."""
    undone = Counter(step.id for step in run.steps if step.id.endswith("/compensate"))
    assert not undone or max(undone.values()) == 1, where
    assert len(script.list_calls("undo")) == sum(undone.values()), where
    if run.status == "completed":
        assert all("[" in step_id for step_id in undone), where


def list_arrivals(execution: tuple[str, str]) -> list[list[str]]:
    """Return the types of the events that came to each workflow task."""
    tasks: list[list[str]] = [[]]
    for name in map(read_type, json.loads(execution[1])["events"]):
        if name == "WORKFLOW_TASK_COMPLETED":
            tasks.append([])
        elif name in (*ARRIVALS, "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"):
            tasks[-1].append(name)
    return tasks


def is_cancel_ignored(execution: tuple[str, str]) -> bool:
    """Return whether a cancellation did not come with a signal or an update, which Temporal's SDK handles first."""
    first = {"WORKFLOW_EXECUTION_SIGNALED", "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"}
    tasks = [*list_arrivals(execution), []]  # an update is recorded when its task has ended
    return any(CANCEL in task and not first & {*task, *after} for task, after in itertools.pairwise(tasks))


def is_race(execution: tuple[str, str]) -> bool:
    """Return whether a cancellation came to a workflow task together with another event."""
    return any(CANCEL in task and len(task) > 1 for task in list_arrivals(execution))


CHARGE = {"type": "action", "action": "charge", "compensate": {"action": "undo", "config": {"n": "{{ n }}"}}}
SHAPES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "sequence": ({"pay": CHARGE, "pay2": CHARGE}, ("trigger -> pay", "pay -> pay2")),
    "loop": ({"each": make_loop(3, "n", "pay"), "pay": CHARGE}, ("trigger -> each",)),
    "map": ({"each": make_loop(4, "n", "pay", max_concurrency=2), "pay": CHARGE}, ("trigger -> each",)),
    "inline": ({"fork": make_fork(["pay"], ["pay2"]), "pay": CHARGE, "pay2": CHARGE}, ("trigger -> fork",)),
    "race": (
        {"fork": make_fork(["pay"], ["pay2"], join="any"), "pay": CHARGE, "pay2": CHARGE},
        ("trigger -> fork",),
    ),
    "child": (
        {"fork": make_fork(["pay"], ["pay2"], mode="child"), "pay": CHARGE, "pay2": CHARGE},
        ("trigger -> fork",),
    ),
}


async def test_a_cancellation_that_races_with_results_undoes_each_of_them(workers: tuple[World, World]) -> None:
    """The actions cannot be stopped: each one that has begun takes effect, and must be undone."""
    counts: Counter[str] = Counter()
    executions: list[tuple[str, str]] = []

    async def race(number: int) -> None:
        world, chance = workers[number % 2], random.Random(SEED * 1_000 + number)
        name = chance.choice(list(SHAPES))
        nodes, edges = SHAPES[name]
        customer, script = world.script({"charge": {"output": {"paid": True}}, "undo": {"output": {}}})
        gate = script.gates["charge"] = asyncio.Event()
        script.stubborn = frozenset(nodes)
        more = {"settings": {"compensate": "both"}, "variables": {"n": 0}}
        plan = make_plan(nodes, *edges, customer=customer, **more)
        run_id = await world.start(Plan.model_validate(add_heartbeats(plan.to_json(), "charge", END_SECONDS)))
        while not script.calls:
            await asyncio.sleep(0.01)
        gate.set()
        await asyncio.sleep(chance.random() * 0.12)
        try:
            await world.runs.cancel(run_id)
        except OperationRefused:
            counts["ended before they were cancelled"] += 1
        run = await world.wait_for_end(run_id)
        charged, undone = script.list_calls("charge"), script.list_calls("undo")
        where = f"seed {SEED}, run {number}, {name}: {run.status}, {len(charged)} charged, {len(undone)} undone"
        assert len(undone) == (len(charged) if run.status == "cancelled" else 0), where
        counts[run.status] += 1
        recorded = await read_executions(world, run_id)
        executions.extend(recorded)
        counts["cancellations that arrived with another event"] += any(map(is_race, recorded))

    counts |= await run_all(race, least=FEW)
    await require_replays(executions)
    report("cancellation races", counts)

    assert counts["cancelled"] >= 3
    assert counts["cancellations that arrived with another event"] > 0
