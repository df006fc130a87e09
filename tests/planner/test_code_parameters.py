"""Templates in parameters that are code: data from outside became SQL."""

from typing import Any

import pytest

from activities import load_builtin_registry
from orchestrator.planner.planner import check

QUERY = {"connection": "crm", "statement": "select :id", "parameters": {"id": "{{ input.id }}"}}


def find_severities(action: str, config: dict[str, Any], **node: Any) -> list[tuple[str, str]]:
    definition = {
        "name": "code",
        "trigger": {"type": "manual"},
        "nodes": [{"id": "a", "type": "action", "action": action, "config": config, **node}],
        "edges": [{"id": "e", "source": "trigger", "target": "a"}],
    }
    registry: Any = load_builtin_registry()
    problems = check(definition, registry=registry).problems
    return [(each.severity, each.path) for each in problems if each.code == "template_in_code"]


@pytest.mark.parametrize(
    ("action", "config", "found"),
    [
        ("sql.query", QUERY, []),
        (
            "sql.query",
            {**QUERY, "statement": "select '{{ input.id }}'"},
            [("error", "/nodes/0/config/statement")],
        ),
        ("sql.query", {**QUERY, "{{ input.name }}": "select 1"}, [("error", "/nodes/0/config/{{ input.name }}")]),
        ("data.transform", {"expression": "a", "data": "{{ input }}"}, []),
        ("data.transform", {"expression": "{{ input.a }}"}, [("warning", "/nodes/0/config/expression")]),
    ],
)
def test_templates_in_code(action: str, config: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert find_severities(action, config) == found


def test_templates_in_the_code_of_a_compensation() -> None:
    undo = {"action": "sql.query", "config": {**QUERY, "statement": "delete from {{ input.table }}"}}

    assert find_severities("log.message", {"message": "x"}, compensate=undo) == [
        ("error", "/nodes/0/compensate/config/statement")
    ]
