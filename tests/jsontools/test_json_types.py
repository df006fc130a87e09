"""Values and names are described in the words of JSON."""

from typing import Any

import pytest

from orchestrator.jsontools.json_types import describe_unknown, describe_value


@pytest.mark.parametrize(
    ("value", "description"),
    [
        ("queue", "'queue'"),
        (5, "5"),
        (1.5, "1.5"),
        (1e12, "1000000000000"),  # once 1000000000000.0
        (1e300, "a number"),
        (10**400, "a number"),
        (True, "true or false"),
        (None, "null"),
        (["skip"], "a list"),
    ],
)
def test_a_value_is_shown_as_its_author_wrote_it(value: Any, description: str) -> None:
    assert describe_value(value) == description


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("queue", "unknown policy 'queue'"),
        (["skip"], "the policy must be text, not a list"),  # once "unknown policy a list"
        (7, "the policy must be text, not a number"),
    ],
)
def test_a_name_that_is_not_text_is_not_called_unknown(name: Any, message: str) -> None:
    assert describe_unknown("policy", name) == message
