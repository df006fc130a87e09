"""A result that cannot be stored fails its step, whatever worker returned it."""

from typing import Any

import pytest

from orchestrator.simulator.simulate import simulate


def nest(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(("levels", "status"), [(199, "completed"), (200, "failed"), (5_000, "failed")])
def test_a_result_nested_deeper_than_200_levels_fails_the_step(levels: int, status: str) -> None:
    calls = 0

    async def work(parameters: Any) -> Any:
        nonlocal calls
        calls += 1
        return {"a": nest(levels)}

    definition = {
        "name": "deep",
        "trigger": {"type": "manual"},
        "nodes": [{"id": "a", "type": "action", "action": "work"}],
        "edges": [{"id": "e", "source": "trigger", "target": "a"}],
    }
    run = simulate(definition, actions={"work": work})

    assert run.status == status
    assert calls == 1
    if run.failure is not None:
        assert (run.failure["error_type"], run.failure["recoverable"]) == ("action_error", False)
