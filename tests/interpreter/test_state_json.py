"""What a state writes into history keeps its form: later releases read what earlier ones wrote."""

import json
from typing import Any

import pytest

from orchestrator.interpreter.frames import Frame, Step
from orchestrator.interpreter.pending_compensation import PendingCompensation
from orchestrator.interpreter.variables import MISSING, Data, UndoEntry
from orchestrator.model.plan import Retry
from orchestrator.simulator.simulate import EPOCH

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
    data.set("x", 1)
    data.set_step("a", "completed", {"x": 1}, None)
    frame.activate(1)
    frame.take()
    data.mark("/b", 2, frame)
    data.set("x", 2)
    data.set("y", 5)
    data.set_step("b", "completed", {"x": 2, "y": 5}, None)
    frame.activate(2)
    frame.take()
    data.mark("/c", 3, frame)

    assert data.undo_log is not None
    assert [entry.to_json() for entry in data.undo_log] == [
        ["/a", 1, {"x": MISSING}, {"a": MISSING}, [[0], []], 0, ["x"]],
        ["/b", 2, {"x": 1, "y": MISSING}, {"b": MISSING}, [[], []], 0, ["y"]],
        ["/c", 3, {}, {}, [[], []], 0],
    ]
    assert [UndoEntry.from_json(entry.to_json()) for entry in data.undo_log] == data.undo_log

    assert data.rewind("/b", frame) == 2
    assert data.context == {"x": 1, "steps": {"a": {"status": "completed", "output": {"x": 1}, "error": None}}}
    assert [entry.key for entry in data.undo_log] == ["/a"]


def test_a_frame_keeps_the_key_of_its_exits() -> None:
    frame = Frame([1], {"a": 2}, ["outside"], changes={0: True, 1: False})

    assert frame.to_json() == {
        "active": [1],
        "visits": {"a": 2},
        "left": ["outside"],
        "loop": None,
        "changes": [[0], [1]],
    }
    assert Frame.from_json(frame.to_json()) == frame


@pytest.mark.parametrize("value", [0, False, "", None, [], {}])
def test_a_step_keeps_an_input_and_an_output_that_are_empty(value: Any) -> None:
    step = Step("a", "a", "", "completed", EPOCH, 1, EPOCH, input=value, output=value)

    assert Step.from_json(json.loads(json.dumps(step.to_json()))) == step


def test_a_step_keeps_when_an_operator_had_it_tried_again() -> None:
    """Its time limit counts from then, also after continue-as-new in the middle of a loop."""
    step = Step("each", "each", "", "running", EPOCH, 1, retried_at=EPOCH)

    assert Step.from_json(json.loads(json.dumps(step.to_json()))) == step
