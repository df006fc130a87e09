"""Data for condition builders: operators by field type, constructors, presets (SPEC §4)."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.language.operators import OPERATORS

FieldType = Literal["string", "number", "boolean", "date", "array"]

_EVERY = ("exists", "not_exists", "is_empty", "is_not_empty")
_BY_TYPE: dict[FieldType, tuple[str, ...]] = {
    "string": (
        "equals",
        "not_equals",
        "contains",
        "not_contains",
        "starts_with",
        "ends_with",
        "in",
        "not_in",
        "matches",
        "length_equals",
        "length_greater_than",
        "length_less_than",
    ),
    "number": (
        "equals",
        "not_equals",
        "greater_than",
        "greater_than_or_equals",
        "less_than",
        "less_than_or_equals",
        "in",
        "not_in",
    ),
    "boolean": ("equals", "not_equals"),
    "date": (
        "equals",
        "not_equals",
        "before",
        "after",
        "between",
        "greater_than",
        "greater_than_or_equals",
        "less_than",
        "less_than_or_equals",
    ),
    "array": (
        "contains",
        "not_contains",
        "equals",
        "not_equals",
        "length_equals",
        "length_greater_than",
        "length_less_than",
    ),
}

DATE_LABELS = {
    "greater_than": "is later than",
    "greater_than_or_equals": "is at or after",
    "less_than": "is earlier than",
    "less_than_or_equals": "is at or before",
}
"""Labels of comparisons for date fields."""


def _list_choices(kind: FieldType) -> tuple[dict[str, str], ...]:
    labels = DATE_LABELS if kind == "date" else {}
    return tuple(
        {"value": name, "label": labels.get(name, OPERATORS[name].label), "takes": OPERATORS[name].takes}
        for name in _BY_TYPE[kind] + _EVERY
    )


OPERATORS_BY_TYPE: dict[str, tuple[dict[str, str], ...]] = {kind: _list_choices(kind) for kind in _BY_TYPE}
"""For each field type, `{value, label, takes}` of its operators, in the order of display."""


def simple(field: str, operator: str = "equals", value: Any = None) -> dict[str, Any]:
    """Return a condition on one field."""
    return {"type": "simple", "field": field, "operator": operator, "value": value}


def and_(*conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a condition that is true if all of these are."""
    return {"type": "and", "conditions": [dict(condition) for condition in conditions]}


def or_(*conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a condition that is true if one of these is."""
    return {"type": "or", "conditions": [dict(condition) for condition in conditions]}


def not_(condition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a condition that is true if this one is false."""
    return {"type": "not", "condition": dict(condition)}


@dataclass(frozen=True, slots=True)
class Preset:
    """A predefined condition."""

    id: str
    name: str
    description: str
    subject: str
    """The variable that it reads."""
    condition: Mapping[str, Any]
    """Read-only; `to_json` returns a copy."""

    def to_json(self) -> dict[str, Any]:
        """Return the preset as a JSON object."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "subject": self.subject,
            "condition": deepcopy(dict(self.condition)),
        }


HIGH_VALUE = 10_000
NEAR_DAYS = 7

_TABLE = (
    Preset(
        "invoice_overdue",
        "Invoice overdue",
        "`invoice.due_date` has passed and `invoice.status` is not paid.",
        "invoice",
        and_(
            simple("{{ is_overdue(invoice.due_date) }}", "equals", True),
            simple("invoice.status?", "not_equals", "paid"),
        ),
    ),
    Preset(
        "invoice_high_value",
        "High value invoice",
        f"`invoice.amount` is over {HIGH_VALUE}.",
        "invoice",
        simple("invoice.amount", "greater_than", HIGH_VALUE),
    ),
    Preset(
        "customer_enterprise",
        "Enterprise customer",
        "`customer.tier` is enterprise.",
        "customer",
        simple("customer.tier", "equals", "enterprise"),
    ),
    Preset(
        "ticket_urgent",
        "Urgent ticket",
        "`ticket.priority` is urgent or high.",
        "ticket",
        simple("ticket.priority", "in", ["urgent", "high"]),
    ),
    Preset(
        "project_near_deadline",
        "Project near its deadline",
        f"`project.status` is not completed and `project.due_date` is before {NEAR_DAYS} days from now.",
        "project",
        and_(
            simple("project.status", "not_equals", "completed"),
            simple("project.due_date", "before", f"{{{{ days_from_now({NEAR_DAYS}) }}}}"),
        ),
    ),
    Preset(
        "payment_failed",
        "Payment failed",
        "`payment.status` is failed.",
        "payment",
        simple("payment.status", "equals", "failed"),
    ),
)
PRESETS: dict[str, Preset] = {preset.id: preset for preset in _TABLE}
