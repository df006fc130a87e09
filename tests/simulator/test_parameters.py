"""The simulator checks parameters as a worker does: a definition that passes here passes there."""

from typing import Any

import pytest

from activities import load_builtin_registry
from orchestrator.model.run import Run
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import simulate


def define(action: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "call",
        "trigger": {"type": "manual"},
        "nodes": [{"id": "a", "type": "action", "action": action, "config": config}],
        "edges": [{"id": "e", "source": "trigger", "target": "a"}],
    }


def run(action: str, config: dict[str, Any], run_input: Any = None) -> Run:
    registry: Any = load_builtin_registry()
    definition = define(action, config)
    assert [each for each in check(definition, registry=registry).problems if each.severity == "error"] == []
    return simulate(definition, input=run_input, actions={action: {"output": {}}}, registry=registry)


URL = "http://example.org/"


@pytest.mark.parametrize("value", [7, 2.5, True, "{{ input }}", "x"])
@pytest.mark.parametrize(
    ("action", "make"),
    [
        ("log.message", lambda value: {"message": value}),
        ("http.request", lambda value: {"url": URL, "headers": {"X-Tenant": value}}),
        ("http.request", lambda value: {"url": URL, "auth": {"username": value, "password": value}}),
        ("email.send", lambda value: {"to": ["ann@example.org"], "subject": value}),
    ],
)
def test_text_parameters_take_numbers_and_booleans(action: str, make: Any, value: Any) -> None:
    assert run(action, make(value), run_input=7).status == "completed"


@pytest.mark.parametrize(
    ("action", "config"),
    [
        ("log.message", {"message": "{{ input.list }}"}),
        ("http.request", {"url": URL, "headers": "{{ input.list }}"}),
        ("http.request", {"url": URL, "timeout_seconds": "{{ input.none | default('soon') }}"}),
        ("email.send", {"to": "{{ input.list }}"}),
    ],
)
def test_parameters_that_a_worker_would_refuse_fail_the_step(action: str, config: dict[str, Any]) -> None:
    result = run(action, config, run_input={"list": [{}]})

    assert result.failure is not None
    assert result.failure["error_type"] == "validation_error"
    assert result.steps[0].retry_count == 0


def test_secrets_are_not_checked() -> None:
    config = {"url": "{{ secrets.url }}", "auth": {"token": "{{ secrets.token }}"}}

    assert run("http.request", config).status == "completed"
