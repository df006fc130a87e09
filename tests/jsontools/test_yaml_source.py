"""YAML 1.2 as JSON values: the core schema, positions, and what is refused."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from orchestrator.errors import Problem
from orchestrator.jsontools.documents import parse_document
from orchestrator.jsontools.positions import Position
from orchestrator.jsontools.source import JsonSyntaxError, parse_json
from orchestrator.jsontools.yaml_source import MAX_EXPANDED, YamlSyntaxError, parse_yaml

quick = settings(max_examples=100)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing yet\n", None),
        ("a: no", {"a": "no"}),
        ("[yes, on, off, y, n, No]", ["yes", "on", "off", "y", "n", "No"]),
        ("[true, True, FALSE, null, Null, ~, '']", [True, True, False, None, None, None, ""]),
        ("a:\nb:", {"a": None, "b": None}),
        ("[1, -2, +3, 0, 0x1F, 0o17]", [1, -2, 3, 0, 31, 15]),
        ("[1.5, -.5, 5., 1e3, 1E-2, 0.10]", [1.5, -0.5, 5.0, 1000.0, 0.01, 0.1]),
        ("[2026-03-01, 2026-03-01T08:00:00Z, '12:30', 12:30:45]", ["2026-03-01", "2026-03-01T08:00:00Z", "12:30",
                                                                  "12:30:45"]),
        ("[1_000, 1.2.3, -, .x, '01']", ["1_000", "1.2.3", "-", ".x", "01"]),
        ("'1': a\n2: b\ntrue: c\nno: d\nnull: e", {"1": "a", "2": "b", "true": "c", "no": "d", "null": "e"}),
        ('{"a": 1, "b": [true, {"c": "d"}]}', {"a": 1, "b": [True, {"c": "d"}]}),
        ("a: |\n  one\n  two\nb: >-\n  one\n  two\n", {"a": "one\ntwo\n", "b": "one two"}),
        ('a: "x\\u00e9\\ud83d\\ude00\\n"', {"a": "xé😀\n"}),
        ("a: &x [1, {b: 2}]\nc: *x\nd: &y text\ne: *y", {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": "text",
                                                         "e": "text"}),
        ("a: '{{ input.name }}'\nb: Dear {{ input.name }}!", {"a": "{{ input.name }}", "b": "Dear {{ input.name }}!"}),
        ("%YAML 1.1\n---\na: no\n", {"a": "no"}),
        ("---\na: 1\n...\n", {"a": 1}),
        ("a: 1 # note\n# end", {"a": 1}),
        ("'<<': {a: 1}", {"<<": {"a": 1}}),
    ],
    ids=lambda part: repr(part)[:30],
)  # fmt: skip
def test_yaml_is_read_as_json_by_the_core_schema(text: str, value: Any) -> None:
    read = parse_yaml(text).value

    assert json.dumps(read) == json.dumps(value)


@pytest.mark.parametrize(
    ("text", "where", "message", "hint"),
    [
        ("url: {{ input.url }}", "1:7", "a key must be text", 'put quotes around templates: "{{ input.name }}"'),
        ("url: {{ a }}/x", "1:7", "a key must be text", "put quotes around templates"),
        ("a: b: c", "1:5", "mapping values are not allowed here", "put quotes around text that contains `: `"),
        ("a:\n\tb: 1", "2:1", "found character '\\t' that cannot start any token", "indent with spaces"),
        ("a: x\n b: 2", "2:3", "mapping values are not allowed here", "put quotes"),
        ("- a\n- b: 1\n c: 2", "3:2", "expected <block end>", "indent the entries"),
        ("a: 'x", "1:4", "found unexpected end of stream", "close the quote"),
        ("a: @b", "1:4", "found character '@'", "put quotes around text that begins with @"),
        ("a: *y", "1:4", "undefined alias *y", "put quotes around text that begins with *"),
        ("a: &x [*x]", "1:8", "the alias *x is inside its own anchor", None),
        ("*x : 1", "1:1", "an alias cannot be a key", None),
        ("&x a: 1", "1:1", "a key cannot have an anchor", "put quotes around text that begins with &"),
        ("b: {x: 1}\na:\n  <<: {c: 1}", "3:3", "merge keys (`<<`) are not supported", "write the keys out"),
        ("a: !!str 1", "1:4", "tags such as tag:yaml.org,2002:str are not supported", "leave the tag out"),
        ("a: !!python/object:os.system {}", "1:4", "tags such as", None),
        ("a: !important", "1:4", "tags such as !important are not supported", "put quotes around text"),
        ("a: ! 1", "1:4", "tags such as", None),
        ("!!map {a: 1}", "1:1", "tags such as", None),
        ("a: 007", "1:4", "the number 007 begins with 0", "put quotes around it to keep it as text"),
        ("a: .nan", "1:4", ".nan is not a JSON value", "put quotes"),
        ("a: -.inf", "1:4", "-.inf is not a JSON value", "put quotes"),
        ("a: 1e999", "1:4", "a number is too large", None),
        ("a: " + "9" * 500, "1:4", "a number is too large", None),
        ("? [a]\n: 1", "1:3", "a key must be text", "write `key: value`"),
        ("---\na: 1\n---\nb: 2", "3:1", "there is a second document after `---`", "write one document in a file"),
        ('a: "\\ud800"', "1:4", "half of a surrogate pair is not a character", None),
        ("a: \x00", "1:4", "the text has a character that YAML does not allow", None),
    ],
    ids=lambda part: repr(part)[:30],
)
def test_what_json_does_not_have_is_refused_with_its_position(
    text: str, where: str, message: str, hint: str | None
) -> None:
    with pytest.raises(YamlSyntaxError) as caught:
        parse_yaml(text)

    assert caught.value.where == where
    assert caught.value.message.startswith(message)
    assert hint is None or (caught.value.hint or "").startswith(hint)


TEXT = """\
# orders
name: orders
nodes:
  - id: a  # first
    config: {x: [1, "{{ input.n }}"]}
  - &b
    id: b
    odd/key: 1
more: *b
"""


@pytest.mark.parametrize(
    ("pointer", "line", "column"),
    [
        ("", 2, 1),
        ("/name", 2, 7),
        ("/nodes", 4, 3),
        ("/nodes/0", 4, 5),
        ("/nodes/0/id", 4, 9),
        ("/nodes/0/config/x/1", 5, 21),
        ("/nodes/1/odd~1key", 8, 14),
        ("/nodes/1/gone/x", 6, 5),
        ("/more", 9, 7),
        ("/more/id", 7, 9),  # where the text is
    ],
)
def test_each_pointer_has_a_position(pointer: str, line: int, column: int) -> None:
    assert parse_yaml(TEXT).locate(pointer) == Position(line, column)


def test_a_duplicate_key_is_a_problem_and_the_last_value_counts() -> None:
    source = parse_yaml("a:\n  - b: 1\n    c: 2\n    b: 3\n")

    assert source.value == {"a": [{"b": 3, "c": 2}]}
    assert source.repeated == "b"
    assert source.find_duplicates() == [
        Problem(
            "error",
            "duplicate_key",
            "/a/0/b",
            "duplicate key; the first one is in line 2",
            "remove one of them; only the last one would be used",
        )
    ]


def test_aliases_are_counted_by_what_they_expand_to() -> None:
    # Each line holds ten times the values of the one before: a billion of them from 500 characters.
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(YamlSyntaxError, match="aliases expand to more than 1,000,000 values") as caught:
        parse_yaml("\n".join(lines))
    assert (caught.value.where or "").startswith("6:")

    long = f"a: &a {'x' * 10_000}\nb: [{', '.join(['*a'] * (MAX_EXPANDED // 10_000))}]"
    with pytest.raises(YamlSyntaxError, match="aliases expand"):
        parse_yaml(long)


def nest_alias(levels: int) -> str:
    return f"a: &a {'[' * 150}{']' * 150}\nb: {'[' * levels}*a{']' * levels}"


def test_aliases_count_as_levels() -> None:
    assert parse_yaml(nest_alias(49)).value
    with pytest.raises(YamlSyntaxError, match="nested too deeply: the maximum is 200 levels"):
        parse_yaml(nest_alias(50))


@pytest.mark.thorough
@pytest.mark.parametrize("text", ["[" * 10_000, "{a: " * 20_000, "- " * 20_000, "? " * 20_000, "a: &a [" * 5_000])
def test_a_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(YamlSyntaxError):
        parse_yaml(text)


@pytest.mark.thorough
def test_large_text_takes_linear_time() -> None:
    def measure(nodes: int) -> float:
        text = "nodes:\n" + "".join(f"  - {{id: n{index}, config: {{x: 1}}}}\n" for index in range(nodes))
        started = time.process_time()
        parse_yaml(text)
        return time.process_time() - started

    assert measure(1_000) < 6 * measure(500) + 1


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
    | st.sampled_from(["no", "1", "0x1", "~", "true", "<<", "2026-01-01", "{{ a }}", "a: b", "- x", "#", "&a", "*a"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=6), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.thorough
@quick
@given(values)
def test_json_is_yaml(value: Any) -> None:
    text = json.dumps(value)

    assert json.dumps(parse_yaml(text).value) == json.dumps(parse_json(text).value)


@quick
@given(st.text(st.sampled_from(" \n-:?[]{},&*!|>%@`'\"#ab01.~<\t\\"), max_size=30) | st.text(max_size=30))
def test_any_text_is_read_or_refused_with_a_position_inside_it(text: str) -> None:
    position = Position(1, 1)
    try:
        json.dumps(parse_yaml(text).value, allow_nan=False).encode()
    except YamlSyntaxError as error:
        position = error.position

    assert 1 <= position.line <= text.count("\n") + 1
    assert position.column >= 1


@quick
@given(st.text(st.sampled_from(" \n-:[]{},'\"#ab01.~"), max_size=30))
def test_what_is_read_is_what_the_library_reads(text: str) -> None:
    try:
        mine = parse_yaml(text)
    except YamlSyntaxError:
        return
    library = YAML(typ="safe", pure=True)
    library.allow_duplicate_keys = True
    theirs = library.load(text)
    if mine.repeated is None and "~" not in text and ":" not in text:
        assert json.dumps(mine.value, default=str) == json.dumps(theirs, default=str)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("a.json", '{"a": 1}', {"a": 1}),
        ("a.yaml", "{a: no}", {"a": "no"}),
        ("a.yml", "a: no", {"a": "no"}),
        ("<stdin>", '{"a": 1}', {"a": 1}),
        ("<stdin>", "a: no", {"a": "no"}),
    ],
)
def test_the_name_or_the_first_character_says_what_a_text_is(name: str, text: str, value: Any) -> None:
    assert parse_document(text, name).value == value


@pytest.mark.parametrize(("name", "text"), [("a.json", "a: 1"), ("<stdin>", "{a: 1}")])
def test_json_is_read_strictly(name: str, text: str) -> None:
    with pytest.raises(JsonSyntaxError) as caught:
        parse_document(text, name)

    assert caught.value.code == "json_syntax"
