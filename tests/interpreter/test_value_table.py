"""Equal large values are written once, and reading gives back exactly what was written."""

import json
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.interpreter import value_table
from orchestrator.interpreter.value_table import JOINED, LITERAL, SHARED, ValuesTooLarge, ValueTable, load_lines

ROWS = [{"id": number, "name": "customer"} for number in range(1_000)]

NAMES = st.sampled_from(["a", "b", SHARED, LITERAL, JOINED, "$"])
LARGE = st.sampled_from([ROWS, ROWS[:50], "x" * 2_000, [ROWS[:60], ROWS], {"rows": ROWS, "note": "y" * 1_500}])
SMALL = st.sampled_from([None, True, 0, 1, 1.0, "", "1", "h", [], {}, {SHARED: "h"}, {LITERAL: {SHARED: 1}}])
VALUES = st.recursive(
    LARGE | SMALL, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)


def write(value: Any) -> str:
    return ValueTable().dump(value)


def take_out(value: Any, chunk_bytes: int = 2_500) -> tuple[str, list[Any]]:
    """Write a value with its long lists and texts in chunks; return the rest and the values of the chunks."""
    table = ValueTable(chunk_bytes=chunk_bytes)
    written = table.dump(value)
    return written, [*map(json.loads, table.chunks)]


@pytest.mark.thorough
@settings(max_examples=300)
@given(VALUES)
def test_reading_gives_what_was_written(value: Any) -> None:
    assert json.dumps(load_lines(write([value]))) == json.dumps([value])
    assert json.dumps(load_lines(*take_out([value]))) == json.dumps([value])


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


def test_a_list_that_grows_keeps_its_chunks() -> None:
    shorter, longer = take_out({"rows": ROWS[:300]}), take_out({"rows": ROWS})

    assert load_lines(*longer) == {"rows": ROWS}
    assert len(shorter[1]) == 3
    assert len(longer[1]) > 10
    assert longer[1][: len(shorter[1])] == shorter[1]
    assert len(longer[0]) < 4_000


@pytest.mark.parametrize("last", [9_000, 9_001, 9_063, 9_999])
def test_a_list_of_short_items_is_written_many_at_once_and_keeps_its_chunks(
    last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, millions of numbers would take longer than a workflow task may."""
    items = [[number, None, number / 7, f"n{number}"][number % 4] for number in range(10_000)]
    items[7_000] = "x" * 30_000
    shorter = take_out(items[:last], 20_000)
    monkeypatch.setattr(value_table, "_dump", dump := Mock(wraps=value_table._dump))
    longer = take_out(items, 20_000)

    assert load_lines(*longer) == items
    assert longer[1][: len(shorter[1])] == shorter[1]
    assert len(longer[1]) > 3
    assert dump.call_count < 1_000


def test_a_large_item_has_chunks_of_its_own() -> None:
    rows = [*ROWS[:100], {"rows": ROWS[:200], "note": "x" * 5_000}, *ROWS[100:200]]
    rest, chunks = take_out(rows)

    assert load_lines(rest, chunks) == rows
    assert "x" * 5_000 in chunks
    assert chunks[0] in take_out(ROWS)[1]
    assert len(rest) < 9_000


def test_a_value_that_looks_like_a_reference_is_read_from_a_chunk_as_it_was() -> None:
    rows = [[{SHARED: "c0"}, {JOINED: [[number]]} if number % 2 else {LITERAL: ["a", number]}] for number in range(300)]

    assert load_lines(*take_out(rows)) == rows


def test_a_large_value_in_many_rows_does_not_grow_with_them() -> None:
    """Chunks hold it once more in each row: above the limit of their bytes, rows are written as without chunks."""
    note = "x" * 2_400
    rows = [{"note": note, "number": number} for number in range(5_000)]
    rest, chunks = take_out(rows)

    assert load_lines(rest, chunks) == rows
    assert len(json.dumps(chunks)) < 9_000_000
    assert len(rest) < 200_000


def test_a_missing_chunk_is_an_error() -> None:
    rest, chunks = take_out(ROWS)

    with pytest.raises(ValueError, match="invalid reference"):
        load_lines(rest, chunks[:-1])
