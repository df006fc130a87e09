"""What a run document says of open waits: since when, and what an event has to look like."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.interpreter import run_document
from orchestrator.interpreter.run_document import MAX_SCHEMA_BYTES, build_run_document, describe_waits
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.model.plan import Plan
from orchestrator.model.run import ErrorDocument, RunInfo, find_owner
from orchestrator.planner import plan

INFO = RunInfo(id="r")
BEGIN = datetime(2026, 1, 31, 8, tzinfo=UTC)
SCHEMA = {"type": "object", "required": ["amount"]}


def make_plan(schema: dict[str, Any]) -> Plan:
    """Plan a loop around a parallel with a wait in each branch: one with a schema, one without."""
    wait = {"type": "wait", "config": {"event": "paid", "schema": schema}}
    nodes = [
        {"id": "each", "type": "loop", "collection": 3, "body": ["both"]},
        {"id": "both", "type": "parallel", "branches": [["pay"], ["call"]]},
        {"id": "pay", **wait},
        {"id": "call", "type": "wait", "config": {"event": "called"}},
    ]
    edges = [{"source": "trigger", "target": "each"}]
    planned = plan({"name": "x", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges})
    assert isinstance(planned, Plan)
    return planned


def make_state(planned: Plan, **waits: dict[str, Any]) -> RunState:
    """Return the state of a run with an open step for each wait, by node; `pay_2` is another step of `pay`."""
    state = RunState.new(planned, INFO, run_input=None, trigger=None, now=BEGIN)
    for name, fields in waits.items():
        node = name.partition("_")[0]
        state.open[name] = Step(name, node, "", "waiting", BEGIN, **fields)
    return state


def test_a_wait_for_an_event_has_the_schema_of_its_payload() -> None:
    planned = make_plan(SCHEMA)
    state = make_state(
        planned,
        pay={"waiting_for": {"kind": "event", "event": "paid"}},
        call={"waiting_for": {"kind": "event", "event": "called"}},
    )
    since = "2026-01-31T08:00:00Z"

    assert describe_waits(planned, state) == [
        {"node_id": "pay", "step_id": "pay", "since": since, "kind": "event", "event": "paid", "schema": SCHEMA},
        {"node_id": "call", "step_id": "call", "since": since, "kind": "event", "event": "called"},
    ]


def test_a_step_waits_for_an_operator_since_it_failed() -> None:
    failed_at = BEGIN + timedelta(minutes=5)
    error = ErrorDocument(message="no", error_type="action_error", timestamp=failed_at)
    planned = make_plan(SCHEMA)
    state = make_state(planned, pay={"waiting_for": {"kind": "operator", "message": "no"}, "error": error})

    assert [wait["since"] for wait in describe_waits(planned, state)] == ["2026-01-31T08:05:00Z"]


def test_schemas_of_many_waits_do_not_fill_the_document() -> None:
    """Hundreds of iterations may wait at the same node at the same time."""
    large = {"type": "object", "description": "x" * (MAX_SCHEMA_BYTES // 3 + 1)}
    planned = make_plan(large)
    wait = {"waiting_for": {"kind": "event", "event": "paid"}}
    waits = describe_waits(planned, make_state(planned, **{f"pay_{index}": wait for index in range(9)}))

    assert ["schema" in each for each in waits] == [True, True, *[False] * 7]


def test_the_work_of_a_document_grows_with_the_open_steps_and_not_with_their_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each open step was compared with all others: a map of 1,000 items in progress took a million looks at a path."""
    looks: list[str] = []

    def count_looks(path: str) -> str:
        looks.append(path)
        return find_owner(path)

    monkeypatch.setattr(run_document, "find_owner", count_looks)
    planned = make_plan(SCHEMA)
    state = make_state(planned)
    state.open["each"] = Step("each", "each", "", "running", BEGIN)
    for index in range(1_000):
        outer, inner = f"each[{index}]/both", f"each[{index}]/both[1]/call"
        state.open[outer] = Step(outer, "both", f"each[{index}]", "running", BEGIN)
        state.open[inner] = Step(inner, "call", f"each[{index}]/both[1]", "waiting", BEGIN)

    assert build_run_document(planned, INFO, state).status == "waiting"
    assert len(looks) == len(state.open)
