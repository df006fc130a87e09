"""What an approval and its links need is checked when the definition is."""

from typing import Any

import pytest

from orchestrator.planner.planner import check
from tests.golden import read_definition

APPROVAL = {"title": "Buy it?", "assignees": ["ann@example.com"]}
LINK = '{{ approval_link("decision", "ann@example.com") }}'
AT = "/nodes/0/config/approval"


def find_problems(nodes: dict[str, Any], *edges: str) -> list[tuple[str, str]]:
    definition = read_definition({"nodes": nodes, "edges": list(edges)}, "a", "a")
    return [(problem.code, problem.path) for problem in check(definition).problems]


def check_config(**config: Any) -> list[tuple[str, str]]:
    return find_problems({"decision": {"type": "wait", "config": config}}, "trigger -> decision")


@pytest.mark.parametrize(
    ("approval", "expected"),
    [
        (APPROVAL, []),
        ({**APPROVAL, "assignees": "{{ input.managers }}"}, []),
        ({**APPROVAL, "form": {"properties": {"why": {"type": "string"}, "how": {"enum": [1, 2]}}}}, []),
        ({**APPROVAL, "reminder": {"every_seconds": 60, "action": "a", "config": {"to": "{{ assignee }}"}}}, []),
        ("Ann", [("bad_approval", AT)]),
        ({"assignees": ["ann"]}, [("bad_approval", f"{AT}/title")]),
        ({"title": "Buy it?"}, [("bad_approval", f"{AT}/assignees")]),
        ({**APPROVAL, "assignees": ["ann", 7]}, [("bad_approval", f"{AT}/assignees/1")]),
        ({**APPROVAL, "assignee": "ann"}, [("unknown_key", f"{AT}/assignee")]),
        ({**APPROVAL, "form": {"type": "array"}}, [("bad_approval", f"{AT}/form/type")]),
        (
            {**APPROVAL, "form": {"properties": {"lines": {"type": "array"}}}},
            [("bad_approval", f"{AT}/form/properties/lines")],
        ),
        (
            {**APPROVAL, "reminder": {"every_seconds": 0, "at_most": 0, "action": "a"}},
            [("bad_approval", f"{AT}/reminder/every_seconds"), ("bad_approval", f"{AT}/reminder/at_most")],
        ),
        ({**APPROVAL, "reminder": {"every_seconds": 60}}, [("missing_action", f"{AT}/reminder/action")]),
        (
            {**APPROVAL, "title": "{{ secrets.title }}"},
            [("secret_outside_action", f"{AT}/title")],
        ),
        ({**APPROVAL, "title": LINK}, [("secret_outside_action", f"{AT}/title")]),
    ],
)
def test_an_approval_is_checked(approval: Any, expected: list[tuple[str, str]]) -> None:
    assert check_config(approval=approval) == expected


def test_an_approval_has_a_form_instead_of_a_schema() -> None:
    assert check_config(approval=APPROVAL, schema={"type": "object"}) == [("bad_approval", "/nodes/0/config/schema")]


def test_only_a_reminder_knows_its_assignee() -> None:
    approval = {**APPROVAL, "title": "{{ assignee }}"}

    assert check_config(approval=approval) == [("unknown_variable", f"{AT}/title")]


DECISION = {"type": "wait", "config": {"approval": APPROVAL}}
ASK = {"type": "action", "action": "ask", "config": {"link": LINK}}


def test_a_link_may_be_sent_from_the_scope_of_its_approval_and_from_scopes_inside_it() -> None:
    nodes = {"each": {"type": "loop", "collection": 2, "body": ["ask"]}, "ask": ASK, "decision": DECISION}
    inside = {"each": {"type": "loop", "collection": 2, "body": ["ask"]}, "ask": ASK, "decision": DECISION}

    assert find_problems(nodes, "trigger -> each", "each -> decision") == []
    assert find_problems(inside, "trigger -> each", "ask -> decision", "decision -> each") == []


def test_a_link_names_an_approval_that_its_node_can_reach() -> None:
    loop = {"each": {"type": "loop", "collection": 2, "body": ["decision"]}, "ask": ASK, "decision": DECISION}
    no_approval = {"ask": ASK, "decision": {"type": "wait", "config": {"event": "go"}}}
    elsewhere = {"ask": {**ASK, "task_queue": "gpu"}, "decision": DECISION}

    assert find_problems(loop, "trigger -> ask", "ask -> each") == [("bad_link", "/nodes/1/config/link")]
    assert find_problems({"ask": ASK}, "trigger -> ask") == [("bad_link", "/nodes/0/config/link")]
    assert find_problems(no_approval, "trigger -> ask", "ask -> decision") == [("bad_link", "/nodes/0/config/link")]
    assert find_problems(elsewhere, "trigger -> ask", "ask -> decision") == [("bad_link", "/nodes/0/config/link")]


def test_the_parts_of_a_decision_are_known() -> None:
    nodes = {"decision": DECISION, "keep": {"type": "set", "config": {"x": "{{ steps.decision.output.who }}"}}}

    assert find_problems(nodes, "trigger -> decision", "decision -> keep") == [("unknown_field", "/nodes/1/config/x")]
