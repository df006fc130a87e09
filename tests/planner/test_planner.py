"""Every rule of validation has a row: what is wrong, the code, and the JSON Pointer it is reported at."""

import copy
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from activities import load_builtin_registry
from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.model.definition import Definition, build_definition_schema
from orchestrator.model.described_action import DescribedAction
from orchestrator.model.plan import Action, Call, Loop, Parallel, Plan
from orchestrator.model.plan_nodes import takes_latest
from orchestrator.planner.planner import check, check_input, plan
from tests.example_files import BY_NAME, EXAMPLES, load_example
from tests.graphs import Generated, draw_wild


class MailParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")
    to: list[str]
    subject: str = Field(max_length=20)
    priority: int = 3


class Mail:
    """An action as the planner sees it."""

    name = "mail"
    parameters = MailParameters
    retry = {"maximum_attempts": 7}  # noqa: RUF012 - a fixed row
    timeout_seconds = 12.0
    heartbeat_seconds = None
    execution = "activity"


class Catalogue:
    def get(self, name: str) -> Any:
        return Mail if name == "mail" else None

    def list_names(self) -> list[str]:
        return ["mail"]


def workflow(*nodes: dict[str, Any], edges: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """A definition of nodes in a row, unless edges say otherwise: `a -port-> b`."""
    ids = ["trigger", *(node.get("id", "") for node in nodes)]
    lines = edges if edges is not None else [f"{a} -> {b}" for a, b in pairwise(ids)]
    planned = []
    for line in lines:
        left, target = line.split("-> ")
        source, _, port = left.strip().partition(" -")
        planned.append({"source": source.strip(), "target": target.strip(), "condition": port.strip("- ") or None})
    base = {"id": "w", "name": "W", "trigger": {"type": "manual"}, "nodes": list(nodes), "edges": planned}
    return {**base, **more}


def act(node_id: str, **more: Any) -> dict[str, Any]:
    config = {"to": ["a@example.org"], "subject": "Hi"}
    return {"id": node_id, "type": "action", "action": "mail", "config": config, **more}


SIDE_CALL = {"action": "mail", "config": {"to": ["a@example.org"], "subject": "Hi"}}


def put(node_id: str, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "set", "config": config or {"x": 1}}


def loop(*body: str, node_id: str = "each", **more: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "loop", "collection": [1, 2], "body": list(body), **more}


def find_codes(definition: Any, **options: Any) -> list[tuple[str, str, str]]:
    problems = check(definition, registry=Catalogue(), **options).problems
    return [(problem.severity, problem.code, problem.path) for problem in problems]


CHECK = {"id": "c", "type": "condition", "condition": {"field": "input.x", "operator": "exists"}}


def test_a_node_of_a_misspelt_type_is_checked_as_what_was_meant() -> None:
    wrong = CHECK | {"type": "condtion", "condition": {"field": "input.x", "operator": "exits"}}

    codes = [code for _, code, _ in find_codes(workflow(wrong, put("a"), edges=["trigger -> c", "c -true-> a"]))]

    assert codes == ["unknown_type", "unknown_operator"]


@pytest.mark.parametrize("kind", ["condtion", "ifelse", ""])
def test_a_wrong_type_is_reported_once_and_not_at_every_edge(kind: str) -> None:
    """One misspelt type was followed by `there is no node` for each of its edges."""
    nodes = (CHECK | {"type": kind}, put("a", x="{{ steps.c.output.branch }}"), loop("d"), put("d"))
    definition = workflow(*nodes, edges=["trigger -> c", "c -true-> a", "a -> each", "each -body-> d"])

    assert find_codes(definition) == [("error", "unknown_type" if kind else "missing_type", "/nodes/0/type")]


ERRORS: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown step": (workflow(put("a", x="{{ steps.b.output }}")), "unknown_step", "/nodes/0/config/x"),
    "no name": (workflow(put("a"), name=""), "missing_name", "/name"),
    "no trigger": (workflow(put("a"), trigger=None), "missing_trigger", "/trigger"),
    "no nodes": (workflow(edges=[]), "no_nodes", "/nodes"),
    "unknown status": (workflow(put("a"), status="actve"), "unknown_status", "/status"),
    "no id": (workflow({"type": "set"}, edges=["trigger -> a"]), "missing_id", "/nodes/0/id"),
    "id twice": (workflow(put("a"), put("a"), edges=["trigger -> a"]), "duplicate_id", "/nodes/1/id"),
    "id like that of a retried step": (workflow(put("a~1"), edges=["trigger -> a~1"]), "bad_id", "/nodes/0/id"),
    "id with a slash": (workflow(put("a/b"), edges=["trigger -> a/b"]), "bad_id", "/nodes/0/id"),
    "unknown type": (workflow(put("a"), {"id": "b", "type": "acton"}), "unknown_type", "/nodes/1/type"),
    "wrong type of a key": (workflow(put("a"), put("b") | {"outputs": "x"}), "wrong_type", "/nodes/1/outputs"),
    "key of another type": (workflow(put("a") | {"delay_seconds": 5}), "unused_key", "/nodes/0/delay_seconds"),
    "misspelt config": (
        workflow(loop("b", config={"max_concurency": 2}), put("b"), edges=["trigger -> each"]),
        "unknown_key",
        "/nodes/0/config/max_concurency",
    ),
    "unknown config": (
        workflow(loop("b", config={"colour": "red"}), put("b"), edges=["trigger -> each"]),
        "unknown_key",
        "/nodes/0/config/colour",
    ),
    "misspelt config of a parallel": (
        workflow({"id": "p", "type": "parallel", "branches": [["b"]], "config": {"joins": "any"}}, put("b")),
        "unknown_key",
        "/nodes/0/config/joins",
    ),
    "unknown config of a wait": (
        workflow({"id": "w", "type": "wait", "config": {"event": "go", "for": 5}}),
        "unknown_key",
        "/nodes/0/config/for",
    ),
    "misspelt config of a delay": (
        workflow({"id": "d", "type": "delay", "config": {"crn": "0 8 * * *"}}),
        "unknown_key",
        "/nodes/0/config/crn",
    ),
    "compensation without an action": (
        workflow({"id": "d", "type": "set", "config": {"x": 1}, "compensate": {"action": "mail"}}),
        "unused_key",
        "/nodes/0/compensate",
    ),
    "config of a condition": (
        workflow({"id": "c", "type": "condition", "condition": {"field": "x", "value": 1}, "config": {"limit": 1}}),
        "unknown_key",
        "/nodes/0/config/limit",
    ),
    "misspelt node key": (workflow(act("a") | {"onError": "skip"}), "unknown_key", "/nodes/0/onError"),
    "an option beside its config": (
        workflow({"id": "l", "type": "loop", "collection": 3, "body": ["a"], "max_concurrency": 2}, put("a")),
        "unknown_key",
        "/nodes/0/max_concurrency",
    ),
    "an option that is close to another key, beside its config": (
        workflow({"id": "p", "type": "parallel", "branches": [["a"]], "mode": "inline"}, put("a")),
        "unknown_key",
        "/nodes/0/mode",
    ),
    "misspelt edge key": (
        workflow(put("a")) | {"edges": [{"source": "trigger", "target": "a", "conditon": "next"}]},
        "unknown_key",
        "/edges/0/conditon",
    ),
    "misspelt setting": (workflow(put("a"), settings={"onError": "skip"}), "unknown_key", "/settings/onError"),
    "misspelt workflow key": (workflow(put("a")) | {"variabels": {"x": 1}}, "unknown_key", "/variabels"),
    "misspelt trigger key": (
        workflow(put("a"), trigger={"type": "event", "events": "order.paid"}),
        "unknown_key",
        "/trigger/events",
    ),
    "reserved variable": (workflow(put("a"), variables={"input": 1}), "reserved_name", "/variables/input"),
    "reserved set": (workflow(put("a", steps=1)), "reserved_name", "/nodes/0/config/steps"),
    "reserved output": (workflow(act("a", outputs=["run"])), "reserved_name", "/nodes/0/outputs/0"),
    "no action": (workflow({"id": "a", "type": "action"}), "missing_action", "/nodes/0/action"),
    "unknown action": (workflow(act("a") | {"action": "male"}), "unknown_action", "/nodes/0/action"),
    "missing parameter": (workflow(act("a", config={"to": []})), "missing_parameter", "/nodes/0/config"),
    "unknown parameter": (
        workflow(act("a", config={"to": [], "subject": "x", "priorty": 1})),
        "unknown_parameter",
        "/nodes/0/config/priorty",
    ),
    "bad parameter": (
        workflow(act("a", config={"to": [], "subject": "x" * 21})),
        "bad_parameter",
        "/nodes/0/config/subject",
    ),
    "no condition": (workflow(CHECK | {"condition": None}), "missing_condition", "/nodes/0/condition"),
    "unknown operator": (
        workflow(CHECK | {"condition": {"field": "x", "operator": "equal", "value": 1}}),
        "unknown_operator",
        "/nodes/0/condition/operator",
    ),
    "bad pattern": (
        workflow(CHECK | {"condition": {"field": "x", "operator": "matches", "value": "("}}),
        "bad_pattern",
        "/nodes/0/condition/value",
    ),
    "unknown preset": (
        workflow(CHECK | {"condition": {"preset": "invoice_overdu"}}),
        "unknown_preset",
        "/nodes/0/condition/preset",
    ),
    "edge without port": (workflow(CHECK, put("a")), "missing_port", "/edges/1"),
    "unknown port": (
        workflow(CHECK, put("a"), edges=["trigger -> c", "c -yes-> a"]),
        "unknown_port",
        "/edges/1/condition",
    ),
    "edge to nowhere": (workflow(put("a"), edges=["trigger -> a", "a -> b"]), "unknown_node", "/edges/1/target"),
    "edge from nowhere": (workflow(put("a"), edges=["trigger -> a", "b -> a"]), "unknown_node", "/edges/1/source"),
    "edge without end": (workflow(put("a"), edges=["trigger -> a", "a -> "]), "missing_end", "/edges/1/target"),
    "edge out of end": (workflow({"id": "e", "type": "end"}, put("a")), "unknown_port", "/edges/1"),
    "list names nothing": (
        workflow(loop("b", "zz"), put("b"), edges=["trigger -> each"]),
        "unknown_node",
        "/nodes/0/body/1",
    ),
    "no start": (workflow(put("a"), edges=[]), "no_start", "/edges"),
    "body owns nothing": (
        workflow(loop("b"), put("b"), edges=["trigger -> each", "trigger -> b"]),
        "empty_region",
        "/nodes/0",
    ),
    "when on a condition": (
        workflow(CHECK | {"when": {"preset": "ticket_urgent"}}),
        "when_without_next",
        "/nodes/0/when",
    ),
    "switch without cases": (workflow({"id": "s", "type": "switch"}), "missing_cases", "/nodes/0/config/cases"),
    "plain text collection": (
        workflow(loop("b") | {"collection": "input.items"}, put("b"), edges=["trigger -> each"]),
        "bad_collection",
        "/nodes/0/collection",
    ),
    "no collection": (
        workflow(loop("b") | {"collection": None}, put("b"), edges=["trigger -> each"]),
        "missing_collection",
        "/nodes/0/collection",
    ),
    "too much concurrency": (
        workflow(loop("b", config={"max_concurrency": 501}), put("b"), edges=["trigger -> each"]),
        "out_of_bounds",
        "/nodes/0/config/max_concurrency",
    ),
    "batches of no items": (
        workflow(loop("b", config={"batch_size": -1}), put("b"), edges=["trigger -> each"]),
        "out_of_bounds",
        "/nodes/0/config/batch_size",
    ),
    "batches without a collection": (
        workflow(
            loop("b", config={"batch_size": 2, "while": {"field": "x", "operator": "is_empty"}}) | {"collection": None},
            put("b"),
            edges=["trigger -> each"],
        ),
        "missing_collection",
        "/nodes/0/config/batch_size",
    ),
    "interval that is not a number": (
        workflow(loop("b", config={"interval_seconds": "soon"}), put("b"), edges=["trigger -> each"]),
        "bad_seconds",
        "/nodes/0/config/interval_seconds",
    ),
    "interval of concurrent iterations": (
        workflow(loop("b", config={"interval_seconds": 5, "max_concurrency": 2}), put("b"), edges=["trigger -> each"]),
        "out_of_bounds",
        "/nodes/0/config/interval_seconds",
    ),
    "failures that are no number": (
        workflow(loop("b", config={"max_failures": "a few"}), put("b"), edges=["trigger -> each"]),
        "wrong_type",
        "/nodes/0/config/max_failures",
    ),
    "more failures than all": (
        workflow(loop("b", config={"max_failures": "101%"}), put("b"), edges=["trigger -> each"]),
        "wrong_type",
        "/nodes/0/config/max_failures",
    ),
    "fewer failures than none": (
        workflow(loop("b", config={"max_failures": -1}), put("b"), edges=["trigger -> each"]),
        "out_of_bounds",
        "/nodes/0/config/max_failures",
    ),
    "failures that are not allowed": (
        workflow(loop("b", config={"max_failures": 3, "on_item_error": "fail"}), put("b"), edges=["trigger -> each"]),
        "bad_max_failures",
        "/nodes/0/config/max_failures",
    ),
    "misspelt failures": (
        workflow(loop("b", config={"max_failure": 3}), put("b"), edges=["trigger -> each"]),
        "unknown_key",
        "/nodes/0/config/max_failure",
    ),
    "join beyond branches": (
        workflow(
            {"id": "p", "type": "parallel", "branches": [["b"]], "config": {"join": 2}},
            put("b"),
            edges=["trigger -> p"],
        ),
        "bad_join",
        "/nodes/0/config/join",
    ),
    "join of a template that is none": (
        workflow(
            {"id": "p", "type": "parallel", "branches": [["b"]], "config": {"join": "{{ input.n + }}"}},
            put("b"),
            edges=["trigger -> p"],
        ),
        "template_syntax",
        "/nodes/0/config/join",
    ),
    "unknown zone of a delay": (
        workflow({"id": "d", "type": "delay", "config": {"cron": "0 8 * * *", "timezone": "Europe/Brelin"}}),
        "bad_timezone",
        "/nodes/0/config/timezone",
    ),
    "delay without time": (workflow({"id": "d", "type": "delay"}), "missing_delay", "/nodes/0/delay_seconds"),
    "delay said twice": (
        workflow({"id": "d", "type": "delay", "delay_seconds": 5, "delay_until": "2030-01-01"}),
        "bad_delay",
        "/nodes/0",
    ),
    "negative delay": (
        workflow({"id": "d", "type": "delay", "delay_seconds": -1}),
        "out_of_bounds",
        "/nodes/0/delay_seconds",
    ),
    "endless delay": (
        workflow({"id": "d", "type": "delay", "delay_seconds": 1e12}),
        "out_of_bounds",
        "/nodes/0/delay_seconds",
    ),
    "endless run": (
        workflow(put("a"), settings={"timeout_seconds": 1e12}),
        "out_of_bounds",
        "/settings/timeout_seconds",
    ),
    "endless loop": (
        workflow(loop("b", timeout_seconds=1e12), put("b"), edges=["trigger -> each"]),
        "out_of_bounds",
        "/nodes/0/timeout_seconds",
    ),
    "endless attempt": (workflow(act("a", timeout_seconds=1e12)), "out_of_bounds", "/nodes/0/timeout_seconds"),
    "endless wait": (
        workflow({"id": "w", "type": "wait", "config": {"event": "go", "timeout_seconds": 1e12}}),
        "out_of_bounds",
        "/nodes/0/config/timeout_seconds",
    ),
    "endless compensation": (
        workflow(act("a", compensate={**SIDE_CALL, "timeout_seconds": 1e12})),
        "out_of_bounds",
        "/nodes/0/compensate/timeout_seconds",
    ),
    "endless notification": (
        workflow(put("a"), settings={"notify": {**SIDE_CALL, "timeout_seconds": 10**400}}),
        "out_of_bounds",
        "/settings/notify/timeout_seconds",
    ),
    "endless interval of retries": (
        workflow(act("a", retry={"initial_interval": 10**400})),
        "out_of_bounds",
        "/nodes/0/retry/initial_interval",
    ),
    "bad time": (workflow({"id": "d", "type": "delay", "delay_until": "tomorrow"}), "bad_time", "/nodes/0/delay_until"),
    "bad delay cron": (
        workflow({"id": "d", "type": "delay", "config": {"cron": "x"}}),
        "bad_cron",
        "/nodes/0/config/cron",
    ),
    "wait without event": (workflow({"id": "w", "type": "wait"}), "missing_event", "/nodes/0/config/event"),
    "bad payload schema": (
        workflow({"id": "w", "type": "wait", "config": {"event": "e", "schema": {"type": "objekt"}}}),
        "bad_schema",
        "/nodes/0/config/schema/type",
    ),
    "bad input schema": (
        workflow(put("a"), settings={"input_schema": {"$ref": "https://example.org/s"}}),
        "bad_schema",
        "/settings/input_schema",
    ),
    "unknown workflow": (
        workflow({"id": "w", "type": "workflow", "config": {"workflow_id": "other"}}),
        "unknown_workflow",
        "/nodes/0/config/workflow_id",
    ),
    "template syntax": (workflow(put("a", x="{{ input. }}")), "template_syntax", "/nodes/0/config/x"),
    "unknown function": (workflow(put("a", x="{{ nowe() }}")), "template_syntax", "/nodes/0/config/x"),
    "unknown pipe": (workflow(put("a", x="{{ input.x | uper }}")), "template_syntax", "/nodes/0/config/x"),
    "secret in a variable": (workflow(put("a", x="{{ secrets.key }}")), "secret_outside_action", "/nodes/0/config/x"),
    "all secrets": (
        workflow({"id": "a", "type": "action", "action": "x", "config": {"x": ["{{ secrets | values }}"]}}),
        "template_syntax",
        "/nodes/0/config/x/0",
    ),
    "pipe on a secret for another worker": (
        workflow(
            {"id": "a", "type": "action", "action": "x", "task_queue": "q", "config": {"x": "{{ secrets.k | trim }}"}}
        ),
        "piped_secret",
        "/nodes/0/config/x",
    ),
    "secret in a key": (
        workflow({"id": "a", "type": "action", "action": "x", "task_queue": "q", "config": {"{{ secrets.k }}": 1}}),
        "secret_outside_action",
        "/nodes/0/config/{{ secrets.k }}",
    ),
    "retry without attempts": (
        workflow(act("a", retry={"maximum_attempts": 0})),
        "out_of_bounds",
        "/nodes/0/retry/maximum_attempts",
    ),
    "misspelt retry": (workflow(act("a", retry={"max_retrys": 2})), "unknown_key", "/nodes/0/retry/max_retrys"),
    "unknown error type": (
        workflow(act("a", retry={"retry_on": ["timeout"]})),
        "unknown_error_type",
        "/nodes/0/retry/retry_on/0",
    ),
    "unknown on_error": (workflow(act("a", on_error="ignore")), "bad_on_error", "/nodes/0/on_error"),
    "checkpoint unknown": (
        workflow(put("a"), act("b", on_error={"retry_from": "aa"})),
        "bad_checkpoint",
        "/nodes/1/on_error/retry_from",
    ),
    "checkpoint later": (
        workflow(act("a", on_error={"retry_from": "b"}), put("b")),
        "bad_checkpoint",
        "/nodes/0/on_error/retry_from",
    ),
    "compensation without action": (
        workflow(act("a", compensate={"config": {}})),
        "missing_action",
        "/nodes/0/compensate/action",
    ),
    "notify unknown": (
        workflow(put("a"), settings={"notify": {"action": "pager"}}),
        "unknown_action",
        "/settings/notify/action",
    ),
    "max_steps": (workflow(put("a"), settings={"max_steps": -1}), "out_of_bounds", "/settings/max_steps"),
    "trigger unknown": (workflow(put("a"), trigger={"type": "cron"}), "unknown_trigger", "/trigger/type"),
    "schedule without time": (workflow(put("a"), trigger={"type": "schedule"}), "bad_schedule", "/trigger"),
    "bad cron": (workflow(put("a"), trigger={"type": "schedule", "cron": "0 25 * * *"}), "bad_cron", "/trigger/cron"),
    "bad timezone": (
        workflow(put("a"), trigger={"type": "schedule", "cron": "@daily", "config": {"timezone": "Europe/Wien"}}),
        "bad_timezone",
        "/trigger/config/timezone",
    ),
    "short interval": (
        workflow(put("a"), trigger={"type": "schedule", "interval_seconds": 0.5}),
        "out_of_bounds",
        "/trigger/interval_seconds",
    ),
    "no event name": (workflow(put("a"), trigger={"type": "event"}), "missing_event", "/trigger/event"),
    "bad event name": (workflow(put("a"), trigger={"type": "event", "event": "a..b"}), "bad_event", "/trigger/event"),
    "no webhook path": (
        workflow(put("a"), trigger={"type": "webhook"}),
        "missing_webhook_path",
        "/trigger/webhook_path",
    ),
    "bad webhook path": (
        workflow(put("a"), trigger={"type": "webhook", "webhook_path": "a b"}),
        "bad_webhook_path",
        "/trigger/webhook_path",
    ),
    "step of a later node of the body": (
        workflow(
            {"id": "each", "type": "loop", "collection": 2, "body": ["a"]},
            put("a", x="{{ steps.b.output }}"),
            put("b"),
            edges=["trigger -> each", "a -> b"],
        ),
        "step_not_run",
        "/nodes/1/config/x",
    ),
    "unknown step field": (
        workflow(put("a"), put("b", x="{{ steps.a.result }}")),
        "unknown_field",
        "/nodes/1/config/x",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_is_reported_at_its_path(case: str) -> None:
    definition, code, path = ERRORS[case]

    errors = [(code, path) for severity, code, path in find_codes(definition) if severity == "error"]

    assert (code, path) in errors


WARNINGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown setting": (workflow(put("a"), settings={"retires": {}, "tries": 1}), "unknown_key", "/settings/tries"),
    "unknown node key": (workflow(put("a") | {"colour": "red"}), "unknown_key", "/nodes/0/colour"),
    "unknown edge key": (
        workflow(put("a")) | {"edges": [{"source": "trigger", "target": "a", "animated": True}]},
        "unknown_key",
        "/edges/0/animated",
    ),
    "config of a trigger node": (
        workflow({"id": "t", "type": "trigger", "config": {"colour": "red"}}, edges=[]),
        "unknown_key",
        "/nodes/0/config/colour",
    ),
    "orphan": (workflow(put("a"), put("b"), edges=["trigger -> a"]), "orphan", "/nodes/1"),
    "never reached": (
        workflow(put("a"), put("b"), put("d"), edges=["trigger -> a", "b -> d"]),
        "unreachable",
        "/nodes/2",
    ),
    "unknown variable": (
        workflow(put("a", x="{{ custmer }}"), variables={"customer": 1}),
        "unknown_variable",
        "/nodes/0/config/x",
    ),
    "computed key": (
        workflow(put("a", x="{{ input.prices[skuu] }}")),
        "unknown_variable",
        "/nodes/0/config/x",
    ),
    "minus without spaces": (
        workflow(put("a", x="{{ input.total-input.tax }}")),
        "unknown_field",
        "/nodes/0/config/x",
    ),
    "minus between variables": (
        workflow(put("a", x="{{ total-tax }}"), variables={"total": 1, "tax": 2}),
        "unknown_variable",
        "/nodes/0/config/x",
    ),
    "join of an unknown variable": (
        workflow(
            {"id": "p", "type": "parallel", "branches": [["b"]], "config": {"join": "{{ needed }}"}},
            put("b"),
            edges=["trigger -> p"],
        ),
        "unknown_variable",
        "/nodes/0/config/join",
    ),
    "zone without cron": (
        workflow({"id": "d", "type": "delay", "delay_seconds": 5, "config": {"timezone": "Europe/Berlin"}}),
        "no_effect",
        "/nodes/0/config/timezone",
    ),
    "set later": (workflow(put("a", x="{{ y }}"), put("b", y=1)), "set_later", "/nodes/0/config/x"),
    "set reads itself": (
        workflow(put("count", n="{{ pair | sum }}", pair=["{{ n }}", 1]), variables={"n": 0, "pair": [0, 1]}),
        "set_reads_itself",
        "/nodes/0/config/n",
    ),
    "unknown input": (
        workflow(
            put("a", x="{{ input.ordr }}"), settings={"input_schema": {"type": "object", "properties": {"order": {}}}}
        ),
        "unknown_input",
        "/nodes/0/config/x",
    ),
    "two branches set one variable": (
        workflow(
            {"id": "p", "type": "parallel", "branches": [["a"], ["b"]]}, put("a"), put("b"), edges=["trigger -> p"]
        ),
        "variable_conflict",
        "/nodes/0",
    ),
    "listed but reached from outside": (
        workflow(loop("a", "b"), put("a"), put("b"), edges=["trigger -> each", "trigger -> b"]),
        "region_overlap",
        "/nodes/0/body/1",
    ),
    "retry of a delay": (
        workflow({"id": "d", "type": "delay", "delay_seconds": 1, "retry": {"maximum_attempts": 2}}),
        "no_effect",
        "/nodes/0/retry",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_a_warning_does_not_prevent_a_plan(case: str) -> None:
    definition, code, path = WARNINGS[case]

    problems = find_codes(definition)

    assert ("warning", code, path) in problems
    assert [problem for problem in problems if problem[0] == "error"] == []


def test_all_problems_are_reported_at_once() -> None:
    definition = workflow(
        put("a", x="{{ input. }}"), act("b") | {"action": "male"}, {"id": "d", "type": "delay"}, name=""
    )

    codes = {code for _, code, _ in find_codes(definition)}

    assert {"missing_name", "template_syntax", "unknown_action", "missing_delay"} <= codes


def test_hints_suggest_the_closest_name() -> None:
    definition = workflow(
        act("a") | {"action": "mial"}, put("later", x="{{ input.x | uper }}"), edges=["trigger -> a", "a -> latter"]
    )

    hints = {problem.code: problem.hint or "" for problem in check(definition, registry=Catalogue()).problems}

    assert "mail" in hints["unknown_action"]
    assert "`later`" in hints["unknown_node"]
    assert "upper" in hints["template_syntax"]


def test_empty_keys_of_exporters_are_ignored() -> None:
    """Every key on every node, empty where it is not used."""
    empty: dict[str, Any] = {
        "description": "", "action": "", "config": {}, "condition": None, "true_branch": [], "false_branch": [],
        "collection": "", "item_variable": "", "body": [], "branches": [], "delay_seconds": 0, "delay_until": None,
        "outputs": [], "position": {"x": 0, "y": 0}, "retry": {}, "timeout_seconds": 0, "on_error": "", "when": None,
        "task_queue": "", "execution": "", "compensate": {},
    }  # fmt: skip
    definition = workflow(
        empty | put("a"), empty | act("b"), empty | CHECK | {"true_branch": ["b2"]}, empty | act("b2")
    )
    definition["edges"] = definition["edges"][:3]
    edge = {"id": "", "label": "", "condition": None}
    definition["edges"] = [edge | {**e, "id": f"e{i}"} for i, e in enumerate(definition["edges"])]
    definition |= {
        "created_at": None,
        "updated_at": "",
        "created_by": "x",
        "run_count": 0,
        "success_rate": 0.0,
        "settings": {},
    }

    assert find_codes(definition) == []


def test_parameters_with_templates_are_not_checked() -> None:
    definition = workflow(
        act("a", config={"to": "{{ input.to }}", "subject": "{{ input.subject }} and much more text"})
    )

    assert find_codes(definition) == []


def test_a_worker_in_another_language_is_sent_plain_secrets() -> None:
    plain = {"x": "Bearer {{ secrets.k }}", "y": "{{ input.name | trim }}"}
    node = {"id": "a", "type": "action", "action": "java.thing", "task_queue": "java", "config": plain}

    assert find_codes(workflow(node)) == [("warning", "unknown_action", "/nodes/0/action")]


def test_an_action_on_another_task_queue_is_unknown_here_or_described() -> None:
    """A misspelt name there was found by nobody until the run waited for ever."""
    registry = load_builtin_registry()
    schema = {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}
    described = {"name": "java.thing", "parameters": {**schema, "additionalProperties": False}}
    registry.described["java.thing"] = DescribedAction.model_validate(described)

    def find(name: str, config: dict[str, Any]) -> list[tuple[str, str, str | None]]:
        node = {"id": "a", "type": "action", "action": name, "task_queue": "java", "config": config}
        problems = check(workflow(node), registry=registry).problems
        return [(each.severity, each.code, each.hint) for each in problems if each.path.startswith("/nodes")]

    assert find("java.thing", {"size": 3}) == []
    assert find("java.thing", {"size": "{{ input.size }}"}) == []
    assert find("java.thin", {}) == [("warning", "unknown_action", "did you mean `java.thing`?")]
    assert find("java.thing", {}) == [("error", "missing_parameter", None)]
    assert find("java.thing", {"size": "many", "sise": 1}) == [
        ("error", "bad_parameter", None),
        ("error", "unknown_parameter", "did you mean `size`?"),
    ]


def test_retry_policies_are_merged() -> None:
    definition = workflow(act("a", retry={"max_delay": 9}), settings={"retry": {"initial_delay": 2}})

    planned = check(definition, registry=Catalogue()).require()

    node = planned.scope.nodes[0]
    assert isinstance(node, Action)
    assert (
        node.retry.maximum_attempts, node.retry.initial_interval, node.retry.maximum_interval, node.timeout_seconds
    ) == (7, 2.0, 9.0, 12.0)  # fmt: skip


def test_a_branch_lists_the_variables_and_steps_that_it_reads() -> None:
    definition = workflow(
        put("a", n=1),
        {"id": "p", "type": "parallel", "branches": [["b"], ["d"]]},
        put("b", x="{{ n }} {{ steps.a.output.n }}"),
        {"id": "d", "type": "wait", "config": {"event": "go", "timeout_seconds": 1}},
        put("z", y="{{ steps.d.output }}"),
        edges=["trigger -> a", "a -> p", "p -> z"],
    )

    planned = check(definition).require()

    parallel = planned.scope.nodes[1]
    assert isinstance(parallel, Parallel)
    first, second = parallel.branches
    assert (first.reads, first.steps, first.exports, first.waits) == (("n",), ("a",), (), ())
    assert (second.reads, second.steps, second.exports, second.waits) == ((), (), ("d",), ("go",))


def test_a_node_reached_from_outside_leaves_the_body() -> None:
    definition = workflow(loop("a"), put("a"), put("b"), edges=["trigger -> each", "a -> b", "each -> b"])

    planned = check(definition).require()

    each = planned.scope.nodes[0]
    assert isinstance(each, Loop)
    assert [node.id for node in each.body.nodes] == ["a"]
    assert each.body.nodes[0].exits == {"next": ("b",)}


def test_called_workflows_are_embedded_in_the_plan() -> None:
    inner = workflow(put("a"), id="inner")
    middle = workflow({"id": "m", "type": "workflow", "config": {"workflow_id": "inner"}}, id="middle")
    outer = workflow({"id": "o", "type": "workflow", "config": {"workflow_id": "middle"}}, id="outer")

    planned = check(outer, workflows={"inner": inner, "middle": middle}).require()

    assert list(planned.workflows) == ["inner", "middle"]
    assert planned.workflows["middle"].workflows == {}


def test_each_call_has_the_version_that_it_asks_for() -> None:
    def calls(name: str, *configs: dict[str, Any]) -> dict[str, Any]:
        nodes = [{"id": f"n{at}", "type": "workflow", "config": config} for at, config in enumerate(configs)]
        return workflow(*nodes, id=name)

    newest, first = workflow(put("b"), id="child", version=2), workflow(put("a"), id="child", version=1)
    others = {"child": newest, "child@1": first, "middle": calls("middle", {"workflow_id": "child"})}
    outer = calls("outer", {"workflow_id": "child", "version": 1}, {"workflow_id": "child"}, {"workflow_id": "middle"})

    planned = check(outer, workflows=others).require()

    assert [node.workflow for node in planned.scope.nodes if isinstance(node, Call)] == ["child@1", "child", "middle"]
    assert {name: callee.version for name, callee in planned.workflows.items()} == {
        "child": 2,
        "child@1": 1,
        "middle": 1,
    }
    inner = planned.workflows["middle"].scope.nodes[0]
    assert isinstance(inner, Call)
    assert inner.workflow == "child"
    for version, code in ((3, "unknown_version"), (-1, "wrong_type"), ("1", "wrong_type"), (True, "wrong_type")):
        assert [
            each[1] for each in find_codes(calls("o", {"workflow_id": "child", "version": version}), workflows=others)
        ] == [code]


def test_the_latest_version_of_a_workflow_has_a_key_of_its_own() -> None:
    older, newer = workflow(put("a"), id="child", version=1), workflow(put("b"), id="child", version=2)
    configs = ({"workflow_id": "child"}, {"workflow_id": "child", "version": "latest"})
    nodes = [{"id": f"n{at}", "type": "workflow", "config": config} for at, config in enumerate(configs)]
    outer = workflow(*nodes, id="outer")

    stored = check(outer, workflows={"child": older, "child@latest": newer}).require()
    alone = check(outer, workflows={"child": newer}).require()

    assert {name: callee.version for name, callee in stored.workflows.items()} == {"child": 1, "child@latest": 2}
    assert {name: callee.version for name, callee in alone.workflows.items()} == {"child": 2}
    assert (takes_latest(stored), takes_latest(alone)) == (True, False)


@pytest.mark.parametrize("name", [5, True, ["child"]])
def test_a_workflow_id_that_is_not_text_is_an_error(name: Any) -> None:
    asks = workflow({"id": "a", "type": "workflow", "config": {"workflow_id": name}})

    assert [each[1] for each in find_codes(asks)] == ["wrong_type"]


def test_workflows_that_call_each_other_are_refused() -> None:
    one = workflow({"id": "o", "type": "workflow", "config": {"workflow_id": "two"}}, id="one")
    two = workflow({"id": "t", "type": "workflow", "config": {"workflow_id": "one"}}, id="two")

    codes = {code for _, code, _ in find_codes(one, workflows={"one": one, "two": two})}

    assert "invalid_workflow" in codes


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_plan_survives_its_json(path: Path) -> None:
    others = {"provision_account": load_example(BY_NAME["provision_account"])}
    planned = check(load_example(path), workflows=others).require()

    assert planned == Plan.model_validate(json.loads(json.dumps(planned.to_json())))


def test_input_is_checked_against_the_schema() -> None:
    planned = check(workflow(put("a"), settings={"input_schema": {"type": "object", "required": ["n"]}})).require()

    assert check_input(planned, {"n": 1}) == []
    assert [problem.path for problem in check_input(planned, {})] == [""]
    assert [problem.code for problem in check_input(planned, None)] == ["schema_mismatch"]


def test_a_key_is_suggested_by_the_name_that_a_definition_has() -> None:
    (problem,) = check({**workflow(put("a")), "schema": "definition.schema.json"}).problems

    assert (problem.code, problem.hint) == ("unknown_key", "did you mean `$schema`?")


def test_plan_returns_a_plan_or_problems() -> None:
    assert isinstance(plan(workflow(put("a"))), Plan)
    problems = plan({})
    assert isinstance(problems, list)
    assert all(isinstance(problem, Problem) for problem in problems)
    with pytest.raises(DefinitionInvalid):
        check({}).require()


def test_the_schema_describes_a_definition() -> None:
    schema = build_definition_schema()

    assert "nodes" in schema["properties"]
    assert schema["$defs"]["Node"]["properties"]["type"]["enum"][0] == "trigger"
    json.dumps(schema)


@pytest.mark.thorough
def test_ten_thousand_nodes_in_a_row_are_planned() -> None:
    planned = check(workflow(*(put(f"n{i}") for i in range(10_000)))).require()

    assert len(planned.scope.nodes) == 10_000


def test_deep_nesting_is_refused() -> None:
    loops = [loop(f"l{i + 1}", node_id=f"l{i}") for i in range(60)]
    definition = workflow(*loops, put("l60"), edges=["trigger -> l0"])

    assert ("error", "too_deep", "/nodes") in find_codes(definition)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
QUICK = settings(max_examples=150)


@pytest.mark.thorough
@QUICK
@given(st.data())
def test_no_definition_breaks_the_planner(data: st.DataObject) -> None:
    """Junk in any place of a good definition gives problems or a plan, never another error."""
    definition = copy.deepcopy(data.draw(st.sampled_from([row[0] for row in (*ERRORS.values(), *WARNINGS.values())])))
    for _ in range(data.draw(st.integers(1, 3))):
        here: Any = definition
        while data.draw(st.booleans()) and isinstance(here, dict | list) and here:
            key = data.draw(st.sampled_from(list(here) if isinstance(here, dict) else range(len(here))))
            if not isinstance(here[key], dict | list) or not here[key]:
                break
            here = here[key]
        if isinstance(here, dict):
            keys = [*here, *Definition.model_fields, "config", "condition", "branches", "retry", "on_error", "body"]
            here[data.draw(st.sampled_from(keys))] = data.draw(JUNK)
        elif isinstance(here, list):
            here.append(data.draw(JUNK))

    verdict = check(definition, registry=Catalogue())

    assert (verdict.plan is None) == any(problem.severity == "error" for problem in verdict.problems)


@QUICK
@given(JUNK)
def test_any_json_value_is_checked(junk: Any) -> None:
    verdict = check(junk)

    assert verdict.plan is None
    assert verdict.problems


@pytest.mark.thorough
@QUICK
@given(draw_wild())
def test_problems_are_the_same_each_time(graph: Generated) -> None:
    assert check(graph.definition).problems == check(graph.definition).problems


def test_an_option_beside_its_config_is_told_where_to_go() -> None:
    late = {"id": "w", "type": "wait", "event": "go", "config": {"event": "go"}, "timeout_seconds": 5}
    problems = check(workflow(late)).problems

    assert [(each.severity, each.path, each.hint) for each in problems] == [
        ("error", "/nodes/0/event", "write it in `config`: config.event"),
        ("warning", "/nodes/0/timeout_seconds", "write it in `config`: config.timeout_seconds"),
    ]

    misspelt = {"id": "l", "type": "loop", "collection": 3, "body": ["a"], "max_concurency": 2, "colour": "red"}
    problems = check(workflow(misspelt, put("a"), edges=["trigger -> l"])).problems

    assert [(each.severity, each.path, each.hint) for each in problems] == [
        ("error", "/nodes/0/max_concurency", "did you mean `config.max_concurrency`?"),
        ("warning", "/nodes/0/colour", None),
    ]

    (problem,) = check(workflow({"id": "d", "type": "delay", "delay_seconds": 5, "icon": "clock"})).problems

    assert (problem.severity, problem.path) == ("warning", "/nodes/0/icon")
