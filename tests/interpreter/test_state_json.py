"""What a state writes into history keeps its form: later releases read what earlier ones wrote."""

import json
from typing import Any

import pytest

from orchestrator.interpreter.effects import BranchResult
from orchestrator.interpreter.frames import Fork, Frame, LoopFrame, ParallelFrame
from orchestrator.interpreter.iteration_result import IterationResult
from orchestrator.interpreter.leaf_frames import BusyNode, DelayFrame, OperatorFrame, WaitFrame
from orchestrator.interpreter.pending_compensation import PendingCompensation
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.interpreter.variables import MISSING, Data, Rewound, UndoEntry
from orchestrator.model.plan import Retry
from orchestrator.model.run import ErrorDocument, RunInfo
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import EPOCH
from tests.golden import read_definition

DATA = Data({"row": 0, "steps": {"old": {"status": "completed", "output": {}, "error": None}}}, undo_log=[])
COMPENSATION = {
    "step_id": "charge/compensate",
    "node_id": "charge",
    "path": "",
    "title": "undo charge",
    "action": "refund",
    "retry": {"maximum_attempts": 5},
    "timeout_seconds": 60.0,
}


def test_a_pending_compensation_has_its_parameters_or_the_reason_why_not() -> None:
    rendered = {**COMPENSATION, "parameters": {"id": 1}, "secrets": {}}
    failed = {**COMPENSATION, "error": "1:4: no such name"}

    for entry in (rendered, failed):
        pending = PendingCompensation.from_json(entry)

        assert pending.retry == Retry(maximum_attempts=5)
        assert pending.to_json() == entry
        assert list(pending.to_json()) == list(entry)


def test_the_undo_log_of_three_nodes_is_the_one_drawn_in_its_module() -> None:
    data, frame = Data({"steps": {}}, undo_log=[]), Frame([0])
    frame.take()
    data.mark("/a", 1, frame)
    data.count_step(1, begun=1)
    data.set("x", 1)
    data.count_step(1, ended=1)
    data.set_step("a", "completed", {"x": 1}, None)
    frame.activate(1)
    frame.take()
    data.mark("/b", 2, frame)
    data.count_step(2, begun=1)
    data.set("x", 2)
    data.set("y", 5)
    data.set_step("b", "completed", {"x": 2, "y": 5}, None)
    frame.activate(2)
    frame.take()
    data.mark("/c", 3, frame)
    data.count_step(3, begun=1)
    data.count_step(2, ended=1)

    assert data.undo_log is not None
    assert [entry.to_json() for entry in data.undo_log] == [
        ["/a", 1, {"x": MISSING}, {"a": MISSING}, [[0], []], 0, ["x"], 1, 1],
        ["/b", 2, {"x": 1, "y": MISSING}, {"b": MISSING}, [[], []], 0, ["y"], 1, 1],
        ["/c", 3, {}, {}, [[], []], 0, [], 1, 0],
    ]
    assert [UndoEntry.from_json(entry.to_json()) for entry in data.undo_log] == data.undo_log

    assert data.rewind("/b", frame) == Rewound(2, begun=2, ended=1)
    assert data.context == {"x": 1, "steps": {"a": {"status": "completed", "output": {"x": 1}, "error": None}}}
    assert [entry.key for entry in data.undo_log] == ["/a"]


def test_a_frame_keeps_the_key_of_its_exits() -> None:
    frame = Frame([1], {"a": 2}, ["outside"], changes={0: True, 1: False})

    assert frame.to_json(DATA) == {
        "active": [1],
        "visits": {"a": 2},
        "left": ["outside"],
        "open": None,
        "changes": [[0], [1]],
    }
    assert Frame.from_json(frame.to_json(DATA), DATA) == frame


def make_step(number: int) -> Step:
    return Step(f"s{number}", f"s{number}", "", "running", EPOCH, number)


def make_tree() -> Frame:
    """Return the tree that is drawn in the module of frames, with a node of each other kind beside it."""
    first, second = DATA.fork(), DATA.fork()
    first.set("n", 3)
    first.set_step("a", "completed", {"x": 1}, None)
    second.context["row"] = 1
    approve = WaitFrame(make_step(3), ("approved",), EPOCH, 1)
    rows = LoopFrame(make_step(1), [5, 6, 7], 3, forks={0: Fork(Frame([]), first)})
    rows.forks[1] = Fork(Frame([1], open=approve), second)
    rows.ended[2] = IterationResult(7, None, ("after",), {"x": 1}, {})
    error = ErrorDocument(message="no", error_type="action_error", timestamp=EPOCH)
    branches = ParallelFrame(make_step(4), None, results={0: BranchResult("failed", error=error)})
    branches.forks[1] = Fork(Frame([], open=DelayFrame(make_step(5), EPOCH, 60.0)), DATA.fork())
    branches.forks[2] = Fork(Frame([], open=OperatorFrame(make_step(6), 2, [{"to": "b"}])), DATA.fork())
    rows.forks[0].frame.open = LoopFrame(make_step(2), None, 9, index=3, frame=Frame([1], open=branches))
    return Frame([2], open=rows)


def test_a_tree_of_frames_is_read_as_it_was_written() -> None:
    tree = make_tree()
    written = json.loads(json.dumps(tree.to_json(DATA)))
    read = Frame.from_json(written, DATA)

    assert read == tree
    assert read.to_json(DATA) == tree.to_json(DATA)
    assert sorted(node.step.number for node in read.iterate_open_nodes()) == [1, 2, 3, 4, 5, 6]


def test_a_fork_is_written_as_the_difference_to_the_data_around_it() -> None:
    fork = DATA.fork()
    fork.set("n", 3)
    fork.set_step("a", "completed", {"x": 1}, None)
    fork.forget_steps(["old"])
    written = fork.to_difference(DATA)

    assert written["variables"] == {"n": 3}
    assert written["steps"] == {
        "a": {"status": "completed", "output": {"x": 1}, "error": None},
        "old": MISSING,
    }
    assert Data.from_difference(json.loads(json.dumps(written)), DATA) == fork


def test_a_frame_is_at_rest_when_nothing_inside_it_is_busy() -> None:
    tree = make_tree()

    assert tree.is_at_rest()

    assert isinstance(tree.open, LoopFrame)
    tree.open.forks[1].frame.open = BusyNode(make_step(7))

    assert not tree.is_at_rest()


@pytest.mark.parametrize("value", [0, False, "", None, [], {}])
def test_a_step_keeps_an_input_and_an_output_that_are_empty(value: Any) -> None:
    step = Step("a", "a", "", "completed", EPOCH, 1, EPOCH, input=value, output=value)

    assert Step.from_json(json.loads(json.dumps(step.to_json()))) == step


def test_a_step_keeps_when_an_operator_had_it_tried_again() -> None:
    """Its time limit counts from then, also after continue-as-new in the middle of a loop."""
    step = Step("each", "each", "", "running", EPOCH, 1, retried_at=EPOCH)

    assert Step.from_json(json.loads(json.dumps(step.to_json()))) == step


def test_a_log_that_has_lost_data_does_not_replace_the_step_of_a_node_in_progress() -> None:
    """The step of a long loop ended without the input and the warnings that its frame still had."""
    nodes = {"a": {"type": "delay", "delay_seconds": 60}}
    plan = check(read_definition({"nodes": nodes, "edges": ["trigger -> a"]}, "a", "a")).require()
    state = RunState.new(plan, RunInfo(id="run"), run_input=None, trigger=None, now=EPOCH)
    step = make_step(1)
    step.input = {"body": "whole"}
    state.frame.open = DelayFrame(step, EPOCH, 60.0)
    state.log.extend([step, make_step(2)])
    fields = json.loads(json.dumps(state.to_json(with_log=True)))
    fields["log"][0]["input"] = "(dropped)"

    read = RunState.from_json(plan, fields)

    assert read.log[0].input == {"body": "whole"}
    assert read.frame.open is not None
    assert read.log[0] is read.open["s1"] is read.frame.open.step
    assert read.log.maxlen == state.log.maxlen
