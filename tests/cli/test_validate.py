"""`validate` and `graph`: every problem with its position, whatever the file is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from orchestrator.cli.commands import app
from orchestrator.cli.files import MAX_BYTES
from orchestrator.drawing.formats import Format
from tests.cli.commands import InProcess
from tests.cli.shell import Dev
from tests.cli.support import write_nodes

EXAMPLES = Path(__file__).parents[2] / "examples"
GOOD: dict[str, Any] = {
    "id": "hello",
    "name": "Hello",
    "trigger": {"type": "manual"},
    "nodes": [{"id": "greet", "type": "set", "config": {"greeting": "Hello {{ input.name }}"}}],
    "edges": [{"source": "trigger", "target": "greet"}],
}
OWN_ACTION = """
from pydantic import BaseModel
from activities.registry import action

class Text(BaseModel):
    text: str

@action("own.here")
async def own(parameters: Text) -> None: ...
"""
LOCALLY = ", checked with the actions of this environment"


def invoke(*args: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)


def write_definition(folder: Path, name: str, value: Any) -> Path:
    path = folder / name
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value, indent=2).encode())
    return path


def test_a_valid_file_exits_with_0(tmp_path: Path) -> None:
    result = invoke("validate", write_definition(tmp_path, "good.json", GOOD))

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"1 file valid{LOCALLY}\n")


def test_every_problem_has_its_line_and_column(tmp_path: Path) -> None:
    nodes = [
        {"id": "ask", "type": "action", "action": "http.reques", "config": {"url": "{{ input.url | uper }}"}},
        {"id": "ask", "type": "acton"},
    ]
    bad = write_definition(
        tmp_path, "bad.json", {**GOOD, "nodes": nodes, "edges": [{"source": "trigger", "target": "aks"}]}
    )
    result = invoke("validate", bad, write_definition(tmp_path, "good.json", GOOD))

    lines = result.stdout.splitlines()
    positions = {tuple(line.removeprefix(f"{bad}:").split(": ")[:2]) for line in lines}
    expected = {("18:15", "error unknown_type"), ("17:13", "error duplicate_id"), ("24:17", "error unknown_node")}

    assert result.exit_code == 2
    assert (
        f"{bad}:11:17: error unknown_action: there is no action 'http.reques' (did you mean `http.request`?)" in lines
    )
    assert expected <= positions
    assert lines == sorted(lines, key=lambda line: int(line.split(":")[1]))
    assert result.stderr.endswith(f"in 1 of 2 files{LOCALLY}\n")


def test_json_has_lines_and_pointers(tmp_path: Path) -> None:
    broken = {**GOOD, "nodes": [{"id": "a", "type": "nothing"}]}
    result = invoke("validate", "--json", write_definition(tmp_path, "a.json", broken), tmp_path / "none.json")
    first, second = json.loads(result.stdout)

    assert result.exit_code == 2
    assert (first["file"], first["valid"]) == (str(tmp_path / "a.json"), False)
    unknown = next(problem for problem in first["problems"] if problem["code"] == "unknown_type")
    assert (unknown["path"], unknown["line"], unknown["column"]) == ("/nodes/0/type", 10, 15)
    assert [problem["code"] for problem in second["problems"]] == ["bad_usage"]


def test_a_definition_on_stdin_is_read() -> None:
    result = invoke("validate", "-", stdin=b'{"name": "x"')

    assert result.exit_code == 2
    assert result.stdout.startswith("<stdin>:1:13: error json_syntax: ")


def test_a_duplicate_key_is_an_error_at_the_second(tmp_path: Path) -> None:
    text = json.dumps(GOOD)[:-1] + ',\n"name": "Other"}'
    result = invoke("validate", write_definition(tmp_path, "twice.json", text.encode()))

    assert result.exit_code == 2
    assert "twice.json:2:9: error duplicate_key: " in result.stdout


def test_a_workflow_node_can_call_the_other_definitions(tmp_path: Path) -> None:
    call = {"id": "call", "type": "workflow", "config": {"workflow_id": "hello"}}
    parent = write_definition(
        tmp_path,
        "parent.json",
        {**GOOD, "id": "parent", "nodes": [call], "edges": [{"source": "trigger", "target": "call"}]},
    )
    child = write_definition(tmp_path, "child.json", GOOD)

    assert invoke("validate", parent).exit_code == 2
    assert invoke("validate", parent, child).exit_code == 0
    assert invoke("validate", parent, "--with", child).exit_code == 0


def test_a_file_with_only_warnings_is_valid(tmp_path: Path) -> None:
    result = invoke("validate", write_definition(tmp_path, "odd.json", {**GOOD, "colour": "red"}))

    assert result.exit_code == 0
    assert ": warning unknown_key: unknown key 'colour'" in result.stdout
    assert result.stderr == f"1 file valid, 1 warning{LOCALLY}\n"


def test_the_examples_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HELPDESK_SIGNING_KEY", "CHAT_SIGNING_KEY", "TRAVEL_SITE_SIGNING_KEY"):
        monkeypatch.setenv(f"ORCHESTRATOR_SECRET_{name}", "k" * 32)
    count = len(list(EXAMPLES.glob("*.input.json")))
    result = invoke("validate", EXAMPLES)

    # Three of them write to whom an event or an answer names.
    assert result.stdout.count("warning from_outside") == 3
    assert (result.exit_code, result.stderr) == (0, f"{count} files valid, 3 warnings{LOCALLY}\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "error json_syntax: the text is empty"),
        (b"\xff\xfe\x00", "error bad_usage: the file is not UTF-8 (byte 0) (save the file as UTF-8)"),
        (b"[1, 2]", "error wrong_type: a definition must be an object, not a list"),
        (b'"text"', "error wrong_type"),
        (b"{}", "error missing_name"),
        (b'{"nodes": 7}', "error wrong_type"),
        (b"\xef\xbb\xbf[]", "error wrong_type"),
        (b"[" * 100_000, "error json_syntax: the text is nested too deeply"),
        (b'{"name": "' + b"x" * (MAX_BYTES) + b'"}', "error bad_usage: "),
    ],
    ids=["empty", "not UTF-8", "a list", "a text", "nothing in it", "wrong types", "a BOM", "deep", "huge"],
)
def test_a_file_that_is_not_a_definition_is_a_problem(tmp_path: Path, content: bytes, message: str) -> None:
    result = invoke("validate", write_definition(tmp_path, "odd.json", content))

    assert result.exit_code == 2
    assert message in result.stdout
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    "command", [("validate",), ("graph",), ("simulate",), ("test",)], ids=lambda command: command[0]
)
def test_a_file_that_cannot_be_read_is_bad_usage(command: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "workflow.json").write_text("{}")
    # It has no nodes, so it is not taken for a definition.
    missing = invoke(*command, tmp_path / "workfow.json")
    folder = invoke(*command, tmp_path)
    nowhere = invoke(*command, tmp_path / "none" / "a.json")
    odd = invoke(*command, "a\0b")

    assert [result.exit_code for result in (missing, folder, nowhere, odd)] == [2, 2, 2, 2]
    assert f"did you mean `{tmp_path / 'workflow.json'}`?" in missing.output
    takes_folders = command[0] in ("validate", "test")
    in_folder = f"there are no definitions in {tmp_path}" if takes_folders else f"{tmp_path} is a folder"
    assert in_folder in folder.output
    assert f"folder {tmp_path / 'none'} does not exist either" in nowhere.output


def test_broken_json_is_shown_with_its_line(tmp_path: Path) -> None:
    path = write_definition(tmp_path, "broken.json", b'{\n\t"name": "x",\n\t"nodes": [1, 2,]\n}\n')
    result = invoke("graph", path)

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{path}:3:16: error: trailing comma after the last entry",
        '    \t"nodes": [1, 2,]',
        "    \t              ^",
        "hint: remove the comma",
    ]


def test_a_graph_is_mermaid_text(tmp_path: Path) -> None:
    result = invoke("graph", write_definition(tmp_path, "good.json", GOOD))

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "flowchart TD",
        '    start(["manual"])',
        '    n1("greet<br/>greeting")',
        "    start --> n1",
    ]


def test_a_graph_is_drawn_in_the_formats_of_the_api(tmp_path: Path) -> None:
    path = write_definition(tmp_path, "good.json", GOOD)
    drawn = {each: invoke("graph", path, "--format", each) for each in get_args(Format)}

    assert {result.exit_code for result in drawn.values()} == {0}
    assert 'data-node="greet"' in drawn["svg"].stdout
    assert [box["id"] for box in json.loads(drawn["layout"].stdout)["boxes"]] == ["trigger", "greet"]
    assert invoke("graph", path, "--format", "png").exit_code == 2


def test_control_characters_in_a_name_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = write_definition(
        tmp_path, "odd.json", {**GOOD, "nodes": [{"id": "a\u001b[31m", "type": "\u001b]0;title\u0007"}]}
    )
    result = invoke("validate", path)

    assert "\u001b" not in result.output
    assert result.exit_code == 2


def test_a_folder_stands_for_its_definitions(tmp_path: Path) -> None:
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    right = write_definition(tmp_path, "right.json", GOOD)
    broken = write_definition(tmp_path / "sub", "broken.json", b"{")
    write_definition(tmp_path / "sub" / ".git", "hidden.json", b"{")
    write_definition(tmp_path, "right.input.json", b"{")
    write_definition(tmp_path, "right.tests.yaml", b"- {")
    write_definition(tmp_path, "right.actions.yml", b"{}")
    yaml = write_definition(tmp_path, "text.yaml", YAML)
    write_definition(tmp_path, "compose.yaml", b"services: {}")
    write_definition(tmp_path, "package.json", {"name": "not a definition"})
    result = invoke("validate", tmp_path, "--json")

    assert [(each["file"], each["valid"]) for each in json.loads(result.stdout)] == [
        (str(right), True),
        (str(broken), False),
        (str(yaml), True),
    ]


def test_ci_gets_annotations_and_a_junit_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    wrong = write_definition(tmp_path, "wrong.json", b'{\n"name": "50 %\\u0007", "nodes": []\n}')
    right = write_definition(tmp_path, "right.json", GOOD)
    report = tmp_path / "report.xml"
    result = invoke("validate", right, wrong, "--junit", report)
    suite = ElementTree.parse(report).getroot()[0]

    assert f"::error file={wrong},line=2,col=" in result.stdout
    assert ",title=no_nodes::error no_nodes: " in result.stdout
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", "1")
    assert [(case.attrib["name"], len(case)) for case in suite] == [(str(right), 0), (str(wrong), 1)]
    assert f"{wrong}:2:" in (suite[1][0].text or "")
    assert "::error" not in invoke("validate", wrong, "--no-github").stdout


@pytest.mark.temporal
def test_the_api_checks_with_its_own_actions_and_workflows(
    dev: Dev, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_actions_here.py").write_text(OWN_ACTION)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = write_nodes(tmp_path, {"id": "a", "type": "action", "action": "own.here", "config": {"text": "x"}})
    command = InProcess({**dev.env, "ORCHESTRATOR_ACTION_MODULES": "own_actions_here"})
    by_api, locally = command("validate", own), command("validate", own, "--local")
    explicit = InProcess({**dev.env, "ORCHESTRATOR_API_URL": "http://127.0.0.1:1"})("validate", own)

    assert (by_api.code, "there is no action 'own.here'" in by_api.out) == (2, True)
    assert "(own.here is known in this folder: start the API in it, or with the same ORC" in by_api.out
    assert by_api.err.endswith(f", checked by {dev.ready['api']}\n")
    assert (locally.code, locally.err) == (0, f"1 file valid{LOCALLY}\n")
    assert explicit.code == 3, "an API that was named is not replaced"


YAML = b"""\
# Greets whoever starts it.
id: hello
name: Hello
trigger: {type: manual}
nodes:
  - id: greet
    type: set
    config:
      greeting: "Hello {{ input.name }}"  # quoted, for its braces
edges:
  - {source: trigger, target: greet}
"""


def test_yaml_is_a_definition_too(tmp_path: Path) -> None:
    result = invoke("validate", write_definition(tmp_path, "good.yaml", YAML))

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"1 file valid{LOCALLY}\n")


def test_every_problem_of_yaml_has_its_line_and_column(tmp_path: Path) -> None:
    text = YAML.replace(b"type: set", b"type: sett").replace(b"target: greet", b"target: gret") + b"id: again\n"
    bad = write_definition(tmp_path, "bad.yml", text)
    result = invoke("validate", bad)

    assert result.exit_code == 2
    assert [line.removeprefix(f"{bad}:").split(": ")[:2] for line in result.stdout.splitlines()] == [
        ["7:11", "error unknown_type"],
        ["11:31", "error unknown_node"],
        ["12:5", "error duplicate_key"],
    ]


def test_yaml_from_stdin_and_a_syntax_error_with_its_line(tmp_path: Path) -> None:
    assert invoke("validate", "-", stdin=YAML).exit_code == 0
    result = invoke("validate", "-", stdin=YAML.replace(b'"Hello {{ input.name }}"', b"{{ input.name }}"))

    assert result.exit_code == 2
    assert result.stdout.splitlines()[:2] == [
        '<stdin>:9:18: error yaml_syntax: a key must be text (put quotes around templates: "{{ input.name }}")',
        "          greeting: {{ input.name }}  # quoted, for its braces",
    ]


def test_a_schema_for_editors_is_accepted(tmp_path: Path) -> None:
    path = write_definition(tmp_path, "good.json", {"$schema": "../definition.schema.json", **GOOD})

    assert (invoke("validate", path).exit_code, invoke("validate", path).stdout) == (0, "")


def test_strict_refuses_warnings(tmp_path: Path) -> None:
    later = {**GOOD, "nodes": [{"id": "a", "type": "set", "config": {"x": "{{ never_set }}"}}]}
    later["edges"] = [{"source": "trigger", "target": "a"}]
    path = write_definition(tmp_path, "warned.json", later)

    assert invoke("validate", path).exit_code == 0
    assert invoke("validate", "--strict", path).exit_code == 2


LOOP: dict[str, Any] = {
    "id": "rows",
    "name": "Rows",
    "trigger": {"type": "manual"},
    "nodes": [
        {"id": "each", "type": "loop", "collection": "{{ input.rows }}", "body": ["fetch"]},
        {"id": "fetch", "type": "action", "action": "http.request", "config": {"url": "https://a.test"}},
    ],
    "edges": [{"source": "trigger", "target": "each"}],
}


def test_the_history_of_a_run_is_forecast_for_given_sizes(tmp_path: Path) -> None:
    path = write_definition(tmp_path, "rows.json", LOOP)
    sizes = json.dumps({"items": {"each": 100}, "results": {"fetch": 20_000}})

    text = invoke("validate", "--local", "--budget", "--sizes", sizes, path)
    assert text.exit_code == 0
    assert ": about 605 events, " in text.stdout.partition("\n")[0]
    assert "\niteration of each\t6\t21 kB\t1\tof 100 iterations\n" in text.stdout

    (report,) = json.loads(invoke("validate", "--local", "--json", "--budget", path).stdout)
    assert report["forecast"]["events"] == 65  # ten items by default


def test_sizes_that_are_not_valid_are_refused(tmp_path: Path) -> None:
    path = write_definition(tmp_path, "rows.json", LOOP)

    refused = invoke("validate", "--local", "--sizes", '{"items": {"each": "x"}, "itemz": {}}', path)
    assert refused.exit_code == 2
    assert "items/each must be a number; unknown field `itemz` (did you mean `items`?)" in refused.stderr
    assert invoke("validate", "--local", "--sizes", "[]", path).exit_code == 2
    assert (
        "rows.json: --sizes: items/eahc: no node has the ID `eahc` (did you mean `each`?)"
        in invoke("validate", "--local", "--sizes", '{"items": {"eahc": 1}}', path).stderr
    )
