"""`data.transform` reshapes data."""

import asyncio
import threading
import time
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

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


async def test_ordinary_work_is_within_the_budget(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.data.MAX_SECONDS", 600.0)  # the budget of work is what counts here
    items = [
        {"id": at, "name": f"item {at}", "tags": ["a", "b"], "price": {"net": at, "tax": 1}} for at in range(2_000)
    ]
    expression = (
        "[?price.net > `100`].{id: id, label: join('-', [name, tags[0]]), net: price.net} | sort_by(@, &net)[*].id"
    )

    result = await call("data.transform", {"expression": expression, "data": items})

    assert result["result"] == list(range(101, 2_000))


@pytest.mark.parametrize(
    ("expression", "data", "in_thread"),
    [
        ("{n: a}", {"a": 1}, False),
        ("length(@)", list(range(5_000)), True),
        ("[" + " " * 1_000 + "@]", 1, True),
        ("|".join(["[@,@]"] * 12) + "|length(@)", 1, True),  # 4,096 parts, written out
    ],
    ids=["small", "much data", "long", "large value"],
)
async def test_only_work_of_some_size_takes_a_thread(
    call: Caller, monkeypatch: pytest.MonkeyPatch, expression: str, data: Any, in_thread: bool
) -> None:
    names: set[str] = set()

    def record_thread(value: Any) -> Any:
        names.add(threading.current_thread().name)
        return value

    monkeypatch.setattr("activities.data._require_json", record_thread)
    monkeypatch.setattr("activities.data.MAX_SECONDS", 600.0)
    await call("data.transform", {"expression": expression, "data": data})

    assert [name.startswith("jmespath") for name in names] == [in_thread]


DOUBLED = "|".join(["[@,@]"] * 30)
ATTACKS = [
    DOUBLED,
    f"{DOUBLED}|to_string(@)",
    f"({DOUBLED}) == ({DOUBLED.replace(',', ' , ')})",
    "|".join(["[@,@][]"] * 40),
    "|".join(["join('',[@,@])"] * 60),
    "|".join(["{a:@,b:@}"] * 30),
    "@" + "[*][*]" * 200,
    "[*].[@,@][].[@,@][].[@,@][].[@,@][].[@,@][].[@,@][].[@,@][].[@,@][]",
    "sort_by([*].[@,@,@,@][].[@,@,@,@][].[@,@,@,@][].[@,@,@,@][], &to_string(@))",
    "(" * 4_000 + "@" + ")" * 4_000,
    "!" * 9_000 + "@",
]


@pytest.mark.thorough
@pytest.mark.parametrize("expression", ATTACKS, ids=range(len(ATTACKS)))
@pytest.mark.parametrize("data", ["x", [1, 2, 3], list(range(5_000))], ids=["text", "list", "long"])
async def test_no_expression_holds_the_worker_up(call: Caller, expression: str, data: Any) -> None:
    """125 characters took 39 seconds of the event loop, and all the memory there was.

    What counts is the CPU time of the loop's thread between two ticks, so a busy machine changes nothing.
    """
    started = time.process_time()
    longest = 0.0

    async def measure_lag() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.005)
            longest = max(longest, time.thread_time() - before)

    measuring = asyncio.create_task(measure_lag())
    try:
        await call("data.transform", {"expression": expression, "data": data}, seconds=1.0)
    except ApplicationError as failure:
        # The attempt has one second, less than the budget.
        assert failure.type in ("execution_error", "timeout_error")  # noqa: PT017 - a result is fine, too
    measuring.cancel()

    assert time.process_time() - started < 20
    assert longest < 2
