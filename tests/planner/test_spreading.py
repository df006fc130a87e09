"""Which loops run in batches, and what a batch is given."""

from typing import Any

import pytest

from orchestrator.interpreter.batches import select_context
from orchestrator.model.plan import BATCH_ITERATIONS, Loop, Spread
from orchestrator.planner.planner import check
from tests.golden import read_definition

WAIT = {"type": "wait", "config": {"event": "paid"}}
KEYED = {"type": "wait", "config": {"event": "paid", "key": "{{ item.id }}"}}
HOLDS = {"field": "item", "operator": "exists"}


def find_spread(body: dict[str, Any], **config: Any) -> Spread | None:
    nodes = {
        "each": {"type": "loop", "collection": "{{ input.rows }}", "body": ["a"], "config": config},
        "a": body,
        "after": {"type": "set", "config": {"seen": "{{ steps.a.status }}"}},
    }
    definition = read_definition({"nodes": nodes, "edges": ["trigger -> each", "each -> after"]}, "wide", "wide")
    plan = check(definition).require()
    loop = next(node for node in plan.scope.nodes if isinstance(node, Loop))
    return loop.spread


WORK = {"type": "action", "action": "work"}


@pytest.mark.parametrize(
    ("body", "config", "is_spread"),
    [
        (WORK, {}, False),
        (WORK, {"max_concurrency": 2}, True),
        (WORK, {"max_concurrency": 2, "break_when": HOLDS}, False),
        (WORK, {"max_concurrency": 2, "while": HOLDS}, False),
        (WAIT, {"max_concurrency": 2}, False),
        (KEYED, {"max_concurrency": 2}, True),
    ],
)
def test_concurrent_loops_are_spread_unless_one_iteration_decides_for_all(
    body: dict[str, Any], config: dict[str, Any], is_spread: bool
) -> None:
    assert (find_spread(body, **config) is not None) == is_spread


def test_a_batch_is_given_what_its_body_names_and_not_the_whole_collection() -> None:
    config = {"to": "{{ input.customer.mail }}", "name": "{{ input.customer.name }} {{ item.x }} {{ first[0].y }}"}
    spread = find_spread({**WORK, "config": config}, max_concurrency=2, collect="{{ other }} {{ item_index }}")

    assert spread == Spread(
        size=BATCH_ITERATIONS,
        paths=(("first",), ("input", "customer", "mail"), ("input", "customer", "name"), ("other",)),
        exports=("a",),
    )
    context = {
        "workflow": {}, "run": {}, "steps": {"b": 1}, "first": [1], "later": 2,
        "input": {"rows": [1, 2], "customer": {"mail": "a@example.com", "id": 7}},
    }  # fmt: skip
    assert select_context(context, spread.paths) == {
        "workflow": {}, "run": {}, "steps": {}, "first": [1], "input": {"customer": {"mail": "a@example.com"}}
    }  # fmt: skip


def test_a_path_inside_another_one_is_not_named_twice() -> None:
    body = {**WORK, "config": {"all": "{{ input }}", "one": "{{ input.customer }}"}}
    spread = find_spread(body, max_concurrency=2)

    assert spread is not None
    assert spread.paths == (("input",),)


def test_a_batch_has_steps_of_its_own_and_an_input_as_it_is() -> None:
    """An input that is named `steps` need not be an object."""
    body = {**WORK, "config": {"all": "{{ steps }}", "one": "{{ input.steps[0] }}"}}
    spread = find_spread(body, max_concurrency=2)
    context = {"workflow": {}, "run": {}, "steps": {"b": 1}, "input": {"steps": ["one"]}}

    assert spread is not None
    selected = select_context(context, spread.paths)
    assert (selected["steps"], selected["input"]) == ({"b": 1}, {"steps": ["one"]})
    assert selected["steps"] is not context["steps"]
