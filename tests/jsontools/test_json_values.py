"""Values of actions are held to what JSON can say."""

from typing import Any

import pytest

from orchestrator.jsontools.json_values import NotJson, normalize_json


@pytest.mark.parametrize(
    ("value", "normalized"),
    [
        ({1: "a", "b": 2}, {"1": "a", "b": 2}),
        ({"rows": [{None: 1, True: 2, 1.5: 3}]}, {"rows": [{"null": 1, "true": 2, "1.5": 3}]}),
        (({2: "\ud800"},), [{"2": "\ufffd"}]),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_keys_become_text(value: Any, normalized: Any) -> None:
    """Temporal's converter sorts keys: mixed ones failed it after the action had done its work, which was repeated."""
    assert normalize_json(value)[0] == normalized


def test_keys_that_json_cannot_write_are_refused() -> None:
    with pytest.raises(NotJson):
        normalize_json({(1, 2): "a"})
