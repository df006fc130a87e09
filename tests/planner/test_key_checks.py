"""The business keys of a workflow are few, have plain names, and hold no secrets."""

from typing import Any

import pytest

from orchestrator.planner.planner import check
from tests.golden import read_definition


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"order": "{{ input.order_id }}", "shop": 7}, []),
        (None, []),
        (["order"], [("wrong_type", "/settings/keys")]),
        ({f"k{number}": "x" for number in range(9)}, [("out_of_bounds", "/settings/keys")]),
        ({"a b": "x"}, [("bad_name", "/settings/keys/a b")]),
        ({"order": {"a": 1}}, [("wrong_type", "/settings/keys/order")]),
        ({"order": "{{ input. }}"}, [("template_syntax", "/settings/keys/order")]),
        ({"order": "{{ secrets.key }}"}, [("secret_outside_action", "/settings/keys/order")]),
    ],
    ids=["valid", "none", "a list", "too many", "a bad name", "an object", "bad syntax", "a secret"],
)
def test_keys_are_checked(keys: Any, expected: list[tuple[str, str]]) -> None:
    nodes = {"a": {"type": "set", "config": {"x": 1}}}
    definition = read_definition({"nodes": nodes, "edges": ["trigger -> a"], "settings": {"keys": keys}}, "k", "k")

    assert [(each.code, each.path) for each in check(definition).problems] == expected
