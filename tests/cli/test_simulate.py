"""`simulate`: run a definition on a virtual clock, without a server."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from orchestrator.cli.commands import app
from tests.example_files import BY_NAME

EXAMPLES = Path(__file__).parents[2] / "examples"


def simulate(*args: object) -> Result:
    return CliRunner().invoke(app, ["simulate", *(str(arg) for arg in args)])


def example_path(name: str) -> list[str]:
    return [
        str(BY_NAME[name]),
        *("--input", f"@{EXAMPLES / name}.input.json"),
        *("--actions", str(EXAMPLES / f"{name}.actions.yaml")),
    ]


def write_definition(folder: Path, nodes: list[dict[str, Any]], **more: Any) -> Path:
    path = folder / "flow.json"
    ids = ["trigger", *(node["id"] for node in nodes)]
    edges = [{"source": one, "target": other} for one, other in pairwise(ids)]
    path.write_text(
        json.dumps(
            {"id": "flow", "name": "Flow", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges, **more}
        )
    )
    return path


def test_a_trace_shows_times_durations_decisions_and_the_output() -> None:
    result = simulate(*example_path("approval_with_timeout"))

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "     +0 ms  completed  is_small           -> false",
        "                       why: input.amount less_than 100: false, saw 640",
        "     +0 ms  completed  ask",
        "     +0 ms  completed  decision           2 s",
        "      +2 s  completed  escalate",
        "      +2 s  completed  director_decision  2 s",
        "      +4 s  completed  expired",
        "completed after 4 s, 6 steps",
        "{",
        '  "decision": "expired"',
        "}",
    ]


def test_an_event_is_delivered_at_its_time() -> None:
    event = 'approval.decided={"approved": true}@1.5'
    result = simulate(*example_path("approval_with_timeout"), "--event", event, "--json")
    run = json.loads(result.stdout)

    assert run["output"] == {"decision": "approved", "order": "PO-9"}
    assert run["duration_ms"] == 1500


def test_a_failed_run_exits_with_1_and_shows_its_attempts(tmp_path: Path) -> None:
    mocks = tmp_path / "mocks.yaml"
    mocks.write_text("crm.load: {error: {message: down, error_type: action_error}}")
    path = write_definition(tmp_path, [{"id": "load", "type": "action", "action": "crm.load"}])
    result = simulate(path, "--actions", mocks)

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "     +0 ms  failed     load  3 s, 3 attempts",
        "                       retry_exhausted: down",
        "failed after 3 s, 1 step: retry_exhausted at load: down",
    ]


def test_the_steps_of_branches_follow_their_parallel() -> None:
    result = simulate(*example_path("invoice_reminder"))
    ids = [line.split()[3] for line in result.stdout.splitlines() if line.startswith("    ") and " completed " in line]

    assert ids[5:8] == [
        "each_invoice[0]/contact",
        "each_invoice[0]/contact[0]/email_customer",
        "each_invoice[0]/contact[1]/log_in_crm",
    ]


def test_a_run_that_waits_shows_the_event_it_waits_for(tmp_path: Path) -> None:
    path = write_definition(tmp_path, [{"id": "hear", "type": "wait", "config": {"event": "go"}}])
    result = simulate(path)

    assert result.exit_code == 1
    assert "waits at hear: event go" in result.stdout
    assert result.stderr == "the run is waiting for an event or an operator: see --event\n"


def test_months_take_milliseconds(tmp_path: Path) -> None:
    result = simulate(
        write_definition(tmp_path, [{"id": "rest", "type": "delay", "delay_seconds": 90 * 86_400 + 3 * 3600}])
    )

    assert "completed  rest  90 d 3 h" in result.stdout


def test_an_action_without_a_mock_gets_a_warning(tmp_path: Path) -> None:
    path = write_definition(
        tmp_path, [{"id": "say", "type": "action", "action": "log.message", "config": {"message": "hi"}}]
    )
    result = simulate(path)

    assert result.exit_code == 0
    assert 'warning: log.message has no mock: its output is {"simulated": true}' in result.stdout


def test_an_invalid_definition_is_refused_with_its_problems(tmp_path: Path) -> None:
    path = write_definition(tmp_path, [{"id": "load", "type": "action", "action": "crm.load"}])
    result = simulate(path)

    assert result.exit_code == 2
    assert f"{path}:1:" in result.stderr
    assert "error unknown_action: there is no action 'crm.load'" in result.stderr
    assert "flow.json has 1 error; no run was started" in result.stderr
    assert result.stdout == ""


def test_an_input_that_does_not_match_the_schema_is_refused() -> None:
    result = simulate(EXAMPLES / "invoice_reminder.json", "--input", '{"erp_url": 1}')

    assert result.exit_code == 2
    assert "/erp_url" in result.stderr
    assert "`crm_url` is missing" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--input", "{", "--input is not valid JSON"),
        ("--input", "{'a': 1}", "JSON uses double quotes for text"),
        ("--input", "@none.json", "file none.json does not exist"),
        ("--input", "@", "is a folder"),
        ("--event", "=1@2", "write name=JSON@SECONDS"),
        ("--event", "go=oops@2", "the payload of --event go is not valid JSON"),
        ("--event", "go@-1", "invalid --event 'go@-1'"),
        ("--event", "go@nan", "invalid --event 'go@nan'"),
        ("--actions", "none.yaml", "file none.yaml does not exist"),
    ],
)
def test_a_malformed_option_is_bad_usage(tmp_path: Path, option: str, value: str, message: str) -> None:
    result = simulate(write_definition(tmp_path, [{"id": "a", "type": "set", "config": {"x": 1}}]), option, value)

    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("mocks", "message"),
    [
        ("[1, 2]", "mocks must be an object of actions and their answers"),
        ("a.b: 1", "invalid answer for a.b"),
        ("a.b: []", "the list of answers for a.b is empty"),
        ("a.b: {ouput: 1}", "invalid answer for a.b"),
        ("a: b: c", "mocks.yaml:1:5: error: mapping values are not allowed here"),
        ("a.b: !!python/object:os.system {}", "mocks.yaml:1:6: error: tags such as"),
    ],
)
def test_malformed_mocks_are_bad_usage(tmp_path: Path, mocks: str, message: str) -> None:
    (tmp_path / "mocks.yaml").write_text(mocks)
    path = write_definition(tmp_path, [{"id": "a", "type": "set", "config": {"x": 1}}])
    result = simulate(path, "--actions", tmp_path / "mocks.yaml")

    assert result.exit_code == 2
    assert message in result.stderr


def test_an_empty_file_of_mocks_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "mocks.yaml").write_text("# nothing yet\n")
    path = write_definition(tmp_path, [{"id": "a", "type": "set", "config": {"x": 1}}])

    assert simulate(path, "--actions", tmp_path / "mocks.yaml").exit_code == 0


def test_with_names_the_called_workflow(tmp_path: Path) -> None:
    child = {
        "id": "double",
        "name": "Double",
        "trigger": {"type": "manual"},
        "nodes": [{"id": "out", "type": "end", "config": {"output": {"said": "{{ input.word | upper }}"}}}],
        "edges": [{"source": "trigger", "target": "out"}],
    }
    (tmp_path / "double.json").write_text(json.dumps(child))
    call = {"id": "call", "type": "workflow", "config": {"workflow_id": "double", "input": {"word": "{{ input.w }}"}}}
    end = {"id": "done", "type": "end", "config": {"output": "{{ steps.call.output.output.said }}"}}
    result = simulate(
        write_definition(tmp_path, [call, end]), "--with", tmp_path / "double.json", "--input", '{"w": "hi"}', "--json"
    )

    assert json.loads(result.stdout)["output"] == "HI"
