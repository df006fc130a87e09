"""A run that moves to another version ends as if it had run that version, as far as it had still to come."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.interpreter.frames import Frame
from orchestrator.interpreter.leaf_frames import OperatorFrame
from orchestrator.interpreter.migration import MigrationRequest, plan_migration
from orchestrator.interpreter.rank_changes import Departure
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.model.plan import Plan
from orchestrator.model.run import Run, RunInfo
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import EPOCH, simulate
from orchestrator.simulator.testing import simulate_interrupted
from tests.graphs import Generated, draw_structured
from tests.interpreter.test_resume import drop_times

QUICK = settings(max_examples=60)
NEVER = 10**9
NAMED = {"id": "flow", "name": "flow", "trigger": {"type": "manual"}}
VERSIONED = ("workflow_version", "interventions")


def make_plan(definition: Mapping[str, Any], version: int) -> Plan | None:
    plan = check(definition).plan
    return None if plan is None else plan.model_copy(update={"version": version})


def make_work(node_id: str) -> dict[str, Any]:
    return {"id": node_id, "type": "action", "action": "work"}


def make_edges(*ids: str) -> list[dict[str, str]]:
    return [{"source": source, "target": target} for source, target in pairwise(ids)]


def simulate_move(plan: Plan, at: float, request: MigrationRequest, **outside: Any) -> Run:
    """Run a plan that moves at that time."""
    run, _ = simulate_interrupted(plan, every=NEVER, move=(at, request), **outside)
    return run


def drop_version(run: Run) -> Any:
    return {name: value for name, value in drop_times(run).items() if name not in VERSIONED}


def measure_seconds(run: Run) -> float:
    return (run.duration_ms or 0) / 1000


def make_slow_actions(graph: Generated) -> dict[str, Any]:
    """Return answers that take a second each, so that runs move while actions are under way."""
    mocks = {**graph.mocks, "act.added": [{"output": {}}]}
    return {name: [{**answer, "seconds": 1} for answer in answers] for name, answers in mocks.items()}


def check_same_version(graph: Generated, moment: float) -> str:
    """Move a run to what it runs already; return whether it moved."""
    old, new = make_plan(graph.definition, 1), make_plan(graph.definition, 2)
    if old is None or new is None:
        return "invalid"
    actions = make_slow_actions(graph)
    plain = simulate(old, actions=actions)
    moved = simulate_move(old, moment * measure_seconds(plain), MigrationRequest(new), actions=actions)

    assert drop_version(moved) == drop_version(plain)
    return "moved" if moved.workflow_version == 2 else "stayed"


def add_behind(definition: Mapping[str, Any], pick: int) -> tuple[dict[str, Any], str]:
    """Return the definition with an action behind one of its nodes, and the id of that node."""
    nodes = [node for node in definition["nodes"] if node["type"] not in ("condition", "switch", "end")]
    if not nodes:
        return dict(definition), ""
    chosen = nodes[pick % len(nodes)]["id"]
    added = {"id": "added", "type": "action", "action": "act.added"}
    edge = {"id": "to added", "source": chosen, "target": "added", "condition": None}
    return {
        **definition, "nodes": [*definition["nodes"], added], "edges": [*definition["edges"], edge],
    }, chosen  # fmt: skip


def check_added_node(graph: Generated, pick: int, moment: float) -> str:
    """Move a run to a version with a node behind one that it has yet to leave; return what came of it."""
    definition, chosen = add_behind(graph.definition, pick)
    old, new = make_plan(graph.definition, 1), make_plan(definition, 2)
    if old is None or new is None:
        return "invalid"
    actions = make_slow_actions(graph)
    at = moment * measure_seconds(simulate(old, actions=actions))
    moved = simulate_move(old, at, MigrationRequest(new), actions=actions)
    if moved.workflow_version == 1:
        return "stayed"
    left = [step for step in moved.steps if step.node_id == chosen and is_before(step.completed_at, at)]
    if left:
        return "left before"

    assert drop_version(moved) == drop_version(simulate(new, actions=actions))
    return "ran" if any(step.node_id == "added" for step in moved.steps) else "never reached"


def is_before(moment: datetime | None, at: float) -> bool:
    return moment is not None and moment <= EPOCH + timedelta(seconds=at)


def test_a_run_that_moves_to_what_it_runs_already_ends_the_same() -> None:
    counts = Counter[str]()

    @QUICK
    @given(draw_structured(rich=True), st.floats(0, 1))
    def check_graph(graph: Generated, moment: float) -> None:
        counts[check_same_version(graph, moment)] += 1

    check_graph()
    assert counts["moved"] > 0


def test_a_node_that_was_added_behind_one_to_come_runs() -> None:
    counts = Counter[str]()

    @QUICK
    @given(draw_structured(rich=True), st.integers(0, 1_000), st.floats(0, 1))
    def check_graph(graph: Generated, pick: int, moment: float) -> None:
        counts[check_added_node(graph, pick, moment)] += 1

    check_graph()
    assert counts["ran"] > 0


def test_a_node_with_the_old_id_of_another_one_does_not_repeat_the_ids_of_its_steps() -> None:
    nap = {"id": "nap", "type": "delay", "delay_seconds": 2}
    old = make_plan({**NAMED, "nodes": [make_work("pay"), nap], "edges": make_edges("trigger", "pay", "nap")}, 1)
    nodes = [make_work("charge"), nap, make_work("pay")]
    new = make_plan({**NAMED, "nodes": nodes, "edges": make_edges("trigger", "charge", "nap", "pay")}, 2)
    assert old is not None
    assert new is not None
    moved = simulate_move(old, 1, MigrationRequest(new, {"pay": "charge"}), actions={"work": [{"output": {}}] * 2})

    # A key is that of the ID of a step: with that of the first one, the second payment would not be made.
    assert [step.id for step in moved.steps] == ["pay", "nap", "pay#2"]


def test_a_step_in_progress_keeps_the_key_of_the_run_before() -> None:
    old = make_plan({**NAMED, "nodes": [make_work("pay")], "edges": make_edges("trigger", "pay")}, 1)
    new = make_plan({**NAMED, "nodes": [make_work("charge")], "edges": make_edges("trigger", "charge")}, 2)
    assert old is not None
    assert new is not None
    state = RunState.new(old, RunInfo(id="r"), run_input=None, trigger=None, now=EPOCH)
    state.keys = {"pay": "key", "pay#2": "other"}
    step = Step("pay", "pay", "", "waiting", EPOCH, 1)
    state.frame = Frame([], {"pay": 1}, open=OperatorFrame(step, 1, []))
    state.open = {"pay": step}
    moved = plan_migration(old, state, MigrationRequest(new, {"pay": "charge"}), EPOCH)

    assert moved.problems == []
    assert moved.state["keys"] == {"pay": "key", "charge#2": "other"}


NAP = {"id": "nap", "type": "delay", "delay_seconds": 2}


def move_during_nap(
    old: Mapping[str, Any], new: Mapping[str, Any], renamed: Mapping[str, str] | None = None, **outside: Any
) -> Run:
    """Run a nap and a node, and move meanwhile to a version that has another node behind the nap."""
    plans = [
        make_plan({**NAMED, "nodes": [NAP, node], "edges": make_edges("trigger", "nap", node["id"])}, version)
        for version, node in ((1, old), (2, new))
    ]
    assert plans[0] is not None
    assert plans[1] is not None
    return simulate_move(plans[0], 1, MigrationRequest(plans[1], renamed or {}), **outside)


def test_a_decision_on_a_node_that_is_another_type_of_node_is_dropped_with_a_warning() -> None:
    decision = {"at": 0.5, "kind": "set_result", "node_id": "rate", "result": {"x": 1}}
    moved = move_during_nap(
        {"id": "rate", "type": "action", "action": "work"},
        {"id": "rate", "type": "set", "config": {"x": 2}},
        repairs=[decision],
    )

    reason = "its type is `action`, and `set` in version 2"
    assert (moved.workflow_version, moved.output) == (2, {"x": 2})
    assert moved.warnings == [f"the decision on 'rate' was dropped: {reason}"]


def test_a_decision_on_a_node_that_has_another_name_is_kept() -> None:
    decision = {"at": 0.5, "kind": "set_result", "node_id": "rate", "result": {"x": 1}}
    moved = move_during_nap(make_work("rate"), make_work("price"), {"rate": "price"}, repairs=[decision])

    assert [(step.id, step.output_data) for step in moved.steps][1:] == [("price", {"x": 1})]
    assert moved.warnings == []


def test_an_answer_that_was_sent_before_its_approval_began_reaches_the_node_under_its_new_name() -> None:
    approval = {"title": "Go?", "assignees": ["ann"]}
    answer = {"at": 0.5, "name": "ask", "step_id": "ask", "by": "ann", "payload": {"approved": True}}
    moved = move_during_nap(
        {"id": "ask", "type": "wait", "config": {"approval": approval}},
        {"id": "approve", "type": "wait", "config": {"approval": approval}},
        {"ask": "approve"},
        events=[answer],
    )

    assert [(step.id, step.status) for step in moved.steps] == [("nap", "completed"), ("approve", "completed")]
    assert moved.steps[1].output_data["by"] == "ann"
    assert moved.steps[1].output_data["event"] == "approve"


def test_a_path_between_two_nodes_that_moves_twice_leaves_the_node_before_by_the_newest_edges() -> None:
    first, second, third = (
        make_plan({**NAMED, "nodes": [make_work(name) for name in ids], "edges": make_edges("trigger", *ids)}, version)
        for version, ids in ((1, "ac"), (2, "abc"), (3, "axc"))
    )
    assert first is not None
    assert second is not None
    assert third is not None
    state = RunState.new(first, RunInfo(id="r"), run_input=None, trigger=None, now=EPOCH)
    state.frame = Frame([1], {"a": 1}, departure=Departure("a", "next", (1,), ()))
    once = plan_migration(first, state, MigrationRequest(second), EPOCH)
    twice = plan_migration(second, RunState.from_json(second, once.state), MigrationRequest(third), EPOCH)

    assert (once.problems, twice.problems) == ([], [])
    assert [node.to for node in twice.nodes if node.state == "next"] == ["x"]
