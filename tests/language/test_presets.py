"""Data for condition builders: operators by field type, constructors, and presets on typical data."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.conditions import evaluate
from orchestrator.language.condition_reader import find_problems
from orchestrator.language.operators import OPERATORS
from orchestrator.language.presets import OPERATORS_BY_TYPE, PRESETS, and_, not_, or_, simple

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("preset", "context", "expected"),
    [
        ("invoice_overdue", {"invoice": {"due_date": "2026-04-30", "status": "open"}}, True),
        ("invoice_overdue", {"invoice": {"due_date": "2026-04-30"}}, True),
        ("invoice_overdue", {"invoice": {"due_date": "2026-05-01T11:59:00Z"}}, True),
        ("invoice_overdue", {"invoice": {"due_date": "2026-05-01"}}, False),  # all of today is left
        ("invoice_overdue", {"invoice": {"due_date": "2026-04-30", "status": "paid"}}, False),
        ("invoice_overdue", {"invoice": {"due_date": None}}, False),
        ("invoice_overdue", {}, False),
        ("invoice_high_value", {"invoice": {"amount": 10_001}}, True),
        ("invoice_high_value", {"invoice": {"amount": "10000.01"}}, True),
        ("invoice_high_value", {"invoice": {"amount": 10_000}}, False),
        ("customer_enterprise", {"customer": {"tier": "enterprise"}}, True),
        ("customer_enterprise", {"customer": {"tier": "free"}}, False),
        ("ticket_urgent", {"ticket": {"priority": "urgent"}}, True),
        ("ticket_urgent", {"ticket": {"priority": "high"}}, True),
        ("ticket_urgent", {"ticket": {"priority": "normal"}}, False),
        ("ticket_urgent", {"ticket": {}}, False),
        ("project_near_deadline", {"project": {"due_date": "2026-05-08T11:59:59Z", "status": "active"}}, True),
        ("project_near_deadline", {"project": {"due_date": "2026-05-08T12:00:00Z", "status": "active"}}, False),
        ("project_near_deadline", {"project": {"due_date": "2026-04-01", "status": "active"}}, True),
        ("project_near_deadline", {"project": {"due_date": "2026-05-02", "status": "completed"}}, False),
        ("payment_failed", {"payment": {"status": "failed"}}, True),
        ("payment_failed", {"payment": {"status": "settled"}}, False),
    ],
)
def test_a_preset_is_true_or_false(preset: str, context: dict[str, Any], expected: bool) -> None:
    assert evaluate({"preset": preset}, context, now=lambda: NOW) is expected


def test_every_preset_of_the_contract_is_complete_and_valid() -> None:
    named = "invoice_overdue invoice_high_value customer_enterprise ticket_urgent project_near_deadline payment_failed"

    assert " ".join(PRESETS) == named
    for preset in PRESETS.values():
        written = preset.to_json()
        assert sorted(written) == ["condition", "description", "id", "name", "subject"]
        assert all(written.values())
        assert f"`{preset.subject}." in preset.description
        assert find_problems(written["condition"], "") == []


def test_a_preset_returns_a_copy_of_its_condition() -> None:
    PRESETS["ticket_urgent"].to_json()["condition"]["value"].append("normal")

    assert PRESETS["ticket_urgent"].condition["value"] == ["urgent", "high"]


def test_each_type_of_field_has_operators_with_labels_that_exist() -> None:
    assert list(OPERATORS_BY_TYPE) == ["string", "number", "boolean", "date", "array"]
    for choices in OPERATORS_BY_TYPE.values():
        names = [choice["value"] for choice in choices]
        assert len(set(names)) == len(names)
        assert all(choice["label"] and choice["takes"] == OPERATORS[choice["value"]].takes for choice in choices)
    offered = {choice["value"] for choices in OPERATORS_BY_TYPE.values() for choice in choices}
    assert offered == set(OPERATORS)


@pytest.mark.parametrize(
    ("kind", "has", "lacks"),
    [
        ("string", "matches", "greater_than"),
        ("number", "less_than_or_equals", "contains"),
        ("boolean", "equals", "in"),
        ("date", "between", "starts_with"),
        ("array", "length_equals", "before"),
    ],
)
def test_a_field_type_offers_its_operators_only(kind: str, has: str, lacks: str) -> None:
    names = [choice["value"] for choice in OPERATORS_BY_TYPE[kind]]

    assert (has in names, lacks in names) == (True, False)


def test_comparisons_of_dates_have_labels_for_dates() -> None:
    labels = {choice["value"]: choice["label"] for choice in OPERATORS_BY_TYPE["date"]}

    assert labels["greater_than"] == "is later than"


def test_constructors_return_valid_conditions() -> None:
    condition = and_(
        simple("amount", "greater_than", 10),
        or_(simple("tier", value="gold"), not_(simple("note", "exists"))),
    )

    assert condition == {
        "type": "and",
        "conditions": [
            {"type": "simple", "field": "amount", "operator": "greater_than", "value": 10},
            {
                "type": "or",
                "conditions": [
                    {"type": "simple", "field": "tier", "operator": "equals", "value": "gold"},
                    {
                        "type": "not",
                        "condition": {"type": "simple", "field": "note", "operator": "exists", "value": None},
                    },
                ],
            },
        ],
    }
    assert find_problems(condition, "") == []
    assert evaluate(condition, {"amount": 11}) is True
    assert evaluate(condition, {"amount": 11, "note": ""}) is False
