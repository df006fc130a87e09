"""Generate docs/expressions.md from its template and the tables: `python -m docs.pages.expressions > docs/expressions.md`.

`<!-- name -->` in the template is replaced by the part of that name.
"""

import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.expressions import render
from orchestrator.jsontools import json_values
from orchestrator.language import (
    FUNCTIONS,
    PIPES,
    Env,
    compile_template,
    condition_reader,
    costs,
    lexer,
    parser,
    values,
)
from orchestrator.language.arithmetic import INFIX
from orchestrator.language.condition_reader import build_evidence, compile_condition
from orchestrator.language.date_formats import CODES
from orchestrator.language.evidence import MAX_EVIDENCE
from orchestrator.language.operators import MAX_PATTERN_LENGTH, OPERATORS, TAKES
from orchestrator.language.presets import OPERATORS_BY_TYPE, PRESETS
from orchestrator.planner.data_flow.signatures import PIPES as PIPE_TYPES

TEMPLATE = Path(__file__).with_suffix(".md")
NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
UUID = "6f1c2e0a-9d3b-4c58-8a77-2b1f0e4d5c66"
DATA: dict[str, Any] = {
    "input": {"name": "ann lee", "nick": "", "due": "2026-05-20T09:30:00Z"},
    "invoice": {"amount": 12500, "due_date": "2026-04-24", "status": "open"},
    "items": [{"name": "Pen", "total": 12.5}, {"name": "Ink", "total": 8}],
    "tags": ["new", "vip", "new"],
    "totals": [12.5, 8, 30],
    "total": 1234.5,
    "price": 2.675,
    "name": "Ann Lee",
    "nick": None,
    "csv": "a,b,c",
    "prices": {"Pen": 12.5, "Ink": 8},
}

SYNTAX = [
    "{{ invoice.amount }}",
    "{{ items[0].name }}",
    "{{ items[-1].name }}",
    '{{ invoice["due_date"] }}',
    "{{ invoice.nothing.here }}",
    '{{ "text" }}',
    "{{ -1.5 }}",
    "{{ true }}",
    '{{ [total, 1, "a"] }}',
    '{{ {"name": name, "total": 3} }}',
    "{{ days_until(input.due) }}",
    "{{ input.name | trim | title }}",
    '{{ tags | join("; ") }}',
    '{{ nick | default("none") }}',
    "{{ price * 2 + 1 }}",
    "{{ prices[items[0].name] }}",
    "{{ items }}",
    "Total {{ total }}, tags {{ tags }}, nick {{ nick }}.",
]

LIMITS = [
    (lexer.MAX_TEMPLATE_LENGTH, "characters in a template"),
    (parser.MAX_DEPTH, "nested calls, parentheses, lists and objects"),
    (parser.MAX_PARTS, "functions, pipes and operators in an expression"),
    (values.MAX_TEXT_LENGTH, "characters in the result of a template or a pipe"),
    (json_values.MAX_DEPTH, "levels of lists and objects in the result of a template"),
    (costs.VALUE_BUDGET, "units of work for one value or condition; a unit is about 10 ns, and each character of text, "
     "item of a list and comparison has its cost"),
    (condition_reader.MAX_DEPTH, "nested conditions"),
    (condition_reader.MAX_CONDITIONS, "conditions within one condition, itself included"),
    (MAX_PATTERN_LENGTH, "characters in a pattern"),
]  # fmt: skip

TRUE_ON_DATA: dict[str, tuple[str, Any]] = {
    "equals": ("invoice.due_date", "2026-04-24T00:00:00Z"),
    "not_equals": ("invoice.status", "paid"),
    "greater_than": ("invoice.amount", "10000"),
    "greater_than_or_equals": ("total", 1234.5),
    "less_than": ("price", 3),
    "less_than_or_equals": ("invoice.due_date", "2026-05-01"),
    "contains": ("tags", "vip"),
    "not_contains": ("invoice", "discount"),
    "starts_with": ("name", "Ann"),
    "ends_with": ("input.name", "lee"),
    "is_empty": ("input.nick", None),
    "is_not_empty": ("items", None),
    "in": ("invoice.status", ["open", "late"]),
    "not_in": ("{{ name | lower }}", ["bob"]),
    "matches": ("csv", "[a-z](,[a-z])*$"),
    "before": ("invoice.due_date", "{{ now() }}"),
    "after": ("input.due", "2026-05-01"),
    "between": ("input.due", ["2026-05-01", "{{ days_from_now(30) }}"]),
    "length_equals": ("items", 2),
    "length_greater_than": ("tags", 2),
    "length_less_than": ("csv", 10),
    "exists": ("nick", None),
    "not_exists": ("invoice.paid_at", None),
}
"""For each operator, a field and a value for which it is true."""


FILTERS = (
    '{{ items | filter("total", "greater_than", 10) | map("name") }}',
    '{{ tags | filter("", "not_equals", "vip") }}',
    '{{ items | filter("name", "in", ["Pen", "Cap"]) }}',
    '{{ items | filter("discount", "not_exists") | count }}',
    '{{ items | filter("total", "less_than", totals | first) }}',
)

CONDITION = {
    "type": "and",
    "conditions": [
        {"field": "invoice.amount", "operator": "greater_than", "value": 10000},
        {"field": "invoice.paid_at", "operator": "is_not_empty"},
    ],
}
"""The condition whose decision the page shows."""


def compute(template: str) -> Any:
    """Render a template with the data of the page."""
    return render(template, DATA, now=lambda: NOW, uuid=lambda: UUID)


def make_example(operator: str) -> dict[str, Any]:
    """Return the condition that the page shows for an operator."""
    field, value = TRUE_ON_DATA[operator]
    condition = {"field": field, "operator": operator, "value": value}
    return {key: part for key, part in condition.items() if part is not None}


def generate_page() -> str:
    """Return the whole page."""
    parts = {
        "data": _format_data(),
        "syntax": _format_table(("template", "result"), ((_code(text), _result(text)) for text in SYNTAX)),
        "infix": _describe_infix(),
        "date_codes": _format_table(("code", "is"), ((f"`%{code}`", what) for code, (what, _) in CODES.items())),
        "functions": _describe(FUNCTIONS.values()),
        "pipes": _describe_pipes(),
        "filters": _format_table(("template", "result"), ((_code(text), _result(text)) for text in FILTERS)),
        "operators": _describe_operators(),
        "types": _describe_types(),
        "presets": _describe_presets(),
        "evidence_bytes": f"{MAX_EVIDENCE:,}",
        "decision": _format_decision(),
        "limits": _format_table(("limit", "of"), ((f"{limit:,}", what) for limit, what in LIMITS)),
    }
    return re.sub(r"<!-- (\w+) -->", lambda match: parts[match.group(1)], TEMPLATE.read_text())


def _format_data() -> str:
    entries = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in DATA.items())
    return f"```json\n{{\n{entries}\n}}\n```"


def _format_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(heads)
    lines = [titles, ["---"] * len(titles), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """Format code for a table cell, where a bar must be escaped."""
    return f"`{text}`".replace("|", "\\|")


def _result(template: str) -> str:
    if compile_template(template).links:
        return "a link that the worker signs"
    return _code(json.dumps(compute(template), ensure_ascii=False))


def _describe(entries: Iterable[Any]) -> str:
    rows = (
        (_code(entry.signature), entry.description.replace("|", "\\|"), _code(entry.example), _result(entry.example))
        for entry in entries
    )
    return _format_table(("name", "description", "example", "result"), rows)


def _describe_pipes() -> str:
    rows = (
        (
            _code(pipe.signature),
            PIPE_TYPES[pipe.name].text,
            pipe.description.replace("|", "\\|"),
            _code(pipe.example),
            _result(pipe.example),
        )
        for pipe in PIPES.values()
    )
    return _format_table(("name", "type", "description", "example", "result"), rows)


def _describe_infix() -> str:
    rows = (
        (_code(f"a {each.symbol} b"), each.description, _code(each.example), _result(each.example))
        for each in INFIX.values()
    )
    return _format_table(("operator", "result", "example", "result of the example"), rows)


def _describe_operators() -> str:
    rows = (
        (
            _code(operator.name),
            operator.description,
            TAKES[operator.takes],
            _code(json.dumps(make_example(operator.name))),
        )
        for operator in OPERATORS.values()
    )
    return _format_table(("operator", "true when", "`value` is", "an example that is true for the data above"), rows)


def _describe_types() -> str:
    return _format_table(
        ("type", "operators"),
        (
            (kind, ", ".join(f"`{choice['value']}` ({choice['label']})" for choice in choices))
            for kind, choices in OPERATORS_BY_TYPE.items()
        ),
    )


def _describe_presets() -> str:
    rows = (
        (_code(preset.id), preset.name, preset.description, _code(json.dumps(preset.to_json()["condition"])))
        for preset in PRESETS.values()
    )
    return _format_table(("preset", "name", "true when", "condition"), rows)


def _format_decision() -> str:
    result, seen = compile_condition(CONDITION).decide(Env(DATA, lambda: NOW, lambda: UUID))
    return f"```json\n{json.dumps(build_evidence(seen, 'true' if result else 'false'), indent=2)}\n```"


if __name__ == "__main__":
    sys.stdout.write(generate_page())
