"""A run is explained from its document: decisions, rules that skipped, joins, attempts, failures and the end."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.cli.trace import format_trace
from orchestrator.model.run import Intervention, Run
from orchestrator.planner.planner import check
from orchestrator.service.explanations import explain_run
from orchestrator.simulator.simulate import simulate
from tests.temporal.world import make_definition

FAILS = {"error": {"message": "no stock", "error_type": "action_error"}}
WORK = {"type": "action", "action": "work"}
BAD = {"type": "action", "action": "bad", "retry": {"maximum_attempts": 1}}
LARGE = {"field": "input.total", "operator": "greater_than", "value": 10}


def run_nodes(nodes: dict[str, Any], *edges: str, run_input: Any = None, **more: Any) -> Run:
    plan = check(make_definition(nodes, *edges, **more)).require()
    return simulate(plan, input=run_input, actions={"work": {"output": {}}, "bad": FAILS})


def explain(run: Run) -> list[tuple[str | None, str, str]]:
    return [(each.step_id, each.kind, each.text) for each in explain_run(run)]


CASES: dict[str, tuple[dict[str, Any], tuple[str, ...], dict[str, Any], list[tuple[str | None, str, str]]]] = {
    "a condition": (
        {"big": {"type": "condition", "condition": LARGE}, "a": WORK},
        ("trigger -> big", "big -true-> a"),
        {},
        [
            ("big", "decision", "took `true`: input.total greater_than 10: true, saw 12"),
            (None, "end", "completed"),
        ],
    ),
    "a node whose when is false": (
        {"a": {**WORK, "when": {**LARGE, "value": 100}}},
        ("trigger -> a",),
        {},
        [
            ("a", "skip", "was skipped by its `when`: input.total greater_than 100: false, saw 12"),
            (None, "end", "completed"),
        ],
    ),
    "a failure that is skipped": (
        {"a": {**BAD, "on_error": "skip"}},
        ("trigger -> a",),
        {},
        [
            ("a", "skip", "failed and was skipped by `on_error: skip`: action_error: no stock"),
            (None, "end", "completed"),
        ],
    ),
    "a fallback": (
        {"a": {**BAD, "on_error": {"fallback": 1}}},
        ("trigger -> a",),
        {},
        [
            ("a", "handled", "failed and has its `fallback` as output: action_error: no stock"),
            (None, "end", "completed"),
        ],
    ),
    "attempts that are exhausted": (
        {"a": {**BAD, "retry": {"maximum_attempts": 3}}},
        ("trigger -> a",),
        {},
        [
            ("a", "retry", "no attempt is left: all 3 failed"),
            ("a", "failure", "failed: retry_exhausted: no stock"),
            (None, "end", "failed at a: retry_exhausted: no stock"),
        ],
    ),
    "an event that does not come": (
        {"ask": {"type": "wait", "config": {"event": "go", "timeout_seconds": 5}}},
        ("trigger -> ask",),
        {},
        [("ask", "wait", "no event came in time: it took `timeout`"), (None, "end", "completed")],
    ),
    "a race": (
        {
            "fork": {"type": "parallel", "branches": [["a"], ["nap"]], "config": {"join": "any", "mode": "inline"}},
            "a": {"type": "delay", "delay_seconds": 1},
            "nap": {"type": "delay", "delay_seconds": 60},
        },
        ("trigger -> fork",),
        {},
        [
            ("fork", "join", "the join went on with 1 of 2 branches completed; 1 cancelled"),
            ("fork[1]/nap", "cancel", "was cancelled before its end"),
            (None, "end", "completed"),
        ],
    ),
    "a step that is undone": (
        {"a": {**WORK, "compensate": {"action": "work", "config": {}}}, "b": BAD},
        ("trigger -> a", "a -> b"),
        {},
        [
            ("b", "failure", "failed: action_error: no stock"),
            ("a/compensate", "undo", "a was undone"),
            (None, "end", "failed at b: action_error: no stock"),
        ],
    ),
    "a loop that is left": (
        {
            "each": {
                "type": "loop",
                "collection": 5,
                "item_variable": "n",
                "body": ["a"],
                "config": {"break_when": {"field": "n", "operator": "equals", "value": 1}},
            },
            "a": WORK,
        },
        ("trigger -> each",),
        {},
        [("each", "loop", "was left by `break_when`: n equals 1: true, saw 1"), (None, "end", "completed")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_explained_in_words(name: str) -> None:
    nodes, edges, more, expected = CASES[name]
    explained = explain(run_nodes(nodes, *edges, run_input={"total": 12}, **more))

    assert sorted(explained, key=str) == sorted(expected, key=str)
    assert explained[-1] == expected[-1]


def test_a_decision_has_what_was_compared_and_the_port() -> None:
    nodes, edges, _, _ = CASES["a condition"]
    first = explain_run(run_nodes(nodes, *edges, run_input={"total": 12}))[0]

    assert first.port == "true"
    assert first.decision == {
        "port": "true",
        "compared": [{"field": "input.total", "operator": "greater_than", "value": 10, "seen": 12, "result": True}],
    }
    assert first.at is not None


def test_an_open_run_says_what_it_waits_for_and_who_wants_its_end() -> None:
    run = Run(
        id="r",
        workflow_id="w",
        workflow_version=1,
        status="waiting",
        cancelled_by="Ada",
        cancel_reason="twice",
        waiting_for=[
            {"node_id": "ask", "step_id": "ask", "kind": "event", "event": "go"},
            {"node_id": "pay", "step_id": "pay", "kind": "operator", "message": "cannot connect"},
        ],
    )

    assert explain(run) == [
        (None, "cancel", "its end was requested by Ada: twice"),
        ("ask", "wait", "waits: event go"),
        ("pay", "wait", "waits: operator: cannot connect"),
    ]


def test_what_operators_have_done_is_told_with_who_and_why() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    done = [
        Intervention(kind="pause", at=at, by="ann", reason="a new tariff"),
        Intervention(kind="set_variables", at=at, by="ann", names=["rate", "tax"]),
        Intervention(kind="set_result", at=at, node_id="charge", path="each[7]"),
        Intervention(kind="resolve", at=at, by="bob", step_id="pay#2", node_id="pay", action="skip"),
    ]
    run = Run(id="r", workflow_id="w", workflow_version=1, status="completed", completed_at=at, interventions=done)

    assert explain(run)[:-1] == [
        (None, "operator", "ann paused the run (a new tariff)"),
        (None, "operator", "ann set variables: rate, tax"),
        (None, "operator", "someone gave a result to each[7]/charge"),
        ("pay#2", "operator", "bob resolved pay#2: skip"),
    ]
    assert [text.strip() for text in format_trace(run)[:2]] == [
        "operator   ann paused the run (a new tariff)",
        "operator   ann set variables: rate, tax",
    ]


def test_the_attempts_of_an_action_come_first_and_are_told_of_it_alone() -> None:
    """The loop around it had "no attempt is left", too, before the action."""
    nodes = {"each": {"type": "loop", "collection": 1, "body": ["a"]}, "a": {**BAD, "retry": {"maximum_attempts": 2}}}

    assert [step_id for step_id, _, _ in explain(run_nodes(nodes, "trigger -> each"))] == [
        "each[0]/a",
        "each[0]/a",
        "each",
        None,
    ]


def test_what_is_decided_in_one_moment_is_told_in_order() -> None:
    """What loops had in them came before the decisions that led there."""
    choice = {"type": "condition", "condition": LARGE}
    loop = {"type": "loop", "collection": 2}
    nodes = {
        "first": choice,
        "each": {**loop, "body": ["inner"], "config": {"break_when": LARGE}},
        "inner": {**loop, "body": ["deep"]},
        "deep": choice,
        "last": choice,
    }
    run = run_nodes(nodes, "trigger -> first", "first -true-> each", "each -> last", run_input={"total": 12})

    assert [step_id for step_id, _, _ in explain(run)] == [
        "first",
        "each[0]/inner[0]/deep",
        "each[0]/inner[1]/deep",
        "each",
        "last",
        None,
    ]
