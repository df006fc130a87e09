"""Values from outside that decide where a request or a mail goes are warned about, with the path as witness."""

from itertools import pairwise
from typing import Annotated, Any

import pytest
from pydantic import Field

from activities import data, email, events, http, log, notify, sql
from activities.registry import TRUSTED, Registry, action, build_registry
from orchestrator.planner.planner import check
from tests.example_files import EXAMPLES, load_example
from tests.golden import read_edges

REGISTRY = build_registry([http, email, notify, data, log, events, sql])
HOOK = {"type": "webhook", "webhook_path": "hook", "config": {"secret": "{{ secrets.hook }}"}}
EVENT = {"type": "event", "event": "order.created"}
Nodes = dict[str, dict[str, Any]]


def call(action: str, **config: Any) -> dict[str, Any]:
    return {"type": "action", "action": action, "config": config}


def get(url: str) -> dict[str, Any]:
    return call("http.request", url=url)


def mail(to: Any, **more: Any) -> dict[str, Any]:
    return call("email.send", to=to, subject="Hello", text="Hello", **more)


def put(**values: Any) -> dict[str, Any]:
    return {"type": "set", "config": values}


def find(nodes: Nodes, *edges: str, registry: Registry = REGISTRY, **more: Any) -> list[tuple[str, str]]:
    """Return pointer and message of each finding, in a chain of nodes where there are no edges."""
    ids = ["trigger", *nodes]
    lines = edges or [f"{one} -> {other}" for one, other in pairwise(ids)]
    definition = {
        "name": "x",
        "trigger": HOOK,
        "nodes": [{"id": node_id, **node} for node_id, node in nodes.items()],
        "edges": [edge for line in lines for edge in read_edges(line)],
        **more,
    }
    problems = check(definition, registry=registry).problems
    assert [problem for problem in problems if problem.severity == "error"] == []
    return [(each.path, each.message) for each in problems if each.code == "from_outside"]


FOUND: dict[str, tuple[Nodes, str]] = {
    "the host of a webhook": (
        {"a": get("https://{{ trigger.body.host }}/orders")},
        "1:12: the host in `url` of http.request comes from outside: `trigger.body.host`",
    ),
    "a whole URL": ({"a": get("{{ trigger.query.url }}")}, "`trigger.query.url`"),
    "a part of the host": ({"a": get("https://{{ trigger.body.shop }}.example.com/")}, "`trigger.body.shop`"),
    "what follows a base without a slash": (
        {"a": get("{{ base }}{{ trigger.body.path }}")},
        "`trigger.body.path`",
    ),
    "through a variable and a pipe": (
        {"pick": put(target="{{ trigger.body.url | trim }}"), "a": get("{{ target }}/x")},
        "`trigger.body.url` → `target` (set by `pick`)",
    ),
    "through text, a step and an operator": (
        {"pick": put(t="//{{ trigger.body.host }}"), "a": get('{{ "https:" + steps.pick.output.t }}/')},
        "`trigger.body.host` → `steps.pick.output.t`",
    ),
    "an answer": (
        {"list": get("https://example.com/"), "a": get("{{ steps.list.output.body.next ?? base }}")},
        "`steps.list.output.body.next`",
    ),
    "an answer that a failure quotes": (
        {
            "list": {**get("https://example.com/"), "on_error": "skip"},
            "a": get("{{ steps.list.error.details.body }}/x"),
        },
        "`steps.list.error.details.body`",
    ),
    "an answer that the last of several failures quotes": (
        {
            "list": get("https://example.com/"),
            "a": get("https://{{ steps.list.error.details.last_error.details.body }}/"),
        },
        "`steps.list.error.details.last_error.details.body`",
    ),
    "the payload of a wait": (
        {"w": {"type": "wait", "config": {"event": "go"}}, "a": get("{{ steps.w.output.payload.url }}")},
        "`steps.w.output.payload.url`",
    ),
    "a notification": (
        {"a": call("notify.webhook", url="{{ trigger.body.url }}", text="x")},
        "the host in `url` of notify.webhook comes from outside: `trigger.body.url`",
    ),
    "the recipient of a mail": ({"a": mail("{{ trigger.body.mail }}")}, "`to` of email.send comes from outside"),
    "one of several recipients": ({"a": mail(["a@example.com", "{{ trigger.body.mail }}"])}, "`trigger.body.mail`"),
    "a part of an address": ({"a": mail("{{ trigger.body.name }}@example.com")}, "`trigger.body.name`"),
    "a copy": (
        {"a": mail("a@example.com", bcc="{{ trigger.body.mails | join(', ') }}")},
        "`bcc` of email.send comes from outside: `trigger.body.mails`",
    ),
    "an item of a loop": (
        {
            "each": {"type": "loop", "collection": "{{ trigger.body.people }}", "item_variable": "one", "body": ["a"]},
            "a": mail("{{ one.mail }}"),
        },
        "`trigger.body.people` → `one` of the loop `each`",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_value_from_outside_is_reported_with_its_path(name: str) -> None:
    nodes, message = FOUND[name]
    edges = ["trigger -> each"] if "each" in nodes else []
    edges = ["trigger -> list", "list -error-> a"] if "the last of several" in name else edges

    found = find(nodes, *edges, variables={"base": "https://example.com"})

    assert [message in each for _, each in found] == [True], found


SILENT: dict[str, Nodes] = {
    "the path of a URL": {"a": get("https://example.com/{{ trigger.body.path }}")},
    "the path after a variable": {"a": get("{{ base }}/orders/{{ trigger.body.id }}")},
    "the path after a variable in the host": {"a": get("https://{{ base }}/{{ trigger.body.id }}")},
    "query and body": {"a": call("http.request", url="https://example.com", query={"q": "{{ trigger.body.q }}"})},
    "the status of an answer": {
        "list": get("https://example.com/"),
        "a": get("https://{{ steps.list.output.status }}.example.com/"),
    },
    "the type of a failure": {
        "list": {**get("https://example.com/"), "on_error": "skip"},
        "a": get("https://{{ steps.list.error.error_type | default('x') }}.example.com/"),
    },
    "a number": {"a": get("https://{{ trigger.body.names | length }}.example.com/")},
    "a hash": {"a": get("https://{{ trigger.body.shop | string | hash('sha256') }}.example.com/")},
    "a value chosen from a table": {"a": get("{{ hosts[trigger.body.region] }}")},
    "the input": {"a": mail("{{ input.mail }}")},
    "the method of the request": {"a": get("https://{{ trigger.method }}.example.com/")},
    "subject and text of a mail": {
        "a": call("email.send", to="a@example.com", subject="{{ trigger.body.s }}", text="{{ trigger.body.t }}")
    },
    "the reply address": {"a": mail("a@example.com", reply_to="{{ trigger.body.mail }}")},
    "a variable that is set again": {
        "pick": put(target="{{ trigger.body.url }}"),
        "again": put(target="https://example.com"),
        "a": get("{{ target }}/"),
    },
    "a `when` that lists the values": {
        "a": {
            **get("https://{{ trigger.body.host }}/"),
            "when": {"field": "trigger.body.host", "operator": "in", "value": ["a.example.com", "b.example.com"]},
        }
    },
}


@pytest.mark.parametrize("name", SILENT)
def test_what_no_one_outside_decides_is_not_reported(name: str) -> None:
    variables = {"base": "https://example.com", "hosts": {"eu": "https://eu.example.com"}}

    assert find(SILENT[name], variables=variables) == []


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "trigger.data.region", "operator": "in", "value": [f"r{number}" for number in range(80)]},
        {"field": "trigger.data.region", "value": "eu"},
        {"expression": "{{ trigger.data.region == 'eu' or trigger.data.region == 'us' }}"},
    ],
)
def test_a_condition_that_lists_the_values_silences_it_where_it_holds(condition: dict[str, Any]) -> None:
    nodes: Nodes = {
        "known": {"type": "condition", "condition": condition},
        "yes": get("https://{{ trigger.data.region }}.example.com/"),
        "no": get("https://{{ trigger.data.region }}.example.com/"),
    }

    found = find(nodes, "trigger -> known", "known -true-> yes", "known -false-> no", trigger=EVENT)

    assert [path for path, _ in found] == ["/nodes/2/config/url"]


def test_a_schema_that_lists_the_values_silences_it() -> None:
    schema = {"type": "object", "properties": {"region": {"enum": ["eu", "us"]}, "shop": {"type": "string"}}}
    nodes: Nodes = {
        "region": get("https://{{ trigger.data.region }}.example.com/"),
        "shop": get("https://{{ trigger.data.shop }}.example.com/"),
    }

    found = find(nodes, trigger={**EVENT, "config": {"schema": schema}})

    assert [path for path, _ in found] == ["/nodes/1/config/url"]


def test_a_declared_result_comes_from_outside_all_the_same() -> None:
    schema = {"type": "object", "properties": {"body": {"type": "object", "properties": {"url": {"type": "string"}}}}}
    nodes: Nodes = {
        "list": {**get("https://example.com/"), "result_schema": schema},
        "a": get("{{ steps.list.output.body.url }}"),
    }

    assert len(find(nodes)) == 1


def test_what_a_called_workflow_returns_comes_from_outside_where_its_parts_do() -> None:
    callee = {
        "id": "look_up",
        "name": "Look up",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "list", **get("https://example.com/")},
            {"id": "end", "type": "end", "config": {"output": {"url": "{{ steps.list.output.body.url }}", "n": "x"}}},
        ],
        "edges": read_edges("trigger -> list") + read_edges("list -> end"),
    }
    definition = {
        "name": "x",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "ask", "type": "workflow", "config": {"workflow_id": "look_up"}},
            {"id": "a", **get("{{ steps.ask.output.output.url }}")},
            {"id": "b", **get("https://{{ steps.ask.output.output.n }}/")},
        ],
        "edges": [edge for line in ("trigger -> ask", "ask -> a", "a -> b") for edge in read_edges(line)],
    }

    problems = check(definition, registry=REGISTRY, workflows={"look_up": callee}).problems

    assert [(each.code, each.path) for each in problems] == [("from_outside", "/nodes/1/config/url")]


def test_an_action_of_ones_own_marks_what_must_be_trusted() -> None:
    @action("db.run")
    async def run_statement(statement: Annotated[str, Field(json_schema_extra=TRUSTED)], name: str) -> dict[str, Any]:
        """Run a statement."""
        return {}

    registry = build_registry([http])
    registry.add(vars(run_statement)["__orchestrator_action__"])
    nodes: Nodes = {"a": call("db.run", statement="SELECT {{ trigger.body.column }}", name="{{ trigger.body.name }}")}

    found = find(nodes, registry=registry)

    assert found == [
        ("/nodes/0/config/statement", "1:11: `statement` of db.run comes from outside: `trigger.body.column`")
    ]


LISTED = {
    "customer_onboarding": "`trigger.data.customer` → `customer` (set by `read_customer`)",
    "invoice_reminder": "`steps.load_invoices.output.body.invoices` → `invoice` of the loop `each_invoice`",
    "order_event": "`trigger.data.order` → `order` (set by `read_order`)",
}
"""The examples that write to whom an event or an answer names: that is what they are for."""


def test_examples_have_no_findings_but_these() -> None:
    found = {
        path.stem: [
            each.message
            for each in check(load_example(path), registry=REGISTRY).problems
            if each.code == "from_outside"
        ]
        for path in EXAMPLES
    }

    assert {
        name: messages[0].partition(": ")[2].partition(": ")[2] for name, messages in found.items() if messages
    } == LISTED
    assert all(len(messages) <= 1 for messages in found.values())
