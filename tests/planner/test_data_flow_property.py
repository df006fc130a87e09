"""Random graphs: what the check of data says about a node holds in every run of it."""

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import Phase, given, seed, settings

from orchestrator.errors import DefinitionInvalid
from orchestrator.interpreter.base import Interpreter, ScopeRun
from orchestrator.interpreter.step_record import Step
from orchestrator.model.definition import Definition
from orchestrator.model.plan import Node
from orchestrator.planner import regions, structure
from orchestrator.planner.data_flow.flow import Flow
from orchestrator.planner.data_flow.types import MISSING, Type
from orchestrator.planner.data_flow.walk import TooComplex
from orchestrator.planner.graph import build_graph
from orchestrator.planner.parse import parse_definition
from orchestrator.planner.report import Report
from orchestrator.planner.scoping import list_variables_set
from orchestrator.simulator.simulate import simulate
from tests.graphs import NAMES, VARIABLES, Generated, draw_structured, draw_wild
from tests.scale import scale

SEED = 20261126
QUICK = settings(max_examples=150, phases=[Phase.generate])
LONG = settings(QUICK, max_examples=scale(400))
Seen = list[tuple[str, dict[str, Any]]]
"""What nodes saw when they started: their ids, and the variables and steps by the names of the check."""


def has_type(value: Any, expected: Type) -> bool:
    """Whether a value is of a type."""
    match value:
        case None:
            return "null" in expected.kinds
        case bool():
            return "boolean" in expected.kinds
        case int() | float():
            return "number" in expected.kinds
        case str():
            return "text" in expected.kinds and (expected.texts is None or value in expected.texts)
        case list():
            return "list" in expected.kinds and (
                expected.items is None or all(has_type(item, expected.items) for item in value)
            )
        case dict():
            return "object" in expected.kinds and _has_fields(value, expected)
    return False


def _has_fields(value: Mapping[str, Any], expected: Type) -> bool:
    if expected.closed and not value.keys() <= expected.fields.keys():
        return False
    return all(
        has_type(value[name], known) if name in value else known.may_be_absent
        for name, known in expected.fields.items()
    )


def walk_definition(definition: Definition) -> Flow:
    """Walk a definition, with every name tracked at every node."""
    report = Report()
    graph = build_graph(definition, structure.check(definition, report), report)
    names = {f"steps.{node.id}" for node in graph.nodes} | {*VARIABLES, "w", *NAMES, *NAMES.values()}
    names |= {name for node in graph.nodes for name in list_variables_set(node) if "{{" not in name}
    items = [node.item_variable or "item" for node in graph.nodes if node.type == "loop"]
    names |= {*definition.variables, *items, *(f"{item}_index" for item in items)}
    names -= {"steps", ""}
    flow = Flow(definition, regions.find_regions(graph), None, [frozenset(names)] * len(graph.nodes))
    flow.walk()
    return flow


def record_starts(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Record what each node sees when it starts."""
    seen: Seen = []
    begin = Interpreter.begin

    def begin_recorded(self: Interpreter, run: ScopeRun, node: Node, *, opened: bool) -> Step:
        context = run.data.context
        steps = {f"steps.{node_id}": step for node_id, step in context["steps"].items()}
        seen.append((node.id, deepcopy({**context, **steps})))
        return begin(self, run, node, opened=opened)

    monkeypatch.setattr(Interpreter, "begin", begin_recorded)
    return seen


def make_inline(graph: Generated) -> dict[str, Any]:
    """Return the definition with branches inline: in a child workflow they have only the variables that they name."""
    definition = deepcopy(graph.definition)
    for node in definition["nodes"]:
        if node["type"] == "parallel":
            node["config"] = {**(node.get("config") or {}), "mode": "inline"}
    return definition


def check_graph(graph: Generated, counts: Counter[str]) -> None:
    """Compare what every node of a run saw with what the check says it can see."""
    definition = make_inline(graph)
    counts["graphs"] += 1
    with pytest.MonkeyPatch.context() as monkeypatch:
        seen = record_starts(monkeypatch)
        try:
            simulate(definition, actions=graph.mocks)
        except DefinitionInvalid:
            counts["refused"] += 1
            return
    parsed = parse_definition(definition, Report())
    assert parsed is not None
    try:
        flow = walk_definition(parsed)
    except TooComplex:
        counts["too complex"] += 1
        return
    for node_id, context in seen:
        number = flow.regions.graph.index[node_id]
        assert number in flow.seen, f"{node_id} was never reached"
        for name, expected in flow.seen[number].items():
            compare(node_id, name, context, expected, counts)


def compare(node_id: str, name: str, context: Mapping[str, Any], expected: Type, counts: Counter[str]) -> None:
    counts["names seen"] += 1
    if name not in context:
        assert expected.may_be_absent, f"{node_id} does not see {name}, which is always there"
    else:
        assert expected != MISSING, f"{node_id} sees {name}, which is never there"
        assert has_type(context[name], expected), f"{node_id} sees {name} = {context[name]!r}, not {expected}"
    if not expected.may_be_absent:
        counts["always there"] += 1
    elif expected == MISSING:
        counts["never there"] += 1


QUICK_COUNTS: Counter[str] = Counter()
LONG_COUNTS: Counter[str] = Counter()


@seed(SEED)
@QUICK
@given(draw_structured(crossing=2) | draw_structured(crossing=1, rich=True) | draw_wild())
def check_some_graphs(graph: Generated) -> None:
    check_graph(graph, QUICK_COUNTS)


@seed(SEED)
@LONG
@given(draw_structured(crossing=3) | draw_structured(crossing=1, rich=True) | draw_wild())
def check_many_graphs(graph: Generated) -> None:
    check_graph(graph, LONG_COUNTS)


@pytest.mark.thorough
def test_nodes_see_what_the_check_says() -> None:
    check_some_graphs()

    print(f"seed {SEED}: {dict(QUICK_COUNTS)}")
    assert QUICK_COUNTS["always there"] > 1_000
    assert QUICK_COUNTS["never there"] > 1_000
    assert QUICK_COUNTS["too complex"] < QUICK_COUNTS["graphs"] / 20


@pytest.mark.slow
@pytest.mark.long
def test_nodes_of_many_graphs_see_what_the_check_says() -> None:
    check_many_graphs()

    print(f"seed {SEED}: {dict(LONG_COUNTS)}")
    assert LONG_COUNTS["always there"] > scale(2_000)
