"""`fmt`: even form, the same value, and the comments of YAML."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from orchestrator.cli.commands import app
from orchestrator.jsontools.json_format import WIDTH, format_json_document
from tests.cli.commands import invoke

EXAMPLES = Path(__file__).parents[2] / "examples"
UNEVEN = """\
# Orders of a day.
name:   Orders
nodes:
    - id: a   # the first
      config: {url: '{{ input.url }}', list: [ 1,2 ]}
    # between
    - id: b
      note: |
         kept
         as is
edges: []
"""
EVEN = """\
# Orders of a day.
name: Orders
nodes:
  - id: a     # the first
    config: {url: '{{ input.url }}', list: [1, 2]}
    # between
  - id: b
    note: |
      kept
      as is
edges: []
"""


def fmt(*args: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["fmt", *map(str, args)], input=stdin)


def test_yaml_is_formatted_with_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "orders.yaml"
    path.write_text(UNEVEN)
    path.chmod(0o640)
    first = fmt(path)

    assert (first.exit_code, first.stdout) == (0, f"{path}\n"), first.output
    assert path.read_text() == EVEN
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["orders.yaml"]
    assert (fmt(path).stdout, path.read_text()) == ("", EVEN)


def test_check_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "orders.yaml"
    path.write_text(UNEVEN)
    checked = fmt("--check", path)

    assert (checked.exit_code, checked.stdout, path.read_text()) == (1, f"{path}\n", UNEVEN)
    path.write_text(EVEN)
    assert fmt("--check", path).exit_code == 0


def test_stdin_is_formatted_to_stdout() -> None:
    assert fmt("-", stdin='{"name":"Orders","nodes":[]}').stdout == '{\n  "name": "Orders",\n  "nodes": []\n}\n'
    assert fmt("-", stdin=UNEVEN).stdout == EVEN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "orders.yaml:2:4: error: duplicate key"),
        ("a: !!set {}\n", "orders.yaml:1:4: error: tags such as"),
        ("a: [\n", "orders.yaml:"),
    ],
)
def test_a_file_with_an_error_is_left_as_it_is(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "orders.yaml"
    path.write_text(text)
    refused = fmt(path)

    assert (refused.exit_code, path.read_text()) == (2, text)
    assert message in refused.stderr


def test_the_examples_are_formatted() -> None:
    checked = fmt("--check", EXAMPLES)

    assert checked.exit_code == 0, checked.output


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=30,
)


@settings(max_examples=60)
@given(values)
def test_json_keeps_its_value_and_its_form(value: Any) -> None:
    text = format_json_document(value)

    assert json.loads(text) == value
    assert format_json_document(json.loads(text)) == text
    for line in text.splitlines():
        assert len(line) <= WIDTH or line.strip().count('"') > 0


@pytest.mark.parametrize("text", ["", "# only a comment\n"])
def test_an_empty_file_is_refused_and_stays(tmp_path: Path, text: str) -> None:
    """It became `null`."""
    file = tmp_path / "empty.yaml"
    file.write_text(text)
    done = invoke("fmt", str(file))

    assert (done.exit_code, "the file is empty" in done.stderr) == (2, True)
    assert file.read_text() == text
