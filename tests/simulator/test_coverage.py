"""Coverage: what is derived from steps is what the interpreter did."""

from typing import Any

import pytest

from orchestrator.drawing.diagram import build_drawing
from orchestrator.interpreter.base import ScopeRun
from orchestrator.interpreter.pure_nodes import Closed, Exit
from orchestrator.interpreter.scopes import ScopeInterpreter
from orchestrator.model.plan import Node, Plan
from orchestrator.model.plan_nodes import iterate_nodes
from orchestrator.planner.graph import NEXT
from orchestrator.planner.parse import parse_definition
from orchestrator.planner.planner import check
from orchestrator.planner.report import Report
from orchestrator.simulator.coverage import Coverage, find_port, list_missing, measure_coverage
from orchestrator.simulator.effects import Simulation
from orchestrator.simulator.simulate import EPOCH, Trace, trace_simulation
from tests.golden import Case, load_cases
from tests.simulator.test_golden import COSTLY

CASES = [case for case in load_cases() if "refused" not in case.expect and COSTLY not in case.name]
UNLIMITED = 1_000_000
FLOW = {
    "id": "order",
    "name": "Order",
    "trigger": {"type": "manual"},
    "nodes": [
        {
            "id": "dear",
            "type": "condition",
            "condition": {"field": "input.price", "operator": "greater_than", "value": 9},
        },
        {"id": "ask", "type": "wait", "config": {"event": "ok", "timeout_seconds": 60}},
        {"id": "each", "type": "loop", "collection": "{{ input.lines }}"},
        {"id": "buy", "type": "action", "action": "shop.buy", "on_error": "skip"},
        {"id": "late", "type": "end"},
        {"id": "note", "type": "set", "config": {"noted": True}, "when": {"field": "input.note", "operator": "exists"}},
    ],
    "edges": [
        {"source": "trigger", "target": "dear"},
        {"source": "dear", "target": "ask", "condition": "true"},
        {"source": "dear", "target": "each", "condition": "false"},
        {"source": "ask", "target": "each"},
        {"source": "ask", "target": "late", "condition": "timeout"},
        {"source": "each", "target": "buy", "condition": "body"},
        {"source": "each", "target": "note"},
    ],
}


def make_plan(definition: Any, workflows: Any = None) -> Plan:
    plan = check(definition, workflows=workflows).plan
    assert plan is not None
    return plan.model_copy(update={"step_log_limit": UNLIMITED})


def trace_case(case: Case) -> tuple[Plan, Trace]:
    plan = make_plan(case.definition, case.workflows)
    simulation = Simulation(EPOCH, case.actions, list(case.resolutions), repairs=case.repairs)
    return plan, trace_simulation(plan, simulation, input=case.input, events=case.events)


def cover(*inputs: dict[str, Any], **options: Any) -> Coverage:
    plan = make_plan(FLOW)
    traces = [trace_simulation(plan, Simulation(EPOCH, {}, []), input=each, **options) for each in inputs]
    return measure_coverage(plan, [step for trace in traces for step in trace.steps])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ports_and_edges_are_those_of_the_interpreter_and_the_drawing(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[tuple[str, str]] = []
    leave = ScopeInterpreter._leave

    def record(self: ScopeInterpreter, run: ScopeRun, node: Node, outcome: Exit | Closed | None) -> Closed | None:
        if isinstance(outcome, Exit) and self.plan.id == case.definition["id"]:
            left.append((node.id, outcome.port))
        return leave(self, run, node, outcome)

    monkeypatch.setattr(ScopeInterpreter, "_leave", record)
    plan, trace = trace_case(case)
    nodes = {node.id: node for node in iterate_nodes(plan.scope)}
    steps = [step for step in trace.steps if not step.id.endswith("/compensate")]
    ports = [(step.node_id, find_port(nodes[step.node_id], step)) for step in steps]
    edges = set(measure_coverage(plan, trace.steps).edges)
    parsed = parse_definition(case.definition, Report())
    assert parsed is not None
    drawn = set(build_drawing(parsed).edges)

    # An `end` has no port, nor has a step that closed its scope.
    assert sorted(left) == sorted((name, port) for name, port in ports if port and nodes[name].kind != "end")
    # What is drawn and not counted ends the path of an iteration, which leads nowhere.
    assert edges <= drawn
    assert all(nodes[target].kind == "loop" for _, _, target in drawn - edges)


def test_coverage_grows_with_the_cases() -> None:
    cheap = cover({"price": 1, "lines": [1]})
    both = cover({"price": 1, "lines": [1]}, {"price": 10, "lines": [], "note": "x"})

    assert list_missing(cheap.nodes) == ["ask", "late", "note"]
    assert list_missing(cheap.edges) == [("dear", "true", "ask"), ("ask", NEXT, "each"), ("ask", "timeout", "late")]
    assert list_missing(cheap.branches) == [
        *(("dear", "true"), ("ask", NEXT), ("ask", "timeout"), ("note", "when"), ("buy", "handled")),
    ]
    # The event does not come: the second run takes `timeout`.
    assert list_missing(both.nodes) == ["note"]
    assert list_missing(both.edges) == [("ask", NEXT, "each")]


def test_steps_that_going_back_took_off_the_record_count() -> None:
    nodes = [
        {"id": "begin", "type": "set", "config": {"checked": True}},
        {"id": "load", "type": "action", "action": "shop.load", "on_error": {"retry_from": "begin"}},
    ]
    edges = [{"source": "trigger", "target": "begin"}, {"source": "begin", "target": "load"}]
    plan = make_plan({"id": "a", "name": "A", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges})
    failure = {"error": {"message": "no", "error_type": "action_error", "recoverable": False}}
    trace = trace_simulation(plan, Simulation(EPOCH, {"shop.load": [failure, {"output": {}}]}, []))

    assert [step.id for step in trace.run.steps] == ["begin#2", "load#2"]
    assert [step.status for step in trace.steps] == ["completed", "failed", "completed", "completed"]
    assert measure_coverage(plan, trace.steps).branches == {("load", "handled"): True}
