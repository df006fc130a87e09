"""Equal large values are written once, and reading gives back exactly what was written."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.interpreter.value_table import LITERAL, SHARED, ValuesTooLarge, ValueTable, load_lines

ROWS = [{"id": number, "name": "customer"} for number in range(1_000)]

NAMES = st.sampled_from(["a", "b", SHARED, LITERAL, "$"])
LARGE = st.sampled_from([ROWS, ROWS[:50], "x" * 2_000, [ROWS[:60], ROWS], {"rows": ROWS, "note": "y" * 1_500}])
SMALL = st.sampled_from([None, True, 0, 1, 1.0, "", "1", "h", [], {}, {SHARED: "h"}, {LITERAL: {SHARED: 1}}])
VALUES = st.recursive(
    LARGE | SMALL, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)


def write(value: Any) -> str:
    return ValueTable().dump(value)


@pytest.mark.thorough
@settings(max_examples=300)
@given(VALUES)
def test_reading_gives_what_was_written(value: Any) -> None:
    assert json.dumps(load_lines(write([value]))) == json.dumps([value])


def test_a_value_in_four_places_is_written_once() -> None:
    copies = [json.loads(json.dumps(ROWS)) for _ in range(4)]
    written = write({"context": {"rows": copies[0]}, "items": copies[1], "steps": [copies[2], [copies[3]]]})

    assert len(written) < len(json.dumps(ROWS)) + 500
    restored = load_lines(written)
    assert restored["items"] == ROWS
    assert restored["items"] is restored["context"]["rows"]


def test_a_part_of_a_shared_value_is_shared_too() -> None:
    part = ROWS[:100]
    written = write([{"part": part, "n": 1}, {"part": part, "n": 1}, part])

    assert len(written) < len(json.dumps(part)) + 500


def test_what_occurs_once_or_is_small_stays_in_its_place() -> None:
    value = {"rows": ROWS, "note": "x" * 1_000 + "!", "small": ["y" * 900, "y" * 900]}

    assert json.loads(write(value)) == value


def test_a_value_is_measured_once_however_often_it_occurs() -> None:
    table = ValueTable()
    size = len(json.dumps(ROWS, separators=(",", ":")))

    assert table.measure([ROWS, list(ROWS)]) == 2 * size + 3
    assert table.measure_new([ROWS, "x" * 2_000]) < 2_100
    with pytest.raises(ValuesTooLarge):
        ValueTable(max_bytes=2_000).measure(ROWS)


def test_deep_values_are_hashed_in_linear_time() -> None:
    """Each level has its own digest; writing all of them out would take 200 times the size."""
    value: Any = ROWS
    for _ in range(200):
        value = [value, 1]

    assert load_lines(write([value, value])) == [value, value]
