"""Positions in a JSON text, and the errors of invalid JSON."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.positions import MAX_REPEATS, Position
from orchestrator.jsontools.source import JsonSyntaxError, parse_json

EXAMPLE = Path(__file__).parents[2] / "examples" / "invoice_reminder.json"

TEXT = """{
  "name": "Größe",
  "nodes": [
    {"id": "a", "a/b": {"m~n": 1}},
    {"id": "b,}]", "list": [[], {}, "x\\"y"]}
  ]
}
"""


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ("", 1, 1),
        ("/name", 2, 11),
        ("/nodes", 3, 12),
        ("/nodes/0", 4, 5),
        ("/nodes/0/a~1b", 4, 24),
        ("/nodes/0/a~1b/m~0n", 4, 32),
        ("/nodes/1/id", 5, 12),
        ("/nodes/1/list/1", 5, 33),
        ("/nodes/1/list/2", 5, 37),
        ("/nodes/1/missing", 5, 5),
        ("/nodes/9/config/url", 3, 12),
        ("/nothing", 1, 1),
    ],
)
def test_a_pointer_has_a_line_and_a_column(path: str, line: int, column: int) -> None:
    assert parse_json(TEXT).locate(path) == Position(line, column)


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "shown"),
    [
        ("", 1, 1, "the text is empty", ""),
        ("  \n ", 1, 1, "the text is empty", "  "),
        ('{"a": 1,\n "b" 2}', 2, 6, "delimiter", ' "b" 2}'),
        ('{"a": 1,}', 1, 8, "after the last entry", '{"a": 1,}'),
        ('{"a": 1 // one\n}', 1, 9, "delimiter", '{"a": 1 // one'),
        ("{'a': 1}", 1, 2, "double quotes", "{'a': 1}"),
        ('{"a": NaN}', 1, 7, "NaN is not a JSON value", '{"a": NaN}'),
        ("[1]\n[2]", 2, 1, "extra data", "[2]"),
        ('["a\nb"]', 1, 4, "control character", '["a'),
        ('["ok",\n "\\ud83d"]', 2, 3, "surrogate", ' "\\ud83d"]'),
        ("[1,\r\n2e999]", 2, 1, "too large", "2e999]"),
        ("[" * 100_000, 1, 1, "nested too deeply", "[" * 100 + "…"),
    ],
)
def test_invalid_json_is_rejected_with_its_position(
    text: str, line: int, column: int, message: str, shown: str
) -> None:
    with pytest.raises(JsonSyntaxError) as refusal:
        parse_json(text)

    assert refusal.value.position == Position(line, column)
    assert refusal.value.line == shown
    assert message in refusal.value.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"a": 1 // one\n}', "JSON has no comments"),
        ('{"a": 1 # one\n}', "JSON has no comments"),
        ("{'a': 1}", "JSON uses double quotes for text"),
        ("{} {}", "a file contains a single JSON value"),
        ('{"a": [1,]}', "remove the comma"),
        ('{"a": tru}', None),
    ],
)
def test_common_mistakes_get_a_hint(text: str, hint: str | None) -> None:
    with pytest.raises(JsonSyntaxError) as refusal:
        parse_json(text)

    assert refusal.value.hint == hint


def test_a_number_of_five_thousand_digits_is_rejected() -> None:
    with pytest.raises(JsonSyntaxError) as refusal:
        parse_json("[1, " + "9" * 5000 + "]")

    assert refusal.value.position == Position(1, 5)


def test_a_duplicate_key_is_a_problem_at_its_second_position() -> None:
    source = parse_json('{\n"a": 1,\n"b": {"c": 1, "c": {"d": 1}},\n"a": {"c": 2}}')

    found = [(problem.path, problem.code, source.locate(problem.path).line) for problem in source.find_duplicates()]

    assert found == [("/b/c", "duplicate_key", 3), ("/a", "duplicate_key", 4)]
    assert source.value == {"a": {"c": 2}, "b": {"c": {"d": 1}}}


def test_the_same_key_in_different_objects_is_not_a_duplicate() -> None:
    assert parse_json('[{"a": 1}, {"a": {"a": 1}}]').find_duplicates() == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def list_paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[str, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(format_pointer(at), value), *(place for key, part in inner for place in list_paths(part, (*at, key)))]


@settings(max_examples=150)
@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_every_pointer_leads_to_its_value(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    source = parse_json(text)
    lines = text.split("\n")

    for path, part in list_paths(value):
        position = source.locate(path)
        rest = "\n".join([lines[position.line - 1][position.column - 1 :], *lines[position.line :]])
        assert json.JSONDecoder().raw_decode(rest)[0] == part


@pytest.mark.thorough
def test_a_large_text_is_located_in_well_under_a_second() -> None:
    nodes = json.loads(EXAMPLE.read_text())["nodes"] * 800
    source = parse_json(json.dumps({"nodes": nodes}, indent=1))

    assert source.locate(f"/nodes/{len(nodes) - 1}/position/y").line > 100_000


def test_a_duplicate_key_is_reported_once_and_hides_the_first_value() -> None:
    source = parse_json('{"a": {"x": 1}, "list": [0, {"b/c": 1, "b/c": 2}],\n"a": {"c": 2}}')

    assert [problem.path for problem in source.find_duplicates()] == ["/list/1/b~1c", "/a"]
    assert source.locate("/a/c") == Position(2, 12)
    assert source.locate("/a/x") == Position(2, 6), "what the second left out is nowhere: the nearest thing is /a"


@pytest.mark.parametrize("index", ["00", "-1", "²", "9" * 5000, "2"])
def test_an_invalid_index_leads_to_the_list(index: str) -> None:
    assert parse_json("[[1, 2]]").locate(f"/0/{index}") == Position(1, 2)


def test_a_long_key_over_a_long_list_takes_linear_memory() -> None:
    """An earlier version kept a pointer for each element: 424 MiB for these 60 kB."""
    source = parse_json('{"a": 1, "a": 1, "' + "k" * 20_000 + '": [' + "1," * 20_000 + "1]}")

    tracemalloc.start()
    assert len(source.find_duplicates()) == 1
    assert source.locate(f"/{'k' * 20_000}/20000").column > 60_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_the_number_of_reported_duplicate_keys_is_limited() -> None:
    assert len(parse_json("{" + '"a": 1, ' * 5_000 + '"a": 1}').find_duplicates()) == MAX_REPEATS


def test_a_number_that_is_too_large_is_found_behind_many_others() -> None:
    text = "[" + ",".join(["9" * 399] * 2_600) + ",1e999]"

    with pytest.raises(JsonSyntaxError) as refusal:
        parse_json(text)

    assert refusal.value.position == Position(1, len(text) - 5)


@pytest.mark.parametrize("text", ["[" * 201 + "]" * 201, '{"a": [' * 150 + "1" + "]}" * 150, "[" * 100_000])
def test_a_text_deeper_than_the_maximum_is_rejected_with_its_position(text: str) -> None:
    with pytest.raises(JsonSyntaxError, match="nested too deeply: the maximum is 200 levels") as refusal:
        parse_json(text, max_depth=200)

    opened = text[: refusal.value.position.column]
    assert (opened.count("[") + opened.count("{"), opened[-1] in "[{") == (201, True)


def test_a_text_at_the_maximum_depth_can_have_any_width() -> None:
    text = '{"a": ' * 200 + '"' + "[{" * 300 + '"' + "}" * 200

    assert parse_json(text, max_depth=200).text == text
    assert parse_json("[" + "[]," * 300 + "[[]]]", max_depth=3).repeated is None
