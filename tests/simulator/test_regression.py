"""Another version of a definition is judged by real runs: what has no effect is no difference, what has one is found.

The runs come from the simulator, with calls that take time, random input and answers, and the clock and UUIDs of the
run in parameters. The edits are made by a seeded program, which knows which runs each of them touches.
"""

import json
import random
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from orchestrator.model.run import Run
from orchestrator.simulator.effects import Simulation
from orchestrator.simulator.regression import RunVerdict, judge_run
from orchestrator.simulator.simulate import EPOCH, trace_simulation
from orchestrator.simulator.volatile import MARK, list_changed_paths, mark_volatile
from tests.golden import Case
from tests.simulator.test_coverage import CASES, make_plan, trace_case

Definition = dict[str, Any]
Touches = Callable[[Run], bool]
PAIRS = 25
"""Of each kind."""


def make_definition() -> Definition:
    load = {
        "sku": "{{ input.sku }}",
        "at": "{{ now() }}",
        "token": "{{ uuid() }}",
        "ref": "{{ run.id }} {{ input.sku }}",
    }
    nodes = [
        {"id": "load", "type": "action", "action": "shop.load", "config": load},
        {"id": "dear", "type": "condition",
         "condition": {"field": "steps.load.output.price", "operator": "greater_than", "value": 50}},
        {"id": "ask", "type": "wait", "config": {"event": "ok", "timeout_seconds": 3600, "key": "{{ input.sku }}"}},
        {"id": "drop", "type": "end", "config": {"output": {"dropped": "{{ input.sku }}"}}},
        {"id": "each", "type": "loop", "collection": "{{ input.lines }}", "config": {"max_concurrency": 2}},
        {"id": "pack", "type": "action", "action": "shop.pack", "config": {"line": "{{ item }}"}},
        {"id": "fan", "type": "parallel", "branches": [["bill"], ["mail"]]},
        {"id": "bill", "type": "action", "action": "shop.bill", "on_error": "skip",
         "config": {"amount": "{{ steps.load.output.price * 2 }}", "due": "{{ now() | date('%d.%m.%Y %H:%M:%S') }}"}},
        {"id": "mail", "type": "action", "action": "shop.mail",
         "config": {"text": "order {{ input.sku }} at {{ now() }}"}},
        {"id": "rest", "type": "delay", "delay_seconds": 60},
        {"id": "kind", "type": "switch",
         "config": {"value": "{{ input.kind }}", "cases": {"gift": "gift", "box": "box"}}},
        {"id": "wrap", "type": "action", "action": "shop.wrap", "config": {"paper": "red"}},
        {"id": "box", "type": "set", "config": {"boxed": True}},
        {"id": "done", "type": "end",
         "config": {"output": {"price": "{{ steps.load.output.price }}", "run": "{{ run.id }}", "at": "{{ now() }}"}}},
    ]  # fmt: skip
    paths = ("trigger load", "load dear", "dear true ask", "dear false each", "ask each", "ask timeout drop",
             "each body pack", "each fan", "fan rest", "rest kind", "kind gift wrap", "kind box box",
             "kind default done", "wrap done", "box done")  # fmt: skip
    edges = []
    for number, words in enumerate(map(str.split, paths)):
        edge = {"id": f"e{number}", "source": words[0], "target": words[-1]}
        edges.append({**edge, "condition": words[1]} if len(words) == 3 else edge)
    return {"id": "order", "name": "Order", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}


@cache
def record_runs() -> tuple[Run, ...]:
    """Return 12 runs of the first version, each with an input and answers of its own."""
    plan = make_plan(make_definition())
    runs = []
    for number in range(12):
        draw = random.Random(number)
        sku = f"s{number}"
        given = {"sku": sku, "lines": list(range(draw.randint(0, 4))), "kind": draw.choice(["gift", "box", "plain"])}
        failure = {"error": {"message": "no credit", "error_type": "action_error"}, "seconds": draw.random()}
        answers: dict[str, Any] = {
            "shop.load": {"output": {"price": draw.randint(1, 100)}, "seconds": draw.random()},
            "shop.pack": {"output": {"packed": "{{ params.line }}"}, "seconds": draw.random() * 3},
            "shop.bill": failure if draw.random() < 0.3 else {"output": {"paid": True}, "seconds": draw.random()},
            "shop.mail": [{"error": {"message": "busy"}}, {"output": {"sent": True}}],
            "shop.wrap": {"output": {}},
        }
        events = [{"at": draw.choice([1, 1800, 7200]), "name": "ok", "key": sku, "payload": {"by": "ada"}}]
        start = EPOCH + timedelta(hours=number, seconds=draw.random())
        trace = trace_simulation(plan, Simulation(start, answers, []), input=given, events=events)
        runs.append(trace.run.model_copy(update={"id": f"order-{number:03}"}))
    return tuple(runs)


def find_node(definition: Definition, node_id: str) -> dict[str, Any]:
    return next(node for node in definition["nodes"] if node["id"] == node_id)


def ran(node_id: str) -> Touches:
    return lambda run: any(step.node_id == node_id for step in run.steps)


# Edits without effect


def rename_things(definition: Definition, draw: random.Random) -> None:
    node = draw.choice(definition["nodes"])
    node |= {"name": f"Renamed {node['id']}", "description": "says more"}
    definition["name"] = "Another name"
    draw.choice(definition["edges"])["label"] = "a label"


def reorder(definition: Definition, draw: random.Random) -> None:
    draw.shuffle(definition["nodes"])
    definition["nodes"] = [dict(draw.sample(list(node.items()), len(node))) for node in definition["nodes"]]


def write_templates_otherwise(definition: Definition, draw: random.Random) -> None:
    text = json.dumps(definition["nodes"]).replace("{{ ", "{{" if draw.random() < 0.5 else "{{   ")
    definition["nodes"] = json.loads(text)


def move_boxes(definition: Definition, draw: random.Random) -> None:
    for node in draw.sample(definition["nodes"], 3):
        node["position"] = {"x": draw.randint(0, 500), "y": draw.randint(0, 500)}


def wait_longer_than_needed(definition: Definition, draw: random.Random) -> None:
    find_node(definition, "load")["timeout_seconds"] = draw.randint(100, 900)
    definition["settings"] = {"timeout_seconds": 86400 * draw.randint(2, 9)}


def add_what_no_run_reaches(definition: Definition, draw: random.Random) -> None:
    find_node(definition, "kind")["config"]["cases"]["never"] = "never"
    definition["nodes"].append({"id": "rare", "type": "action", "action": "shop.rare"})
    definition["edges"].append({"id": "rare", "source": "kind", "target": "rare", "condition": "never"})


HARMLESS = (
    rename_things, reorder, write_templates_otherwise, move_boxes, wait_longer_than_needed, add_what_no_run_reaches,
)  # fmt: skip

# Edits with effect: each returns which runs it touches


def change_parameter(definition: Definition, draw: random.Random) -> Touches:
    node_id = draw.choice(["load", "pack", "bill", "mail", "wrap"])
    config = find_node(definition, node_id)["config"]
    config[draw.choice(list(config))] = f"changed {draw.random()}"
    return ran(node_id)


def change_part_of_text(definition: Definition, draw: random.Random) -> Touches:
    find_node(definition, "mail")["config"]["text"] = "Order {{ input.sku }} at {{ now() }}"
    return ran("mail")


def add_parameter(definition: Definition, draw: random.Random) -> Touches:
    node_id = draw.choice(["load", "pack", "bill", "mail", "wrap"])
    find_node(definition, node_id)["config"]["extra"] = draw.choice(["{{ now() }}", "{{ uuid() }}", 1])
    return ran(node_id)


def call_another_action(definition: Definition, draw: random.Random) -> Touches:
    node_id = draw.choice(["load", "pack", "bill", "mail", "wrap"])
    find_node(definition, node_id)["action"] = "shop.other"
    return ran(node_id)


def move_threshold(definition: Definition, draw: random.Random) -> Touches:
    limit = draw.choice([20, 35, 65, 80])
    find_node(definition, "dear")["condition"]["value"] = limit
    return lambda run: (run.steps[0].output_data["price"] > 50) != (run.steps[0].output_data["price"] > limit)


def change_delay(definition: Definition, draw: random.Random) -> Touches:
    find_node(definition, "rest")["delay_seconds"] = 60 + draw.choice([-59, 1, 3600])
    return ran("rest")


def wait_for_another_event(definition: Definition, draw: random.Random) -> Touches:
    config = find_node(definition, "ask")["config"]
    config |= draw.choice([{"event": "okay"}, {"key": "other"}])
    return ran("ask")


def insert_node(definition: Definition, draw: random.Random) -> Touches:
    edge = draw.choice([edge for edge in definition["edges"] if "condition" not in edge])
    definition["nodes"].append({"id": "new", "type": "set", "config": {"seen": True}})
    definition["edges"].append({"id": "new", "source": "new", "target": edge["target"]})
    source, edge["target"] = edge["source"], "new"
    # The runs in which the path goes on from there.
    return (lambda run: True) if source == "trigger" else lambda run: is_left(run, source)


def is_left(run: Run, node_id: str) -> bool:
    return any(step.node_id == node_id and not step.output_data.get("timed_out") for step in run.steps)


def skip_node(definition: Definition, draw: random.Random) -> Touches:
    edge = next(edge for edge in definition["edges"] if edge["target"] == "rest")
    edge["target"] = "kind"
    definition["nodes"] = [node for node in definition["nodes"] if node["id"] != "rest"]
    definition["edges"] = [each for each in definition["edges"] if each["source"] != "rest"]
    return ran("rest")


def change_output(definition: Definition, draw: random.Random) -> Touches:
    node_id = draw.choice(["done", "drop"])
    find_node(definition, node_id)["config"]["output"]["more"] = draw.randint(1, 9)
    return ran(node_id)


def refuse_case(definition: Definition, draw: random.Random) -> Touches:
    find_node(definition, "kind")["config"]["cases"] = {"gift": "present", "box": "box"}
    edge = next(each for each in definition["edges"] if each.get("condition") == "gift")
    edge["condition"] = "gift"
    return ran("wrap")


HARMFUL = (
    change_parameter, change_part_of_text, add_parameter, call_another_action, move_threshold, change_delay,
    wait_for_another_event, insert_node, skip_node, change_output, refuse_case,
)  # fmt: skip


def judge_all(definition: Definition) -> Iterator[tuple[Run, RunVerdict]]:
    before, after = make_plan(make_definition()), make_plan(definition)
    for run in record_runs():
        yield run, judge_run(run, before, after)


def test_the_runs_take_every_path() -> None:
    taken = {step.node_id for run in record_runs() for step in run.steps}

    assert taken == {node["id"] for node in make_definition()["nodes"]}
    assert [verdict.outcome for _, verdict in judge_all(make_definition())] == ["same"] * 12


@pytest.mark.parametrize("case", CASES[::4], ids=lambda case: case.name)
def test_a_run_is_the_same_under_its_own_version_or_not_judged(case: Case) -> None:
    plan, trace = trace_case(case)
    verdict = judge_run(trace.run, plan, plan)
    # What went back, what an operator had tried again, what was cancelled under way elsewhere and what waits for ever
    # is not repeated by the record.
    waits = ("loses the race", "can no longer be reached")
    unjudged = ("rollback", "going back", "retr", "operator", "live repair", "too many together", *waits)

    assert verdict.outcome == "same" or any(part in case.name for part in unjudged), verdict


@pytest.mark.parametrize("seed", range(PAIRS))
def test_an_edit_without_effect_is_no_difference(seed: int) -> None:
    draw = random.Random(seed)
    definition = make_definition()
    for edit in (HARMLESS[seed % len(HARMLESS)], draw.choice(HARMLESS)):
        edit(definition, draw)

    assert {verdict.outcome: verdict for _, verdict in judge_all(definition)}.keys() == {"same"}


@pytest.mark.parametrize("seed", range(PAIRS))
def test_an_edit_with_effect_is_found_in_every_run_that_it_touches(seed: int) -> None:
    draw = random.Random(seed)
    definition = make_definition()
    touches = HARMFUL[seed % len(HARMFUL)](definition, draw)
    draw.choice(HARMLESS[:3])(definition, draw)
    verdicts = list(judge_all(definition))

    assert any(touches(run) for run, _ in verdicts)
    assert "not_judged" not in {verdict.outcome for _, verdict in verdicts}
    assert [run.id for run, verdict in verdicts if verdict.outcome != "same"] == [
        run.id for run, _ in verdicts if touches(run)
    ]


def judge(change: Callable[[Definition], None], run: Run) -> RunVerdict:
    definition = make_definition()
    change(definition)
    return judge_run(run, make_plan(make_definition()), make_plan(definition))


def find_run(node_id: str) -> Run:
    return next(run for run in record_runs() if ran(node_id)(run))


def test_another_path_is_told_with_both_decisions() -> None:
    def change(definition: Definition) -> None:
        find_node(definition, "dear")["condition"]["value"] = 1000

    verdict = judge(change, find_run("ask"))

    assert (verdict.outcome, verdict.node_id, verdict.text) == ("other_path", "dear", "`true` became `false`")
    assert [decision["compared"][0]["value"] for decision in (verdict.before, verdict.after)] == [50, 1000]


def test_another_call_is_told_with_the_parameters_that_changed() -> None:
    def change(definition: Definition) -> None:
        find_node(definition, "mail")["config"] = {"text": "Order {{ input.sku }} at {{ now() }}", "to": "ada"}

    verdict = judge(change, find_run("mail"))

    assert (verdict.outcome, verdict.step_id) == ("other_call", "fan[1]/mail")
    assert verdict.changed == ["/parameters/text", "/parameters/to"]
    assert verdict.before["parameters"]["text"].startswith("order s")
    assert verdict.before["parameters"]["text"].endswith(f"{MARK}Z")


def test_a_call_that_the_run_has_not_made_ends_the_judgement() -> None:
    def change(definition: Definition) -> None:
        find_node(definition, "box").update(type="action", action="shop.box", config={})

    verdict = judge(change, find_run("box"))

    assert (verdict.outcome, verdict.text) == ("other_call", "a call that the run has not made")
    assert verdict.after == {"action": "shop.box", "parameters": {}}


def test_an_error_of_the_other_version_is_told() -> None:
    def change(definition: Definition) -> None:
        find_node(definition, "box")["config"] = {"boxed": "{{ input.kind * 2 }}"}

    verdict = judge(change, find_run("box"))

    assert (verdict.outcome, verdict.node_id) == ("error", "box")
    assert verdict.text.startswith("fails: execution_error: ")


def test_an_input_that_is_refused_is_an_error() -> None:
    def change(definition: Definition) -> None:
        definition["settings"] = {"input_schema": {"type": "object", "required": ["email"]}}

    verdict = judge(change, find_run("load"))

    assert (verdict.outcome, verdict.text) == ("error", "the input is refused: / `email` is missing")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "cancelled"}, "it was cancelled"),
        ({"status": "waiting"}, "it has not ended"),
        ({"rerun_of": "order-1"}, "it continues another run"),
        ({"complete": False}, "its record is cut"),
        ({"steps_total": 99}, "its record is cut"),
        ({"status": "failed"}, "the record cannot be repeated"),
        ({"input_data": {"sku": "s1", "lines": [1, 2, 3, 4, 5], "kind": "box"}}, "the record has no answer for each["),
    ],
)
def test_a_run_whose_record_does_not_say_enough_is_not_judged(changes: dict[str, Any], why: str) -> None:
    run = find_run("each").model_copy(update=changes)
    verdict = judge(lambda definition: None, run)

    assert (verdict.outcome, verdict.text[: len(why)]) == ("not_judged", why)


def test_no_action_is_called() -> None:
    """The actions of both versions would reach a server on this machine, if anything called them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        nodes = [{"id": "get", "type": "action", "action": "http.request", "config": {"url": url}}]
        edges = [{"source": "trigger", "target": "get"}]
        before = {"id": "get", "name": "Get", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}
        more = {"id": "put", "type": "action", "action": "http.request", "config": {"url": url, "method": "PUT"}}
        after = {**before, "nodes": [*nodes, more], "edges": [*edges, {"source": "get", "target": "put"}]}
        plans = make_plan(before), make_plan(after)
        answers: dict[str, Any] = {"http.request": {"output": {"status": 200}}}
        run = trace_simulation(plans[0], Simulation(EPOCH, answers, [])).run
        outcomes = [judge_run(run, plans[0], plan).outcome for plan in plans]

        assert outcomes == ["same", "other_path"]
        with pytest.raises(BlockingIOError):
            server.accept()


def test_marks_replace_what_differs_only() -> None:
    one = {"at": "2026-03-01T10:00:01Z", "id": 7, "list": [1, "a"], "same": None}
    other = {"at": "2026-03-01T10:00:04Z", "id": 8, "list": [1, "a"], "same": None}

    assert mark_volatile(one, other) == {"at": f"2026-03-01T10:00:0{MARK}Z", "id": MARK, "list": [1, "a"], "same": None}
    assert mark_volatile([1], [1, 2]) == mark_volatile(1, "1") == MARK
    assert mark_volatile("aa", "aaa") == f"aa{MARK}"
    assert list_changed_paths(one, other) == ["/at", "/id"]
    assert list_changed_paths({"a": [1, 2]}, {"a": [1], "b": 1}) == ["/a", "/b"]
    assert list_changed_paths(1, True) == ["/"]
