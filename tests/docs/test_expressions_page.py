"""docs/expressions.md says what the tables say, and what it shows is so."""

import doctest
import json
import re
from pathlib import Path

import pytest

from docs.pages.expressions import (
    DATA,
    FILTERS,
    LIMITS,
    NOW,
    SYNTAX,
    TRUE_ON_DATA,
    compute,
    generate_page,
    make_example,
)
from orchestrator.conditions import evaluate
from orchestrator.language import FUNCTIONS, PIPES
from orchestrator.language.arithmetic import INFIX
from orchestrator.language.condition_reader import find_problems
from orchestrator.language.date_formats import CODES
from orchestrator.language.operators import OPERATORS
from orchestrator.language.presets import OPERATORS_BY_TYPE, PRESETS

PAGE = Path(__file__).parents[2] / "docs" / "expressions.md"
TEXT = PAGE.read_text()
EXAMPLES = [
    entry.example for table in (FUNCTIONS, PIPES) for name, entry in table.items() if name != "approval_link"
]  # which only a worker renders


def test_the_page_is_the_one_that_the_tables_make() -> None:
    assert generate_page() == TEXT, "run: python -m docs.pages.expressions > docs/expressions.md"


def test_each_entry_of_the_tables_has_a_row() -> None:
    starts = [
        *(f"| `{function.signature}` |" for function in FUNCTIONS.values()),
        *(f"| `{pipe.signature}` |" for pipe in PIPES.values()),
        *(f"| `{operator}` |" for operator in OPERATORS),
        *(f"| `{preset}` |" for preset in PRESETS),
        *(f"| {kind} |" for kind in OPERATORS_BY_TYPE),
        *(f"| `a {symbol} b` |" for symbol in INFIX),
        *(f"| `%{code}` |" for code in CODES),
        *(f"| {most:,} |" for most, _ in LIMITS),
    ]

    assert [start for start in starts if f"\n{start}" not in TEXT] == []


def test_each_row_has_the_cells_of_its_table() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE)

    assert len(tables) == 11
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_the_session_at_the_top_runs_as_shown() -> None:
    session = "\n".join(re.findall(r"```pycon\n(.*?)```", TEXT, re.DOTALL))
    examples = doctest.DocTestParser().get_doctest(session, {}, "docs/expressions.md", None, None)
    results = doctest.DocTestRunner(verbose=False).run(examples)

    assert (results.attempted, results.failed) == (9, 0)


def test_the_data_of_the_page_is_the_data_of_its_examples() -> None:
    shown = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0]

    assert json.loads(shown) == DATA


def test_the_condition_of_the_page_is_valid_and_holds_on_its_data() -> None:
    condition = json.loads(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[1])

    assert find_problems(condition, "") == []
    assert evaluate(condition, DATA, now=lambda: NOW) is True


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_the_example_of_an_operator_is_true(operator: str) -> None:
    assert find_problems(make_example(operator), "") == []
    assert evaluate(make_example(operator), DATA, now=lambda: NOW) is True


def test_every_operator_has_an_example() -> None:
    assert set(TRUE_ON_DATA) == set(OPERATORS)


@pytest.mark.parametrize("template", EXAMPLES)
def test_the_example_of_a_function_or_pipe_shows_something(template: str) -> None:
    assert compute(template) not in (None, "", [])


def test_the_examples_of_syntax_have_their_results_beside_them() -> None:
    for template in (*SYNTAX, *FILTERS):
        result = json.dumps(compute(template), ensure_ascii=False)
        assert f"| `{template}` | `{result}` |" in TEXT.replace("\\|", "|")
