"""What a definition does with its data is checked before it runs: certain mistakes, possible ones, and no others."""

from typing import Any

import pytest

from activities import data, email, events, http, log, notify, sql
from activities.registry import build_registry
from orchestrator.language import FUNCTIONS, PIPES
from orchestrator.language.operators import OPERATORS
from orchestrator.planner.data_flow import signatures
from orchestrator.planner.planner import check
from tests.example_files import EXAMPLES, load_example
from tests.golden import load_cases, read_edges

REGISTRY = build_registry([http, email, notify, data, log, events, sql])
FINDINGS = frozenset(
    (
        *("maybe_missing", "wrong_operand", "never_holds", "step_not_run", "unknown_field", "bad_parameter"),
        *("bad_collection", "bad_seconds", "bad_time", "bad_join"),
    )
)
GET = {"type": "action", "action": "http.request", "config": {"url": "https://example.com/"}}
CHOICE = {"type": "condition", "condition": {"field": "input.a", "operator": "equals", "value": 1}}
Nodes = dict[str, dict[str, Any]]


def find(
    nodes: Nodes, *edges: str, callees: dict[str, Any] | None = None, **more: Any
) -> list[tuple[str, str, str, str | None]]:
    """Return severity, code, message and hint of each finding."""
    definition = {
        "name": "x",
        "trigger": {"type": "manual"},
        "nodes": [{"id": node_id, **node} for node_id, node in nodes.items()],
        "edges": [edge for line in edges for edge in read_edges(line)],
        **more,
    }
    problems = check(definition, registry=REGISTRY, workflows=callees).problems
    assert [problem for problem in problems if problem.code not in FINDINGS and problem.severity == "error"] == []
    return [(each.severity, each.code, each.message, each.hint) for each in problems if each.code in FINDINGS]


def put(**values: Any) -> dict[str, Any]:
    return {"type": "set", "config": values}


THEN = "only `a` sets it, and `a` does not run when `c` is false"


def ask(field: str, operator: str = "exists", value: Any = None) -> dict[str, Any]:
    return {"type": "condition", "condition": {"field": field, "operator": operator, "value": value}}


def test_eight_mistakes_in_one_definition() -> None:
    nodes: Nodes = {
        "get": GET,
        "c": ask("steps.get.output.statuz", "greater_than", 200),
        "a": put(t="{{ steps.get.output.status }}"),
        "n": ask("steps.get.output.headers", "greater_than", 3),
        "d": {
            "type": "action",
            "action": "log.message",
            "config": {"message": "{{ t }} {{ steps.a.output.t }} {{ steps.c.output.case }}"},
        },
        "e": {"type": "loop", "collection": "{{ steps.get.output.status }}", "body": ["f"]},
        "f": {
            "type": "action",
            "action": "email.send",
            "config": {"to": "{{ steps.get.output.status }}", "subject": "s", "text": "{{ item.x }}"},
        },
        "z": {"type": "delay", "delay_seconds": "{{ steps.get.output.headers }}"},
    }
    edges = ("trigger -> get", "get -> c", "c -true-> a", "c -false-> n", "n -true-> d", "a -> d", "d -> e", "e -> z")

    found = find(nodes, *edges)

    assert [(severity, code, message) for severity, code, message, _ in found] == [
        ("error", "unknown_field", "1:1: `steps.get.output` has no field 'statuz'"),
        ("error", "never_holds", "`steps.get.output.headers` greater_than is never true: the field is an object"),
        ("error", "unknown_field", "1:35: `steps.c.output` has no field 'case'"),
        ("error", "unknown_field", "1:4: `item` is a number: it has no field 'x'"),
        ("error", "bad_parameter", "`to` of email.send takes email addresses, not a number"),
        ("error", "bad_seconds", "delay_seconds must be a number, not an object"),
        (
            "warning",
            "maybe_missing",
            "1:4: 't' may not be set: only `a` sets it, and `a` does not run when `c` is false",
        ),
        ("warning", "maybe_missing", "1:12: 'a' may not have run: `a` does not run when `c` is false"),
    ]
    assert found[0][3] == "did you mean `status`?"


EACH_BATCH = {"type": "loop", "collection": "{{ rows }}", "config": {"batch_size": 10}}
LISTED = put(rows=[{"id": 1, "name": "a"}], total=12, name="Ann", who={"mail": "a@example.com"})

CERTAIN: dict[str, tuple[Nodes, tuple[str, ...], str, str]] = {
    "pipe": ({"s": LISTED, "a": put(x="{{ rows | upper }}")}, ("s -> a",), "wrong_operand", "takes text, not a list"),
    "field of an item": (
        {
            "s": LISTED,
            "each": {"type": "loop", "collection": "{{ rows }}", "body": ["b"]},
            "b": put(x="{{ item.nmae }}"),
        },
        ("s -> each",),
        "unknown_field",
        "`item` has no field 'nmae'",
    ),
    "pipe on a batch of items": (
        {"s": LISTED, "each": {**EACH_BATCH, "body": ["b"]}, "b": put(x="{{ item | upper }}")},
        ("s -> each",),
        "wrong_operand",
        "takes text, not a list",
    ),
    "sum of text and number": (
        {"s": LISTED, "a": put(x="{{ name + total }}")},
        ("s -> a",),
        "wrong_operand",
        "not text and a number",
    ),
    "comparison with another kind": (
        {"s": LISTED, "c": ask("total", "equals", "12")},
        ("s -> c",),
        "never_holds",
        "the field is a number, the value text",
    ),
    "status that no step has": (
        {"s": LISTED, "c": ask("steps.s.status", "equals", "complete")},
        ("s -> c",),
        "never_holds",
        "the field is never 'complete'",
    ),
    "collection": (
        {"s": LISTED, "each": {"type": "loop", "collection": "{{ who }}", "body": ["b"]}, "b": put(x=1)},
        ("s -> each",),
        "bad_collection",
        "not an object",
    ),
    "time": (
        {"s": LISTED, "w": {"type": "delay", "delay_until": "{{ rows }}"}},
        ("s -> w",),
        "bad_time",
        "not a list",
    ),
    "parameter": (
        {"s": LISTED, "l": {"type": "action", "action": "log.message", "config": {"message": "{{ who }}"}}},
        ("s -> l",),
        "bad_parameter",
        "takes text, not an object",
    ),
    "choice of a parameter": (
        {
            "s": put(level="loud"),
            "l": {"type": "action", "action": "log.message", "config": {"message": "x", "level": "{{ level }}"}},
        },
        ("s -> l",),
        "bad_parameter",
        "cannot be 'loud'",
    ),
    "list in the place of a text": (
        {"get": {**GET, "config": {"url": ["{{ input.url }}"]}}},
        (),
        "bad_parameter",
        "`url` of http.request takes text, not a list",
    ),
    "list in a URL": (
        {"s": LISTED, "get": {**GET, "config": {"url": "https://example.com/{{ rows }}"}}},
        ("s -> get",),
        "bad_parameter",
        "`url` of http.request cannot contain a list",
    ),
    "list of lists of addresses": (
        {
            "s": LISTED,
            "m": {"type": "action", "action": "email.send", "config": {"to": ["{{ rows }}"], "subject": "x"}},
        },
        ("s -> m",),
        "bad_parameter",
        "`to` of email.send takes text, not a list",
    ),
    "parameter of a compensation": (
        {
            "s": LISTED,
            "get": {**GET, "compensate": {"action": "log.message", "config": {"message": "{{ who }}"}}},
        },
        ("s -> get",),
        "bad_parameter",
        "`message` of log.message takes text, not an object",
    ),
    "step on the other path": (
        {"c": CHOICE, "a": put(x=1), "b": put(y="{{ steps.a.output.x }}")},
        ("c -true-> a", "c -false-> b"),
        "step_not_run",
        "'a' cannot have run before this",
    ),
    "step of the other branch": (
        {"p": {"type": "parallel", "branches": [["a"], ["b"]]}, "a": put(x=1), "b": put(y="{{ steps.a.output.x }}")},
        (),
        "step_not_run",
        "'a' cannot have run before this",
    ),
    "output that a failure has left": (
        {"get": GET, "bad": put(x="{{ steps.get.error.mesage }}")},
        ("get -error-> bad",),
        "unknown_field",
        "has no field 'mesage'",
    ),
    "field of the run": ({"a": put(x="{{ run.number }}")}, (), "unknown_field", "`run` has no field 'number'"),
}


@pytest.mark.parametrize("case", CERTAIN)
def test_a_certain_mistake_is_an_error(case: str) -> None:
    nodes, edges, code, message = CERTAIN[case]

    found = find(nodes, f"trigger -> {next(iter(nodes))}", *edges)

    assert [(severity, found_code) for severity, found_code, _, _ in found] == [("error", code)]
    assert message in found[0][2]


MAYBE: dict[str, tuple[Nodes, tuple[str, ...], str]] = {
    "one path": (
        {"c": CHOICE, "a": put(t=1), "b": put(x="{{ t }}")},
        ("c -true-> a", "c -false-> b", "a -> b"),
        "only `a` sets it, and `a` does not run when `c` is false",
    ),
    "loop without items": (
        {
            "each": {"type": "loop", "collection": "{{ input.rows }}", "body": ["a"]},
            "a": put(t=1),
            "b": put(x="{{ t }}"),
        },
        ("each -> b",),
        "the loop `each` may have no items",
    ),
    "when": (
        {"a": {**put(t=1), "when": CHOICE["condition"]}, "b": put(x="{{ t }}")},
        ("a -> b",),
        "`a` is skipped when its `when` is false",
    ),
    "timeout": (
        {
            "w": {"type": "wait", "config": {"event": "go", "timeout_seconds": 5}},
            "a": put(t=1),
            "b": put(x="{{ t }}"),
        },
        ("w -> a", "w -timeout-> b", "a -> b"),
        "`a` does not run when `w` times out",
    ),
    "failure": (
        {"get": GET, "a": put(t=1), "b": put(x="{{ t }}")},
        ("get -> a", "get -error-> b", "a -> b"),
        "`a` does not run when `get` fails",
    ),
    "path of a body": (
        {
            "each": {"type": "loop", "collection": 3, "body": ["c"], "config": {"collect": "{{ steps.a.output }}"}},
            "c": CHOICE,
            "a": put(t=1),
        },
        ("c -true-> a",),
        "`a` does not run when `c` is false",
    ),
    "race": (
        {
            "p": {"type": "parallel", "branches": [["a"], ["b"]], "config": {"join": "any"}},
            "a": put(t=1),
            "b": put(u=1),
            "d": put(x="{{ t }}"),
        },
        ("p -> d",),
        "only `a` sets it",
    ),
}


@pytest.mark.parametrize("case", MAYBE)
def test_a_possible_mistake_is_a_warning_that_names_the_path(case: str) -> None:
    nodes, edges, message = MAYBE[case]

    found = find(nodes, f"trigger -> {next(iter(nodes))}", *edges)

    assert [(severity, code) for severity, code, _, _ in found] == [("warning", "maybe_missing")]
    assert message in found[0][2]


def test_what_is_never_there_is_a_warning_where_it_may_be_missing() -> None:
    nodes: Nodes = {
        "s": LISTED,
        "c": ask("steps.later.output.x", "is_not_empty"),
        "a": put(x="{{ who.email | default('none') }}", y="{{ who.phone? }}", z="{{ nmae | default(name) }}"),
        "later": put(x=1),
    }
    definition = {
        "name": "x",
        "trigger": {"type": "manual"},
        "nodes": [{"id": node_id, **node} for node_id, node in nodes.items()],
        "edges": [
            edge for line in ("trigger -> s", "s -> c", "c -true-> a", "a -> later") for edge in read_edges(line)
        ],
    }

    found = [(each.severity, each.code, each.message) for each in check(definition, registry=REGISTRY).problems]

    assert found == [
        ("warning", "unknown_variable", "1:4: variable 'nmae' is never set: it is null"),
        ("warning", "step_not_run", "1:1: 'later' cannot have run before this: it is null"),
        ("warning", "unknown_field", "1:4: `who` has no field 'email'"),
        ("warning", "unknown_field", "1:4: `who` has no field 'phone'"),
    ]


def test_a_condition_with_an_unknown_operator_has_its_field_and_value_checked() -> None:
    condition = {
        "type": "and",
        "conditions": [
            {"field": "who.mial", "operator": "equalz", "value": "{{ nmae | upper }}"},
            {"field": "steps.nope.output", "operator": "equals", "value": "{{ rows | upper }}"},
        ],
    }
    nodes = [{"id": "s", **LISTED}, {"id": "c", "type": "condition", "condition": condition}]
    edges = [*read_edges("trigger -> s"), *read_edges("s -> c")]

    problems = check({"name": "x", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}).problems

    assert [(each.code, each.path) for each in problems if each.severity == "error"] == [
        ("unknown_operator", "/nodes/1/condition/conditions/0/operator"),
        ("unknown_step", "/nodes/1/condition"),
        ("unknown_field", "/nodes/1/condition/conditions/0/field"),
        ("wrong_operand", "/nodes/1/condition/conditions/1/value"),
    ]
    assert [each.message for each in problems if each.severity == "warning"] == [
        "1:4: variable 'nmae' is never set: it is null"
    ]


def test_a_case_that_is_never_equal_is_a_warning() -> None:
    cases = {"a": "12", "b": 12, "c": {"value": 12}, "d": "{{ input.x }}", "e": {"field": "total", "value": 12}}
    switch = {"type": "switch", "config": {"value": "{{ total }}", "cases": cases}}

    found = find({"s": LISTED, "w": switch}, "trigger -> s", "s -> w")

    assert found == [
        (
            "warning",
            "never_holds",
            "the case is the text '12', the value is a number: they are never equal",
            "write it without quotes",
        ),
        ("warning", "never_holds", "the case is an object, the value is a number: they are never equal", None),
    ]


def test_the_input_of_a_called_workflow_matches_its_schema() -> None:
    schema = {
        "type": "object",
        "required": ["company", "plan"],
        "properties": {"company": {"type": "string"}, "plan": {"enum": ["basic", "team"]}, "seats": {"type": "number"}},
    }
    callee = {
        "id": "provision",
        "name": "Provision",
        "trigger": {"type": "manual"},
        "nodes": [{"id": "s", **put(x=1)}],
        "edges": read_edges("trigger -> s"),
        "settings": {"input_schema": schema},
    }

    def call(value: Any) -> list[str]:
        nodes: Nodes = {"s": LISTED, "q": {"type": "workflow", "config": {"workflow_id": "provision", "input": value}}}
        problems = check(
            {
                "name": "x",
                "trigger": {"type": "manual"},
                "nodes": [{"id": node_id, **node} for node_id, node in nodes.items()],
                "edges": [*read_edges("trigger -> s"), *read_edges("s -> q")],
            },
            registry=REGISTRY,
            workflows={"provision": callee},
        ).problems
        assert {(each.severity, each.code) for each in problems} <= {("error", "schema_mismatch")}
        return [f"{each.path.removeprefix('/nodes/1/config/input')} {each.message}" for each in problems]

    what = "the input of workflow 'provision'"
    assert call({"company": "{{ name }}", "plan": "team", "seats": "{{ input.seats }}"}) == []
    assert call({"company": "{{ total }}", "plan": "team"}) == [f"/company {what} takes text here, not a number"]
    assert call({"company": "{{ name }}"}) == [f" {what} requires the property 'plan'"]
    assert call("{{ rows }}") == [f" {what} takes an object here, not a list"]
    assert call({"company": "a", "plan": 3})[0].startswith(f"/plan {what} ")


SOUND: dict[str, tuple[Nodes, tuple[str, ...]]] = {
    "both paths set it": (
        {"c": CHOICE, "a": put(t=1), "b": put(t=2), "d": put(x="{{ t }}")},
        ("c -true-> a", "c -false-> b", "a -> d", "b -> d"),
    ),
    "default": (
        {"c": CHOICE, "a": put(t=1), "b": put(x="{{ t | default(1) }} {{ t ?? 2 }}", y="{{ t? }}")},
        ("c -true-> a", "c -false-> b", "a -> b"),
    ),
    "asked for before": (
        {"c": CHOICE, "a": put(t=1), "e": ask("t"), "b": put(x="{{ t }}")},
        ("c -true-> a", "c -false-> e", "a -> e", "e -true-> b"),
    ),
    "asked for its status": (
        {
            "c": CHOICE,
            "a": put(t=1),
            "e": ask("steps.a.status", "equals", "completed"),
            "b": put(x="{{ steps.a.output.t }}"),
        },
        ("c -true-> a", "c -false-> e", "a -> e", "e -true-> b"),
    ),
    "asked for in the same condition": (
        {
            "c": CHOICE,
            "a": put(t=1),
            "b": {
                "type": "condition",
                "condition": {
                    "type": "and",
                    "conditions": [
                        {"field": "t", "operator": "exists"},
                        {"field": "t", "operator": "greater_than", "value": 3},
                    ],
                },
            },
        },
        ("c -true-> a", "c -false-> b", "a -> b"),
    ),
    "asked for in `when`": (
        {
            "c": CHOICE,
            "a": put(t=1),
            "b": {**put(x="{{ t }}"), "when": {"expression": "{{ t and t > 3 }}"}},
        },
        ("c -true-> a", "c -false-> b", "a -> b"),
    ),
    "both targets of a port": ({"a": put(t=1), "b": put(u="{{ t }}")}, ("trigger -> b",)),
    "all branches": (
        {
            "p": {"type": "parallel", "branches": [["a"], ["b"]]},
            "a": put(t=1),
            "b": put(u=1),
            "d": put(x="{{ t + u }}"),
        },
        ("p -> d",),
    ),
    "every branch of a race": (
        {
            "p": {"type": "parallel", "branches": [["a"], ["b"]], "config": {"join": "any"}},
            "a": put(t=1),
            "b": put(t=2),
            "d": put(x="{{ t }}"),
        },
        ("p -> d",),
    ),
    "batches of items": (
        {"s": LISTED, "each": {**EACH_BATCH, "body": ["b"]}, "b": put(x="{{ item | map('name') | join(', ') }}")},
        ("s -> each",),
    ),
    "loop with items": (
        {"each": {"type": "loop", "collection": [1, 2], "body": ["a"]}, "a": put(t=1), "b": put(x="{{ t }}")},
        ("each -> b",),
    ),
    "cycle": (
        {"s": put(n=0), "a": put(n="{{ n + 1 }}"), "c": ask("n", "less_than", 3)},
        ("s -> a", "a -> c", "c -true-> a"),
    ),
    "unknown results": (
        {"get": GET, "a": put(x="{{ steps.get.output.body.items | upper }}", y="{{ input.a.b + 1 }}")},
        ("get -> a",),
    ),
    "skipped failure": (
        {
            "get": {**GET, "on_error": "skip"},
            "a": put(x="{{ steps.get.output.skipped }} {{ steps.get.output.status }}"),
        },
        ("get -> a",),
    ),
    "fallback": (
        {
            "get": {**GET, "on_error": {"fallback": {"status": 0}}, "outputs": ["status"]},
            "a": put(x="{{ status }} {{ steps.get.output.value.status }}"),
        },
        ("get -> a",),
    ),
    "computed name": ({"a": put(**{"{{ input.name }}": 1}), "b": put(x="{{ t }}")}, ("a -> b",)),
    "declared constant": ({"c": ask("mode", "equals", "production")}, ()),
    "computed default of a variable": (
        {"c": CHOICE, "a": put(t=1), "b": {**put(t=0), "when": {"field": "t", "operator": "equals", "value": None}}},
        ("c -true-> a", "c -false-> b", "a -> b"),
    ),
    "comparison with null": (
        {"c": CHOICE, "a": put(t=1), "b": put(x="{{ t != null }} {{ null == t }}")},
        ("c -true-> a", "c -false-> b", "a -> b"),
    ),
    "interval from the iteration before": (
        {
            "each": {
                "type": "loop",
                "collection": 3,
                "body": ["get"],
                "config": {"interval_seconds": "{{ steps.get.output.body.wait }}"},
            },
            "get": GET,
        },
        (),
    ),
    "condition on the iteration before": (
        {
            "each": {
                "type": "loop",
                "body": ["get"],
                "config": {
                    "while": {"field": "steps.get.output.body.done", "operator": "not_equals", "value": True},
                    "collect": "{{ steps.get.output.status }}",
                },
            },
            "get": GET,
        },
        (),
    ),
    "iterations that may fail": (
        {
            "s": put(state="ok"),
            "each": {"type": "loop", "collection": 2, "body": ["m"], "config": {"max_failures": "50%"}},
            "m": put(state="some_failed"),
            "stop": {"type": "end", "config": {"outcome": "failed"}},
            "c": ask("state", "equals", "some_failed"),
        },
        ("s -> each", "m -> stop", "each -> c"),
    ),
    "compensation of a result": (
        {
            "get": {
                **GET,
                "outputs": ["body"],
                "compensate": {
                    "action": "log.message",
                    "config": {"message": "{{ body.id }} {{ steps.get.output.status }}"},
                },
            },
        },
        (),
    ),
    "converted parameter": (
        {"s": put(m="post"), "get": {**GET, "config": {"url": "https://a.example", "method": "{{ m }}"}}},
        ("s -> get",),
    ),
    "date as text": ({"s": put(due="2026-01-31"), "c": ask("due", "before", "{{ now() }}")}, ("s -> c",)),
    "number in text": (
        {"s": put(n="12"), "a": put(x="{{ n | number }}"), "c": ask("n", "greater_than", 3)},
        ("s -> a", "a -> c"),
    ),
}


@pytest.mark.parametrize("case", SOUND)
def test_what_may_be_right_is_no_finding(case: str) -> None:
    nodes, edges = SOUND[case]

    assert find(nodes, f"trigger -> {next(iter(nodes))}", *edges, variables={"mode": "staging", "body": "none"}) == []


def test_odd_definitions_are_refused_and_nothing_breaks() -> None:
    switch = {"id": "s", "type": "switch", "config": {"value": "{{ input.k }}", "cases": [{"name": "a", "value": 1}]}}
    odd = {"type": [{"type": "string"}, "null"]}
    settings = {"input_schema": odd}

    problems = check({"name": "x", "trigger": {"type": "manual"}, "nodes": [switch], "settings": settings}).problems

    assert {problem.code for problem in problems if problem.severity == "error"} >= {"bad_schema", "missing_cases"}


def test_types_do_not_grow_without_bound() -> None:
    grow = dict.fromkeys("abcdefghij", "{{ t }}")
    loop = {"type": "loop", "collection": 3, "body": ["g"]}

    assert find({"each": loop, "g": put(t=grow)}, "trigger -> each", variables={"t": 0}) == []
    choice = {f"{side}{number}": put(t=grow) for side in "lr" for number in range(30)}
    edges = [f"{side}{number} -> {side}{number + 1}" for side in "lr" for number in range(29)]
    ends = ("c -true-> l0", "c -false-> r0", "l29 -> end", "r29 -> end")
    assert (
        find({"c": CHOICE, **choice, "end": put(x="{{ t }}")}, "trigger -> c", *edges, *ends, variables={"t": 0}) == []
    )


def test_a_declared_input_is_typed() -> None:
    schema = {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": {"$ref": "#/$defs/row"}}, "size": {"enum": ["s", "l"]}},
        "required": ["rows"],
        "additionalProperties": False,
        "$defs": {"row": {"type": "object", "properties": {"sku": {"type": "string"}}, "additionalProperties": False}},
    }
    nodes: Nodes = {
        "each": {"type": "loop", "collection": "{{ input.rows }}", "body": ["a"]},
        "a": put(x="{{ item.sku | upper }}", y="{{ item.price }}"),
        "c": ask("input.size", "equals", "xl"),
    }

    found = find(nodes, "trigger -> each", "each -> c", settings={"input_schema": schema})

    assert [message for _, _, message, _ in found] == [
        "1:4: `item` has no field 'price'",
        "`input.size` equals is never true: the field is never 'xl'",
    ]


def test_an_author_declares_what_an_action_returns() -> None:
    rows = {"type": "array", "items": {"type": "object", "properties": {"id": {}}, "additionalProperties": False}}
    schema = {"type": "object", "properties": {"body": {"type": "object", "properties": {"rows": rows}}}}
    nodes: Nodes = {
        "get": {**GET, "result_schema": schema},
        "a": put(x="{{ steps.get.output.body.rows | upper }}", y="{{ steps.get.output.body.rows[0].ids }}"),
        "b": put(z="{{ steps.get.output.body.rows | first }} {{ steps.get.output.status }}"),
    }

    found = find(nodes, "trigger -> get", "get -> a", "a -> b")

    assert [code for _, code, _, _ in found] == ["wrong_operand", "unknown_field"]


def test_a_called_workflow_returns_what_it_sets_or_what_its_end_says() -> None:
    def call(callee: Nodes, *callee_edges: str, **config: Any) -> list[str]:
        quote = {
            "id": "quote",
            "name": "Quote",
            "trigger": {"type": "manual"},
            "variables": {"declared": 1},
            "nodes": [{"id": node_id, **node} for node_id, node in callee.items()],
            "edges": [edge for line in callee_edges for edge in read_edges(line)],
        }
        out = "steps.q.output.output"
        nodes: Nodes = {
            "q": {"type": "workflow", "config": {"workflow_id": "quote", **config}},
            "a": put(x=f"{{{{ {out}.price | upper }}}} {{{{ {out}.name }}}} {{{{ {out}.prize }}}}"),
        }
        found = find(nodes, "trigger -> q", "q -> a", callees={"quote": quote})
        return [message.partition(": ")[2] for _, _, message, _ in found]

    prize = "`steps.q.output.output` has no field 'prize'"
    price = "`upper` takes text, not a list"
    name = "`steps.q.output.output` has no field 'name'"
    both: Nodes = {"c": CHOICE, "s": put(price=[1]), "n": put(name="a")}
    assert call({"s": put(price=[1], name="a")}, "trigger -> s") == [price, prize]
    assert call(both, "trigger -> c", "c -true-> s", "c -false-> n") == [price, prize]
    ending: Nodes = {"s": put(total=[1]), "e": {"type": "end", "config": {"output": {"price": "{{ total }}"}}}}
    assert call(ending, "trigger -> s", "s -> e") == [price, name, prize]
    assert call({"s": put(**{"{{ input.name }}": 1})}, "trigger -> s") == []
    assert call({"s": put(price=[1])}, "trigger -> s", wait=False) == []


def test_the_trigger_has_the_shape_of_its_type() -> None:
    def read(trigger: dict[str, Any], path: str) -> list[str]:
        return [
            message for _, _, message, _ in find({"a": put(x=f"{{{{ {path} }}}}")}, "trigger -> a", trigger=trigger)
        ]

    event = {"type": "event", "event": "order.paid"}
    hook = {"type": "webhook", "webhook_path": "x", "config": {"secret": "{{ secrets.hook }}"}}
    assert read(event, "trigger.data.total | upper") == []
    assert read(event, "trigger.body.total") == ["1:4: `trigger` has no field 'body'"]
    assert read(hook, "trigger.body.total") == []
    assert read(hook, "trigger.data") == ["1:4: `trigger` has no field 'data'"]
    assert read(hook, "trigger.method + 1") == [
        "1:19: `+` takes two numbers, two texts or two lists, not null or text and a number"
    ]
    schedule = {"type": "schedule", "cron": "0 3 * * *"}
    assert read(schedule, "trigger.scheduled_at | date") == []
    assert read(schedule, "trigger.time") == ["1:4: `trigger` has no field 'time'"]


def test_a_filter_reads_what_its_trigger_receives() -> None:
    def check_filter(field: str, *, webhook: bool = False, **config: Any) -> list[str]:
        trigger: dict[str, Any] = {"type": "event", "event": "order.paid"}
        if webhook:
            trigger = {"type": "webhook", "webhook_path": "x"}
        condition = {"field": field, "operator": "greater_than", "value": 3}
        found = find({"a": put(x=1)}, "trigger -> a", trigger={**trigger, "config": {"filter": condition, **config}})
        return [message for severity, _, message, _ in found if severity == "error"]

    total = {"type": "object", "properties": {"total": {"type": "number"}}, "additionalProperties": False}
    assert check_filter("data.total") == check_filter("trigger.data.total") == check_filter("name") == []
    assert check_filter("body.total") == ["1:1: the filter of a trigger of type event has no 'body'"]
    assert check_filter("trigger.body.total") == ["1:1: `trigger` has no field 'body'"]
    assert check_filter("body.total", webhook=True) == check_filter("headers.x", webhook=True) == []
    assert check_filter("data.total", webhook=True) == ["1:1: the filter of a trigger of type webhook has no 'data'"]
    assert check_filter("data.total", schema=total) == []
    assert check_filter("data.sum", schema=total) == ["1:1: `data` has no field 'sum'"]


def test_a_declared_result_must_be_a_schema() -> None:
    nodes = [{"id": "get", **GET, "result_schema": {"type": "objekt"}}]

    problems = check({"name": "x", "trigger": {"type": "manual"}, "nodes": nodes}, registry=REGISTRY).problems

    assert ("bad_schema", "/nodes/0/result_schema/type") in [(problem.code, problem.path) for problem in problems]


def test_examples_have_no_findings() -> None:
    findings = {
        path.stem: [each for each in check(load_example(path), registry=REGISTRY).problems if each.code in FINDINGS]
        for path in EXAMPLES
    }

    assert len(findings) > 10
    assert {name: found for name, found in findings.items() if found} == {}


GOLDEN: dict[str, tuple[str, ...]] = {
    "branches wait and sleep while another one works": ("`again` does not run when `ask` times out",),
    "a cycle with two entries runs": ("'n' may not be set: only `a` sets it",),
    "a value nested deeper than 200 levels fails the step": ("'x' may not be set: only `deeper` sets it",),
    "an iteration does not see the steps of the one before": ("`charge` does not run when `paid` is false",),
    "concurrent iterations do not see the steps of earlier ones": ("`charge` does not run when `paid` is false",),
    "an iteration does not see the steps of an inner loop of the one before": (
        "the loop `cells` may have no items",
        "'mark' cannot have run",
    ),
}
"""The golden cases that read what may be missing, on purpose."""


def test_golden_cases_have_no_findings_but_these() -> None:
    findings = {
        case.name.partition(": ")[2]: [problem.message for problem in problems if problem.code in FINDINGS]
        for case in load_cases()
        if "refused" not in case.expect and (problems := check(case.definition, workflows=case.workflows).problems)
    }
    found = {name: messages for name, messages in findings.items() if messages}

    assert {name: len(messages) for name, messages in found.items()} == {name: len(GOLDEN[name]) for name in GOLDEN}
    wrong = [
        (name, part)
        for name, parts in GOLDEN.items()
        for part, message in zip(parts, found[name], strict=True)
        if part not in message
    ]
    assert wrong == []


def test_every_pipe_function_and_operator_has_a_type() -> None:
    assert signatures.PIPES.keys() == PIPES.keys()
    assert signatures.FUNCTIONS.keys() == FUNCTIONS.keys()
    assert signatures.FIELDS.keys() <= OPERATORS.keys()
