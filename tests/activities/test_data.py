"""`data.transform` reshapes data."""

from typing import Any

import pytest

from tests.activities.conftest import Caller


@pytest.mark.parametrize(
    ("expression", "data", "result"),
    [
        ("a[*].b", {"a": [{"b": 1}, {"b": 2}]}, [1, 2]),
        ("length(@)", [1, 2, 3], 3),
        ("missing", {}, None),
        ("{n: a, m: b}", {"a": 1, "b": 2}, {"n": 1, "m": 2}),
    ],
)
async def test_data_is_reshaped(call: Caller, expression: str, data: Any, result: Any) -> None:
    assert await call("data.transform", {"expression": expression, "data": data}) == {"result": result}


@pytest.mark.parametrize("expression", ["a[", "nothing(@)", "length(`5`)"])
async def test_an_invalid_expression_is_not_retried(call: Caller, expression: str) -> None:
    failure = await call.failure("data.transform", {"expression": expression})

    assert failure.type == "execution_error"
    assert failure.non_retryable
