"""Write docs/expressions.md from the tables: `python -m docs.pages.expressions > docs/expressions.md`."""

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from orchestrator.expressions import render
from orchestrator.language import FUNCTIONS, PIPES, Env, condition_reader, env, lexer, parser, pipes, values
from orchestrator.language.condition_reader import TAKES, build_evidence, compile_condition
from orchestrator.language.evidence import MAX_EVIDENCE
from orchestrator.language.operators import MAX_PATTERN_LENGTH, OPERATORS
from orchestrator.language.presets import OPERATORS_BY_TYPE, PRESETS

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
}

INTRODUCTION = """\
# Expressions and conditions

<!-- Written by docs/pages/expressions.py from the tables in the code: change those, not this page. -->

Any string in a node's `config`, and in `collection`, `delay_*` and conditions, may be a **template**: text with
`{{ expressions }}` in it. A **condition** says which way to go. Both need nothing but Python to try:

```pycon
>>> from orchestrator.expressions import render
>>> from orchestrator.conditions import evaluate

>>> order = {"customer": {"name": "ann lee"}, "total": 1234.5, "tags": ["new", "vip"]}

>>> render("Dear {{ customer.name | title }}, you owe {{ total | currency }}.", order)
'Dear Ann Lee, you owe $1,234.50.'

>>> render({"amount": "{{ total }}", "labels": "{{ tags | sort }}"}, order)    # types are kept
{'amount': 1234.5, 'labels': ['new', 'vip']}

>>> evaluate({"field": "total", "operator": "greater_than", "value": 1000}, order)
True

```

Every example below is computed when this page is written, on this data and on Friday 2026-05-01, 12:30 UTC:
"""

SYNTAX = [
    "{{ invoice.amount }}",
    "{{ items[0].name }}",
    "{{ items[-1].name }}",
    '{{ invoice["due_date"] }}',
    "{{ invoice.nothing.here }}",
    '{{ "text" }}',
    "{{ -1.5 }}",
    "{{ true }}",
    "{{ days_until(input.due) }}",
    "{{ input.name | trim | title }}",
    '{{ tags | join("; ") }}',
    '{{ nick | default("none") }}',
    "{{ items }}",
    "Total {{ total }}, tags {{ tags }}, nick {{ nick }}.",
]

TEMPLATES = """
- A string that is **one single expression keeps the value's type**. In longer text, `null` becomes nothing;
  objects, lists and booleans become compact JSON; all else its text.
- Keys of objects may be templates too.
- A path reads objects by key and lists by place; `-1` is the last. What is missing is `null`. Nothing else can be
  reached: no attributes, no methods, no code.
- Text is written in `"…"` or `'…'`, with the escapes of JSON. Quotes may hold `{{` and `}}`.
- Pipes are applied from left to right. **A pipe that cannot take its value leaves it as it is** and puts a warning on
  the step; so does a function that is given something that is no date.
- Times are UTC and written as in RFC 3339 with `Z`. Text reads as a date when it is ISO 8601
  (`2026-05-01`, `2026-05-01T09:00`, `2026-05-01T09:00:00+02:00`); without a zone it is UTC. Weeks start on Monday.
- In a run, the clock and `uuid()` give the same when the run is replayed.

### Missing values

Without `strict`, what is missing is `null`. With `settings.strict`, a missing path is an `execution_error` that says
where and what was likely meant, unless it is marked, `{{ input.nick? }}`, or a `default` follows in its chain of
pipes.

### Secrets

`{{ secrets.api_key }}` stands in the parameters of actions only, alone or with pipes, and is filled in where the
action runs. Its value is in no history, log or answer. In one expression it cannot be mixed with other data;
`"Bearer {{ secrets.api_key }} of {{ input.name }}"` is fine. A condition that reads a secret is refused.
"""

SHAPES = """\
## Conditions

```json
{
  "type": "and",
  "conditions": [
    {"field": "invoice.amount", "operator": "greater_than", "value": 10000},
    {"type": "or", "conditions": [
      {"field": "invoice.status", "operator": "in", "value": ["open", "late"]},
      {"type": "not", "condition": {"field": "invoice.paid_at", "operator": "exists"}}
    ]},
    {"expression": "{{ is_overdue(invoice.due_date) }}"},
    {"preset": "invoice_high_value"}
  ]
}
```

| shape | holds when |
|---|---|
| `{"field", "operator", "value"}` | the operator says so (`equals` when none is given); may have `type: "simple"` |
| `{"type": "and", "conditions": […]}` | all do; the first that does not ends it |
| `{"type": "or", "conditions": […]}` | one does; the first that does ends it |
| `{"type": "not", "condition": {…}}` | that one does not |
| `{"expression": "{{ … }}"}` | the value is none of `null`, `false`, `0`, `""`, `[]`, `{}`; text needs `bool` |
| `{"preset": "…"}` | that [preset](#presets) does |

`field` is a path, `invoice.amount`, or a template, `{{ input.name | lower }}`. `value` may hold templates anywhere.
`id`, `name`, `label` and `description` may be added for people. Keys of another shape may stand there empty; a key
that looks misspelt is an error, one that nothing reads a warning.

### Operators

`equals`, `in` and `contains` compare as JSON does: `1` is `1.0`, but neither `"1"` nor `true`; two values that both
read as dates are compared as instants. `greater_than` and its like compare numbers, text that reads as a number
included, else dates. Text operators take a number by its text. What an operator cannot take makes it false, and its
negation true, with a warning on the step.
"""

MISSING = """
**A missing field reads as `null`**: `equals`, `in` and the two emptiness operators compare it as such; the other
positive operators are false, their negations true. Only `exists` and `not_exists` tell missing from `null`. With
`settings.strict` a missing field is an `execution_error` for all the others: mark it, `input.nick?`, where it may be
missing.

`between` takes two instants: for a whole last day, give the next day's start or `{{ end_of_day("2026-05-31") }}`.
`matches` takes [RE2](https://github.com/google/re2/wiki/Syntax) patterns, tried from the start of the text; end one
with `$` to have all of it. A bad pattern, an unknown operator and an unknown preset are found by `validate`, and are a
`condition_error` when they come out of the data.

### Operators by type of field

For builders (`GET /api/v1/conditions/operators?type=`), each with a label.
"""

PRESETS_READ = """
### Presets

A preset reads a variable by its name, `invoice` or `ticket`: a loop's `item_variable`, an output, or what a `set` node
took out of the input. Write `{"field": "input.invoice.amount", …}` instead where the data stands elsewhere.
"""

FILTER = """
### Filters

The pipe `filter` takes a condition as text, at most {text} characters: JSON, or a preset's name. Its fields are the
keys of each element, and `item` is the element itself; a preset sees each element as its subject. Nothing else of the
data can be seen from there.

```text
{{{{ items | filter('{{"field": "total", "operator": "greater_than", "value": 10}}') | map("name") }}}}  →  {filtered}
{{{{ invoices | filter("invoice_overdue") | count }}}}
```

### What a step shows

The step of a condition, a `switch`, a `when` or a `break_when` has a `decision`: what was compared, the values seen and
the port taken. It is cut to {bytes} bytes, long values first, then the earliest comparisons (`omitted` says how many).

```json
{decision}
```
"""

LIMITS = [
    (lexer.MAX_TEMPLATE_LENGTH, "characters in one template"),
    (parser.MAX_DEPTH, "calls inside each other"),
    (parser.MAX_PARTS, "functions and pipes in one expression"),
    (values.MAX_TEXT_LENGTH, "characters that one template or pipe makes"),
    (env.MAX_WORK, "characters and elements that all pipes of one template make; an element of a filter counts "
     f"{pipes.ELEMENT_WORK} and the length of the condition"),
    (pipes.MAX_FILTERS, "filters inside the conditions of filters"),
    (condition_reader.MAX_DEPTH, "conditions inside each other"),
    (condition_reader.MAX_CONDITIONS, "conditions in one"),
    (condition_reader.MAX_CONDITION_TEXT, "characters of a condition written as text"),
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
"""For each operator, a field and a value for which it is true on the data."""


def computed(template: str) -> Any:
    """Give what a template makes of the page's data."""
    return render(template, DATA, now=lambda: NOW, uuid=lambda: UUID)


def example(operator: str) -> dict[str, Any]:
    """Give the condition that the page shows for an operator."""
    field, value = TRUE_ON_DATA[operator]
    written = {"field": field, "operator": operator, "value": value}
    return {key: part for key, part in written.items() if part is not None}


def expressions_page() -> str:
    """Give the whole page."""
    parts = [
        INTRODUCTION,
        f"```json\n{_data()}\n```\n",
        "## Templates\n",
        _table(("template", "gives"), ((_code(text), _result(text)) for text in SYNTAX)),
        TEMPLATES,
        "## Functions\n",
        _described(FUNCTIONS.values()),
        "\n## Pipes\n",
        _described(PIPES.values()),
        "",
        SHAPES,
        _operators(),
        MISSING,
        _by_type(),
        PRESETS_READ,
        _presets(),
        _filters(),
        "## Bounds\n",
        "Hostile templates and conditions end in an error, not in a stuck worker.\n",
        _table(("at most", "of"), ((f"{most:,}", what) for most, what in LIMITS)),
        "",
    ]
    return "\n".join(parts)


def _data() -> str:
    entries = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in DATA.items())
    return f"{{\n{entries}\n}}"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(heads)
    lines = [titles, ["---"] * len(titles), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """Write code into a cell; a bar would end the cell."""
    return f"`{text}`".replace("|", "\\|")


def _result(template: str) -> str:
    return _code(json.dumps(computed(template), ensure_ascii=False))


def _described(entries: Iterable[Any]) -> str:
    rows = (
        (_code(entry.signature), entry.description.replace("|", "\\|"), _code(entry.example), _result(entry.example))
        for entry in entries
    )
    return _table(("name", "gives", "example", "is"), rows)


def _operators() -> str:
    rows = (
        (_code(operator.name), operator.description, TAKES[operator.takes], _code(json.dumps(example(operator.name))))
        for operator in OPERATORS.values()
    )
    return _table(("operator", "true when", "`value` is", "true on the data above"), rows)


def _by_type() -> str:
    return _table(
        ("type", "operators"),
        (
            (kind, ", ".join(f"`{choice['value']}` ({choice['label']})" for choice in choices))
            for kind, choices in OPERATORS_BY_TYPE.items()
        ),
    )


def _presets() -> str:
    rows = (
        (_code(preset.id), preset.name, preset.description, _code(json.dumps(preset.to_json()["condition"])))
        for preset in PRESETS.values()
    )
    return _table(("preset", "name", "holds when", "condition"), rows)


def _filters() -> str:
    template = """{{ items | filter('{"field": "total", "operator": "greater_than", "value": 10}') | map("name") }}"""
    condition = {
        "type": "and",
        "conditions": [
            {"field": "invoice.amount", "operator": "greater_than", "value": 10000},
            {"field": "invoice.paid_at", "operator": "is_not_empty"},
        ],
    }
    holds, seen = compile_condition(condition).decide(Env(DATA, lambda: NOW, lambda: UUID))
    shown = json.dumps(build_evidence(seen, "true" if holds else "false"), indent=2)
    return FILTER.format(
        text=f"{condition_reader.MAX_CONDITION_TEXT:,}",
        filtered=json.dumps(computed(template)),
        bytes=f"{MAX_EVIDENCE:,}",
        decision=shown,
    )


if __name__ == "__main__":
    sys.stdout.write(expressions_page())
