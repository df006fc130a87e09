"""What an approval asks: the JSON Schema of an answer, from the form of its author."""

from collections.abc import Mapping
from typing import Any

DECISION = "approved"
"""The field of an answer that says yes or no."""
FIELD_TYPES = ("string", "number", "integer", "boolean")
"""Types of the fields of a form."""


def build_answer_schema(form: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of the answer to an approval: the decision, and the fields of its form."""
    fields = dict(form or {})
    properties, required = fields.get("properties"), fields.get("required")
    own = (
        {name: field for name, field in properties.items() if name != DECISION} if isinstance(properties, dict) else {}
    )
    names = [name for name in required if name != DECISION] if isinstance(required, list) else []
    decision = {"type": "boolean", "title": "Approved"}
    return {**fields, "type": "object", "required": [DECISION, *names], "properties": {DECISION: decision, **own}}
