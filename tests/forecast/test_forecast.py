"""What a forecast says of definitions, without a run."""

from itertools import pairwise
from typing import Any

import pytest

from orchestrator.errors import DefinitionInvalid
from orchestrator.forecast.forecast import forecast_run
from orchestrator.forecast.passes import MAX_PASSES, Spreader
from orchestrator.forecast.report import FlowForecast, Forecast
from orchestrator.forecast.sizes import MAX_COUNT, Sizes
from orchestrator.forecast.walk import FlowWalk
from orchestrator.model.plan import Plan
from orchestrator.planner.planner import check
from tests.golden import read_definition

EMPTY_RUN = 5
"""Events: started, one workflow task, completed."""
ACTION = 6
"""Events: scheduled, started, completed, one workflow task."""
CONDITION = {"field": "input.limit", "operator": "equals", "value": 1}


def plan_graph(nodes: dict[str, Any], *edges: str, workflows: dict[str, Any] | None = None, **more: Any) -> Plan:
    raw = {"name": "forecast", "nodes": nodes, "edges": edges, **more}
    return check(read_definition(raw, "forecast", "forecast"), workflows=workflows).require()


def forecast(plan: Plan, **sizes: Any) -> Forecast:
    return forecast_run(plan, Sizes(**sizes))


def loop_over(collection: Any, *, settings: dict[str, Any] | None = None, **config: Any) -> Plan:
    nodes = {"each": {"type": "loop", "collection": collection, "body": ["call"], "config": config}, "call": "work"}
    return plan_graph(nodes, "trigger -> each", settings=settings or {})


def get_flow(found: Forecast, path: str = "") -> FlowForecast:
    return next(flow for flow in found.flows if flow.path == path)


def test_each_action_of_a_chain_adds_six_events() -> None:
    found = forecast(plan_graph({"a": "work", "b": "work"}, "trigger -> a", "a -> b"))

    assert found.events == EMPTY_RUN + 2 * ACTION
    assert (found.fewest_tasks, found.most_tasks) == (3, 3)
    assert {node.node_id: node.events for node in found.nodes} == {"a": ACTION, "b": ACTION}


def test_a_loop_costs_what_its_items_cost() -> None:
    plan = loop_over("{{ input.rows }}")
    found = forecast(plan, items={"each": 500})

    assert found.events == EMPTY_RUN + 500 * ACTION
    assert [(item.node_id, item.iterations, item.events, item.is_assumed) for item in found.items] == [
        ("each", 500, ACTION, False)
    ]
    assert forecast(plan).items[0].is_assumed


def test_a_literal_collection_and_max_iterations_need_no_size() -> None:
    assert forecast(loop_over([1, 2, 3])).items[0].iterations == 3
    assert forecast(loop_over("{{ input.rows }}", max_iterations=4)).items[0].iterations == 4


def test_one_more_item_costs_the_same_however_many_there_are() -> None:
    plan = loop_over("{{ input.rows }}")
    small, large = (forecast(plan, items={"each": count}) for count in (100, 101))

    assert large.events - small.events == large.items[0].events
    assert large.bytes - small.bytes == pytest.approx(large.items[0].bytes, abs=2)


def test_fused_actions_are_one_marker_for_a_thousand_steps() -> None:
    found = forecast(loop_over("{{ input.rows }}", settings={"execution": "local"}), items={"each": 2_500})

    assert found.events == pytest.approx(EMPTY_RUN + 10, abs=10)  # cut by the bytes of 1,000 each
    assert [node.is_fused for node in found.nodes if node.node_id == "call"] == [True]
    small = forecast(
        loop_over("{{ input.rows }}", settings={"execution": "local"}), items={"each": 2_500}, default_result=10
    )
    assert small.events == EMPTY_RUN + 3


def test_a_long_loop_continues_as_new_where_its_history_is_full() -> None:
    found = forecast(loop_over("{{ input.rows }}"), items={"each": 2_000})
    (run,) = found.flows

    assert (run.executions, run.continues_in) == (3, ["each"])  # 12,005 events, 4,096 in each
    assert found.events == EMPTY_RUN + 2_000 * ACTION + 2 * EMPTY_RUN


def test_a_wide_loop_runs_in_batches() -> None:
    found = forecast(loop_over("{{ input.rows }}", max_concurrency=50), items={"each": 100_000})
    batches = get_flow(found, "each")

    assert (batches.kind, batches.count) == ("batch", 200)
    assert get_flow(found).events < 1_500
    assert found.steps == 100_000 + 201  # the loop is a step of the run and of each batch


def test_branches_and_called_workflows_are_flows_of_their_own() -> None:
    nodes = {
        "fan": {"type": "parallel", "branches": [["left"], ["right"]]},
        "left": "work",
        "right": {"type": "workflow", "config": {"workflow_id": "other"}},
    }
    callee = {"id": "other", "name": "Other", "trigger": {"type": "manual"}, "nodes": [], "edges": []}
    callee["nodes"] = [{"id": "inside", "type": "set", "config": {"x": 1}}]
    callee["edges"] = [{"source": "trigger", "target": "inside"}]
    found = forecast(plan_graph(nodes, "trigger -> fan", workflows={"other": callee}))

    assert {flow.path: (flow.kind, flow.events) for flow in found.flows if flow.path} == {
        "fan[0]": ("branch", EMPTY_RUN + ACTION),
        "fan[1]": ("branch", EMPTY_RUN + 9),
        "fan[1]/right": ("workflow", EMPTY_RUN),
    }


def test_a_cycle_is_as_long_as_its_nodes_run() -> None:
    nodes = {
        "ask": "work",
        "ready": {"type": "condition", "condition": CONDITION},
        "pause": {"type": "delay", "delay_seconds": 30},
    }
    plan = plan_graph(nodes, "trigger -> ask", "ask -> ready", "ready -false-> pause", "pause -> ask")
    found = forecast(plan, times={"ask": 5, "ready": 5, "pause": 4})

    # Each pause has a timer with a workflow task, and is shown and taken back.
    assert found.events == EMPTY_RUN + 5 * ACTION + 4 * (5 + 2)


def test_what_only_a_failure_leads_to_does_not_run() -> None:
    found = forecast(plan_graph({"a": "work", "repair": "work"}, "trigger -> a", "a -error-> repair"))

    assert found.events == EMPTY_RUN + ACTION
    assert [node.node_id for node in found.nodes] == ["a"]


def test_a_share_of_the_items_comes_to_a_node() -> None:
    nodes = {
        "each": {"type": "loop", "collection": 1_000, "body": ["check", "call"]},
        "check": {"type": "condition", "condition": CONDITION},
        "call": "work",
    }
    found = forecast(plan_graph(nodes, "trigger -> each", "check -true-> call"), times={"call": 0.25})

    assert found.events == EMPTY_RUN + 250 * ACTION


def test_a_timeout_that_ends_in_its_own_workflow_task_leaves_no_timer() -> None:
    limits = {"timeout_seconds": 60}
    fused = plan_graph({"a": "work"}, "trigger -> a", settings={**limits, "execution": "local"})
    regular = plan_graph({"a": "work"}, "trigger -> a", settings=limits)

    assert forecast(fused).events == EMPTY_RUN + 1  # the marker of the segment
    assert forecast(regular).events == EMPTY_RUN + ACTION + 2


def test_one_workflow_task_may_take_the_start_and_the_end_of_a_called_workflow() -> None:
    inner = read_definition({"nodes": {"end": {"type": "end"}}, "edges": ["trigger -> end"]}, "inner", "inner")
    nodes = {"ask": {"type": "workflow", "config": {"workflow_id": "inner"}}}
    flow = get_flow(forecast(plan_graph(nodes, "trigger -> ask", workflows={"inner": inner})))

    assert (flow.fewest_tasks, flow.most_tasks) == (2, 3)


def test_one_workflow_task_may_take_the_starts_and_the_ends_of_all_branches() -> None:
    nodes = {"both": {"type": "parallel", "branches": [["a"], ["b"]]}, "a": {"type": "set"}, "b": {"type": "set"}}
    flow = get_flow(forecast(plan_graph(nodes, "trigger -> both")))

    assert (flow.fewest_tasks, flow.most_tasks) == (2, 5)


def test_sizes_that_no_node_has_are_named_with_what_was_meant() -> None:
    found = forecast(
        loop_over([1]), items={"eahc": 3, "call": 3}, times={"nowhere": 2}, results={"cal": 9}, seconds={"call": 1}
    )

    assert [(each.field, each.node_id, each.message) for each in found.ignored] == [
        ("items", "eahc", "no node has the ID `eahc` (did you mean `each`?)"),
        ("items", "call", "`call` is of type action; items are for nodes of type loop"),
        ("times", "nowhere", "no node has the ID `nowhere`"),
        ("results", "cal", "no node has the ID `cal` (did you mean `call`?)"),
        ("seconds", "call", "`call` is of type action; seconds are for nodes of type delay or loop"),
    ]
    assert forecast(loop_over([1]), items={"each": 3}, times={"call": 2}, seconds={"each": 2}).ignored == []


def nest_loops(levels: int, collection: Any, leaf: Any = "work", workflows: dict[str, Any] | None = None) -> Plan:
    return plan_graph(write_nested_loops(levels, collection, leaf), "trigger -> loop0", workflows=workflows)


def write_nested_loops(levels: int, collection: Any, leaf: Any) -> dict[str, Any]:
    names = [*(f"loop{level}" for level in range(levels)), "call"]
    nodes: dict[str, Any] = {
        name: {"type": "loop", "collection": collection, "body": [inner]} for name, inner in pairwise(names)
    }
    return nodes | {"call": leaf}


def test_loops_in_loops_over_huge_collections_have_finite_sums() -> None:
    assert forecast(nest_loops(2, 10**300)).items[0].iterations == MAX_COUNT
    found = forecast(nest_loops(45, "{{ input.rows }}"), default_items=1e9)
    assert 0 < found.events < 10 * MAX_PASSES


def test_a_forecast_ends_soon_however_deep_the_loops_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.forecast.passes.MAX_WALKED", 1_000)
    spreader = Spreader()
    FlowWalk(nest_loops(20, "{{ input.rows }}"), "", Sizes(), spreader).walk(0, 0)
    assert 1_000 <= spreader.walked < 2_000


def test_workflows_that_call_each_other_many_times_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"one": {"type": "workflow", "config": {"workflow_id": "w1"}}}
    workflows = {}
    for level in range(1, 12):
        inner: dict[str, Any] = {"work": "work"}
        if level < 11:
            inner = {name: {"type": "workflow", "config": {"workflow_id": f"w{level + 1}"}} for name in ("a", "b")}
        edges = [f"trigger -> {next(iter(inner))}"] + ["a -> b"] * (level < 11)
        workflows[f"w{level}"] = read_definition({"nodes": inner, "edges": edges}, f"w{level}", "forecast")
    plan = plan_graph(calls, "trigger -> one", workflows=workflows)
    whole = forecast(plan)
    monkeypatch.setattr("orchestrator.forecast.passes.MAX_WALKED", 1_000)
    short = forecast(plan)

    assert len(short.flows) < len(whole.flows) / 10
    assert (short.events, short.bytes, short.steps) == (whole.events, whole.bytes, whole.steps)
    assert (short.fewest_tasks, short.most_tasks) == (whole.fewest_tasks, whole.most_tasks)


def test_nested_loops_of_workflows_that_call_each_other_are_refused() -> None:
    workflows = {}
    for level in range(1, 6):
        leaf = {"type": "workflow", "config": {"workflow_id": f"w{level + 1}"}} if level < 5 else "work"
        raw = {"nodes": write_nested_loops(40, "{{ input.rows }}", leaf), "edges": ["trigger -> loop0"]}
        workflows[f"w{level}"] = read_definition(raw, f"w{level}", "forecast")
    plan = nest_loops(1, [1], {"type": "workflow", "config": {"workflow_id": "w1"}}, workflows)

    with pytest.raises(DefinitionInvalid, match="nested too deeply for a forecast"):
        forecast(plan)
