"""Approval links stay parts of parameters until a worker signs them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.errors import EvaluationError, TemplateSyntaxError
from orchestrator.language import Env, compile_template, find_secret_names, map_links, render_parameters

NOW = datetime(2026, 5, 1, 12, 30, 15, tzinfo=UTC)


def render(parameters: Any, **context: Any) -> tuple[Any, dict[str, list[Any]]]:
    return render_parameters(parameters, Env(context, lambda: NOW, lambda: "u"))


def test_a_link_names_the_node_the_person_and_the_time() -> None:
    parameters, deferred = render(
        {"text": 'Decide: {{ approval_link("decision", boss) }}.', "to": "{{ boss }}"}, boss="ann"
    )

    link = {"node": "decision", "assignee": "ann", "made_at": "2026-05-01T12:30:15Z"}
    assert parameters == {"text": None, "to": "ann"}
    assert deferred == {"/text": ["Decide: ", {"approval_link": link}, "."]}
    assert find_secret_names(deferred) == []
    assert map_links(deferred, lambda each: each["assignee"]) == {"/text": ["Decide: ", "ann", "."]}


@pytest.mark.parametrize("boss", [None, "", True, ["ann"]])
def test_a_link_needs_a_person(boss: Any) -> None:
    with pytest.raises(EvaluationError, match="needs the name or the address of a person"):
        render({"text": '{{ approval_link("decision", boss) }}'}, boss=boss)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ('{{ approval_link("a", "ann") | upper }}', "has to be alone"),
        ('{{ [approval_link("a", "ann")] }}', "has to be alone"),
        ("{{ approval_link(node, 'ann') }}", "the ID of a `wait` node in quotes"),
        ('{{ approval_link("a", secrets.boss) }}', "a secret can contain only the secret and pipes"),
        ('{{ approval_link("a") }}', "takes 2 arguments"),
    ],
)
def test_a_link_is_alone_in_its_expression_and_names_its_node(template: str, message: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=message):
        compile_template(template)


def test_a_link_can_be_used_in_the_parameters_of_actions_only() -> None:
    template = compile_template('{{ approval_link("a", "ann") }}')

    with pytest.raises(EvaluationError, match="parameters of actions only"):
        template.render(Env({}, lambda: NOW, lambda: "u"))
