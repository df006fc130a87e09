"""`orchestrator test`: test cases next to a definition, and the differences of failed ones."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner, Result

from orchestrator.cli.commands import app
from orchestrator.cli.files import read_value
from tests.example_files import BY_NAME

EXAMPLES = Path(__file__).parents[2] / "examples"
WITH_CASES = sorted(EXAMPLES.glob("*.tests.yaml"))
DEAR = {"field": "steps.load.output.price", "operator": "greater_than", "value": 9}
DEFINITION = {
    "id": "price",
    "name": "Price",
    "trigger": {"type": "manual"},
    "nodes": [
        {"id": "load", "type": "action", "action": "shop.load", "config": {"sku": "{{ input.sku }}"}},
        {"id": "dear", "type": "condition", "condition": DEAR},
        {"id": "ask", "type": "wait", "config": {"event": "ok"}},
        {"id": "done", "type": "end", "config": {"output": {"price": "{{ steps.load.output.price }}"}}},
    ],
    "edges": [
        {"source": "trigger", "target": "load"},
        {"source": "load", "target": "dear"},
        {"source": "dear", "target": "ask", "condition": "true"},
        {"source": "dear", "target": "done", "condition": "false"},
        {"source": "ask", "target": "done"},
    ],
}


def run_cases(folder: Path, cases: Any, *options: str) -> Result:
    path = folder / "price.json"
    path.write_text(json.dumps(DEFINITION))
    (folder / "price.tests.yaml").write_text(cases if isinstance(cases, str) else yaml.safe_dump(cases))
    return CliRunner().invoke(app, ["test", str(path), *options])


def make_case(price: int = 5, **expect: Any) -> dict[str, Any]:
    return {"name": "a case", "actions": {"shop.load": {"output": {"price": price}}}, "expect": expect}


def test_a_folder_stands_for_its_definitions_that_have_cases(tmp_path: Path) -> None:
    run_cases(tmp_path, [make_case(output={"price": 5})])
    (tmp_path / "other.json").write_text(json.dumps(DEFINITION))
    done = CliRunner().invoke(app, ["test", str(tmp_path)])
    (tmp_path / "price.tests.yaml").unlink()
    without = CliRunner().invoke(app, ["test", str(tmp_path)])

    assert (done.exit_code, done.stdout) == (0, f"pass  {tmp_path}/price.json: a case\n")
    assert (without.exit_code, f"no definition in {tmp_path} has test cases" in without.stderr) == (2, True)


def test_the_examples_pass_their_cases() -> None:
    files = [str(BY_NAME[path.name.removesuffix(".tests.yaml")]) for path in WITH_CASES]
    result = CliRunner().invoke(app, ["test", *files])

    assert result.exit_code == 0, result.output
    assert result.stdout.count("pass  ") == sum(len(yaml.safe_load(path.read_text())) for path in WITH_CASES)


@pytest.mark.parametrize(
    "case",
    [
        make_case(5, output={"price": 5}),
        make_case(5, order=["load", "dear", "done"], steps={"done": "completed", "ask": None}),
        {**make_case(50, output={"price": 50}), "events": [{"at": 3, "name": "ok"}]},
        make_case(50, status="waiting", steps={"ask": "waiting"}),
        {
            **make_case(error_type="action_error"),
            "actions": {"shop.load": {"error": {"message": "x", "recoverable": False}}},
        },
        {**make_case(output={"price": 7}), "actions": "@mocks.yaml", "input": "@input.json"},
        {**make_case(output={"price": 2}), "results": {"load": {"output": {"price": 2}}}},
        {
            **make_case(steps={"load": {"attempts": 2, "at": 0, "seconds": {"min": 3}, "input": {"sku": None}}}),
            "actions": {
                "shop.load": [{"error": {"message": "x"}, "seconds": 2}, {"output": {"price": 1}, "seconds": 0.5}]
            },
        },
        make_case(50, status="waiting", steps={"dear": {"port": "true"}, "load": {"output": {"price": 50}}}),
        make_case(5, calls={"shop.load": 1, "shop.buy": 0}, seconds=0),
        {**make_case(5, calls={"shop.load": [{"sku": 7}]}), "input": {"sku": 7}},
        {**make_case(50, seconds={"min": 3, "max": 3}), "events": [{"at": 3, "name": "ok"}]},
        {**make_case(error_type="retry_exhausted"), "actions": {"shop.load": {"output": {}, "seconds": 61}}},
    ],
)
def test_a_matching_case_passes(tmp_path: Path, case: dict[str, Any]) -> None:
    (tmp_path / "mocks.yaml").write_text('shop.load: {output: {price: "{{ params.sku }}"}}')
    (tmp_path / "input.json").write_text('{"sku": 7}')
    result = run_cases(tmp_path, [case])

    assert result.exit_code == 0, result.output
    assert result.stdout == f"pass  {tmp_path / 'price.json'}: a case\n"
    assert result.stderr == "1 case passed, 0 failed\n"


@pytest.mark.parametrize(
    ("case", "difference"),
    [
        (make_case(5, status="failed"), "status: expected failed, got completed"),
        (make_case(50, output={"price": 50}), "status: expected completed, got waiting"),
        (make_case(5, output={"price": 6}), '-  "price": 6\n      +  "price": 5'),
        (make_case(5, output={"price": "5"}), '-  "price": "5"\n      +  "price": 5'),
        (make_case(5, order=["load", "done"]), '   "load",\n      +  "dear",'),
        (make_case(5, steps={"ask": "completed"}), "step ask: expected completed, got no such step"),
        (make_case(5, steps={"dear": None}), "step dear: expected not to run, got completed"),
        (make_case(5, error_type="timeout_error"), "error_type: expected timeout_error, got None"),
        (make_case(5, steps={"load": {"attempts": 2}}), "attempts of step load: expected 2, got 1"),
        (make_case(5, steps={"dear": {"port": "true"}}), "port of step dear: expected true, got false"),
        (make_case(5, steps={"load": {"output": {"price": 6}}}), '-  "price": 6\n      +  "price": 5'),
        (make_case(5, steps={"ask": {"status": "completed"}}), "step ask: expected to run, got no such step"),
        (make_case(5, steps={"done": {"at": 5}}), "at of step done: expected 5, got 0"),
        (make_case(5, steps={"done": {"seconds": {"min": 1}}}), 'seconds of step done: expected {"min": 1}, got 0'),
        (make_case(5, calls={"shop.load": 2}), "calls of shop.load: expected 2, got 1"),
        (make_case(5, calls={"shop.load": [{"sku": 7}]}), "call 1 of shop.load:\n"),
        (make_case(5, seconds={"max": -1 + 1, "min": 1}), 'seconds: expected {"max": 0, "min": 1}, got 0'),
    ],
)
def test_a_differing_case_fails_with_the_difference(tmp_path: Path, case: dict[str, Any], difference: str) -> None:
    result = run_cases(tmp_path, [make_case(5, status="completed"), case])

    assert result.exit_code == 1
    assert difference in result.stdout
    assert result.stderr == "1 case passed, 1 failed\n"


def test_json_lists_every_case(tmp_path: Path) -> None:
    result = run_cases(tmp_path, [make_case(5, status="completed"), make_case(5, status="failed")], "--json")
    results = json.loads(result.stdout)["cases"]

    assert [entry["passed"] for entry in results] == [True, False]
    assert results[1]["differences"] == ["status: expected failed, got completed"]


def test_an_invalid_definition_fails_its_cases(tmp_path: Path) -> None:
    result = run_cases(tmp_path, [{"name": "a case", "expect": {"status": "completed"}}])

    assert result.exit_code == 1
    column = json.dumps(DEFINITION).index('"shop.load"') + 1
    assert f"price.json:1:{column}: error unknown_action: there is no action 'shop.load'" in result.stdout


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ("", "the file must hold a list of test cases"),
        ("{}", "the file must hold a list of test cases"),
        ("[1]", "case 1: error: a case must be an object"),
        ([{"name": "x"}], "a case needs a `name` and a non-empty `expect`"),
        ([{**make_case(5, status="completed"), "event": []}], "unknown key 'event'"),
        ([make_case(5, outptu={})], "unknown key 'outptu'"),
        (
            [{**make_case(5, status="completed"), "actions": {"a.b": {"outptu": 1}}}],
            "invalid answer for a.b",
        ),
        ([{**make_case(5, status="completed"), "actions": "@none.yaml"}], "does not exist"),
        # Without these, an event that is never delivered leaves the run waiting, and the reason is hard to see.
        (
            [{**make_case(5, status="completed"), "events": [{"name": "paid", "paylaod": 1}]}],
            "did you mean `payload`?",
        ),
        ([{**make_case(5, status="completed"), "events": [{"at": 1}]}], "events: 1: error: `name` is missing"),
        ([{**make_case(5, status="completed"), "events": {"name": "paid"}}], "events: error: must be a list"),
        (
            [{**make_case(5, status="completed"), "resolutions": [{"node_id": "a", "action": "skip", "valeu": 1}]}],
            "did you mean `value`?",
        ),
        (
            [{**make_case(5, status="completed"), "resolutions": [{"node_id": "a"}]}],
            "resolutions: 1: error: `action` is missing",
        ),
        ("- name: [", "price.tests.yaml:1:10: error: expected the node content"),
    ],
)
def test_malformed_cases_are_bad_usage(tmp_path: Path, cases: Any, message: str) -> None:
    result = run_cases(tmp_path, cases)

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_definition_without_cases_is_bad_usage(tmp_path: Path) -> None:
    path = tmp_path / "price.json"
    path.write_text(json.dumps(DEFINITION))
    result = CliRunner().invoke(app, ["test", str(path)])

    assert result.exit_code == 2
    assert f"{path} has no test cases" in result.stderr


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        ({"with": [1]}, "`with` must be a list of files"),
        ({"with": 1}, "`with` must be a list of files"),
        ({"expect": {"steps": ["load"]}}, "`steps` must be an object"),
        ({"events": [{"name": "ok", "at": "soon"}]}, "`at` must be a number of seconds"),
        ({"events": [{"name": "ok", "at": -1}]}, "`at` must be a number of seconds"),
        ({"events": [{"name": "ok", "at": True}]}, "`at` must be a number of seconds"),
        ({"expect": {"steps": {"load": {"stauts": "failed"}}}}, "did you mean `status`?"),
        ({"expect": {"calls": ["shop.load"]}}, "`calls` must be an object"),
        ({"expect": {"calls": {"shop.load": {"sku": 1}}}}, "must be the number of its calls, or a list"),
        ({"expect": {"seconds": {"from": 1}}}, "unknown key 'from'"),
        ({"expect": {"seconds": "1 h"}}, "`seconds` must be a number of seconds"),
        ({"start": "noon"}, "'noon' is not a time"),
        ({"results": {"load": {"output": {}, "seconds": -1}}}, "`seconds` of load must be a number"),
    ],
)
def test_a_slip_in_a_case_is_bad_usage(tmp_path: Path, slip: dict[str, Any], message: str) -> None:
    # Most of these ended in a traceback.
    result = run_cases(tmp_path, [{**make_case(output=None), **slip}])

    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())


def test_a_date_in_yaml_is_text(tmp_path: Path) -> None:
    # YAML 1.1 has dates, which are not JSON: a case with one ended in a traceback.
    path = tmp_path / "mocks.yaml"
    path.write_text("{day: 2026-03-01, time: 2026-03-01T08:00:00Z, price: 1.5, paid: true, note: null}")

    assert read_value(str(path)) == {
        "day": "2026-03-01",
        "time": "2026-03-01T08:00:00Z",
        "price": 1.5,
        "paid": True,
        "note": None,
    }


def test_a_port_named_no_is_text_in_mocks_and_cases(tmp_path: Path) -> None:
    # In YAML 1.1 `no` is false: a case could not expect the port of that name.
    definition = {
        **DEFINITION,
        "nodes": [
            {"id": "load", "type": "action", "action": "shop.load"},
            {
                "id": "which",
                "type": "switch",
                "config": {"value": "{{ steps.load.output.x }}", "cases": {"no": "no"}},
            },
            {"id": "done", "type": "set", "config": {"answer": "{{ steps.which.output.case }}"}},
        ],
        "edges": [
            {"source": "trigger", "target": "load"},
            {"source": "load", "target": "which"},
            {"source": "which", "target": "done", "condition": "no"},
        ],
    }
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(definition))
    (tmp_path / "answer.tests.yaml").write_text(
        "- {name: declined, actions: {shop.load: {output: {x: no}}}, expect: {output: {answer: no}}}"
    )
    result = CliRunner().invoke(app, ["test", str(path)])

    assert result.exit_code == 0, result.output


def test_a_key_twice_in_mocks_is_bad_usage(tmp_path: Path) -> None:
    result = run_cases(tmp_path, "- {name: x, expect: {output: null}}\n- name: y\n  name: z\n")

    assert result.exit_code == 2
    assert "price.tests.yaml:3:9: error: duplicate key; the first one is in line 2" in result.stderr


def test_a_value_that_json_does_not_have_is_bad_usage(tmp_path: Path) -> None:
    result = run_cases(tmp_path, "[{name: x, input: !!set {a, b}, expect: {output: null}}]")

    assert result.exit_code == 2
    assert "tags such as tag:yaml.org,2002:set are not supported" in result.stderr


def test_coverage_tells_what_no_case_reached(tmp_path: Path) -> None:
    result = run_cases(tmp_path, [make_case(5, status="completed")], "--coverage")

    assert result.stdout.splitlines()[1:] == [
        f"covered  {tmp_path}/price.json: 3 of 4 nodes, 3 of 5 edges, 1 of 2 branches",
        "      node ask never ran",
        "      edge dear -true-> ask was never followed",
        "      edge ask -next-> done was never followed",
        "      branch true of dear was never taken",
    ]


def test_coverage_as_json_and_as_a_graph(tmp_path: Path) -> None:
    folder = tmp_path / "graphs"
    result = run_cases(tmp_path, [make_case(5, status="completed")], "--coverage", "--json", "--graph", str(folder))
    (report,) = json.loads(result.stdout)["coverage"]
    picture = (folder / "price.svg").read_text()

    assert report["nodes"] == {"covered": 3, "total": 4, "missing": ["ask"]}
    assert report["branches"]["missing"] == [{"node_id": "dear", "branch": "true"}]
    assert re.findall(r'class="node \w+ (good|bad)" data-node="(\w+)"', picture) == [
        ("good", "load"),
        ("bad", "dear"),
        ("bad", "ask"),
        ("good", "done"),
    ]
    assert "never taken: true" in picture
    assert len(re.findall('class="edge [^"]*bad"', picture)) == 2


def test_junit_has_a_case_for_each_case(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    cases = [make_case(5, status="completed"), make_case(5, status="failed", order=["\x01"])]
    result = run_cases(tmp_path, cases, "--junit", str(path))
    suite = ElementTree.parse(path).getroot()[0]

    assert result.exit_code == 1
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.find("failure") is None for case in suite] == [True, False]
    assert suite[1][0].get("message") == "status: expected failed, got completed"
