"""`test record`: a case of a real run, which then passes."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from orchestrator.cli.client import ApiClient
from orchestrator.cli.failures import UsageError
from orchestrator.cli.record import record
from orchestrator.cli.server_address import ServerOptions
from orchestrator.model.run import Intervention, Run
from orchestrator.simulator.simulate import simulate
from tests.cli.commands import invoke

NODES = [
    {"id": "load", "type": "action", "action": "shop.load", "config": {"email": "{{ input.email }}"}},
    {"id": "hear", "type": "wait", "config": {"event": "paid", "key": "{{ steps.load.output.id }}"}},
    {"id": "done", "type": "end", "config": {"output": {"run": "{{ run.id }}", "to": "{{ steps.load.output.to }}"}}},
]
EDGES = [
    {"source": "trigger", "target": "load"},
    {"source": "load", "target": "hear"},
    {"source": "hear", "target": "done"},
]
FLOW = {"id": "order", "name": "Order", "trigger": {"type": "manual"}, "nodes": NODES, "edges": EDGES}
PERSON = "ada@lovelace.org"


def write_flow(folder: Path, **more: Any) -> Path:
    path = folder / "order.json"
    path.write_text(json.dumps({**FLOW, **more}))
    return path


def make_run(**more: Any) -> Run:
    """Return a run that began at some time of a day, and waited for an event."""
    run = simulate(
        FLOW,
        input={"email": PERSON},
        actions={"shop.load": {"output": {"id": "o7", "to": PERSON, "text": "a {{ b }}"}}},
        events=[{"at": 90, "name": "paid", "key": "o7", "payload": {"amount": 3}}],
        start=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    )
    assert run.status == "completed"
    return run.model_copy(update={"id": "order-1", "output": {"run": "order-1", "to": PERSON}, **more})


def connect(run: Run) -> ApiClient:
    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("GET", "/api/v1/runs/order-1")
        return httpx.Response(200, json=run.model_dump(mode="json"))

    return ApiClient(ServerOptions(url="http://api.example"), httpx.MockTransport(answer))


def read_cases(folder: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load((folder / "order.tests.yaml").read_text()))


def test_the_case_of_a_run_passes_and_has_no_personal_data(tmp_path: Path) -> None:
    path = write_flow(tmp_path)
    record(connect(make_run()), "order-1", str(path))
    (case,) = read_cases(tmp_path)

    assert case["name"] == "as in run order-1"
    assert case["input"] == {"email": "person1@example.com"}
    assert case["events"] == [{"at": 90, "name": "paid", "payload": {"amount": 3}, "key": "o7"}]
    # Its output has the ID of the run, which is another one in each.
    assert case["expect"] == {"status": "completed", "steps": dict.fromkeys(("load", "hear", "done"), "completed")}
    assert PERSON not in (tmp_path / "order.tests.yaml").read_text()
    assert invoke("test", str(path)).stdout == f"pass  {path}: as in run order-1\n"


def test_the_definition_is_found_by_its_id_and_cases_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_flow(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = "# the cases of orders\n- {name: a, expect: {status: waiting}}\n"
    (tmp_path / "order.tests.yaml").write_text(before)
    record(connect(make_run()), "order-1", name="b", keep=["email"])

    assert (tmp_path / "order.tests.yaml").read_text().startswith(before)
    assert [case["name"] for case in read_cases(tmp_path)] == ["a", "b"]
    assert read_cases(tmp_path)[1]["input"] == {"email": PERSON}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "running"}, "run order-1 is running"),
        ({"status": "cancelled"}, "run order-1 is cancelled"),
        ({"complete": False}, "has not all of its steps"),
        ({"steps_total": 900}, "has not all of its steps"),
        ({"status": "failed"}, "the case does not repeat the run"),
    ],
)
def test_a_run_that_cannot_be_repeated_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write_flow(tmp_path)
    with pytest.raises(UsageError, match=message):
        record(connect(make_run(**changes)), "order-1", str(path))

    assert not (tmp_path / "order.tests.yaml").exists()


REPAIRED = {
    "id": "order",
    "name": "Order",
    "trigger": {"type": "manual"},
    "variables": {"limit": 1},
    "nodes": [
        {"id": "nap", "type": "delay", "delay_seconds": 3600},
        {
            "id": "pay", "type": "action", "action": "shop.pay", "config": {"to": "a"}, "on_error": "pause",
            "retry": {"maximum_attempts": 1},
        },
        {"id": "hear", "type": "wait", "config": {"event": "paid"}},
        {
            "id": "ship", "type": "action", "action": "shop.ship", "config": {"to": "b"},
            "when": {"expression": "{{ limit == 5 }}"},
        },
        {
            "id": "tell", "type": "action", "action": "shop.tell", "on_error": "pause",
            "retry": {"maximum_attempts": 1},
        },
        {"id": "done", "type": "end", "config": {"output": {"paid": "{{ steps.pay.output.ok }}"}}},
    ],
    "edges": [
        {"source": source, "target": target}
        for source, target in pairwise(("trigger", "nap", "pay", "hear", "ship", "tell", "done"))
    ],
}  # fmt: skip
DOWN = {"error": {"message": "down", "error_type": "action_error"}}


def repair_run() -> Run:
    """Return a run that operators have repaired in each way, and that has completed all the same."""
    run = simulate(
        REPAIRED,
        actions={"shop.pay": DOWN, "shop.tell": [DOWN, {"output": {"told": True}}]},
        resolutions=[{"node_id": "tell", "action": "retry"}],
        repairs=[
            {"at": 10, "kind": "skip_wait", "node_id": "nap", "by": "ada"},
            {"at": 20, "kind": "set_result", "node_id": "pay", "result": {"ok": 7}, "by": "ada"},
            {"at": 30, "kind": "set_variables", "variables": {"limit": 5}, "by": "ada"},
            {"at": 40, "kind": "set_result", "node_id": "hear", "result": {"event": "paid", "payload": 3}, "by": "ada"},
        ],
        start=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    )
    assert (run.status, run.output) == ("completed", {"paid": 7}), run.waiting_for
    step = next(step for step in run.steps if step.id == "tell")
    retried = Intervention(kind="resolve", at=step.started_at, node_id="tell", step_id="tell", action="retry")
    return run.model_copy(update={"id": "order-1", "interventions": [*run.interventions, retried]})


def test_repairs_and_retries_of_operators_are_repeated(tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(json.dumps(REPAIRED))

    record(connect(repair_run()), "order-1", str(tmp_path / "order.json"))

    (case,) = yaml.safe_load((tmp_path / "order.tests.yaml").read_text())
    assert [(each["at"], each["kind"]) for each in case["repairs"]] == [
        (10, "skip_wait"), (20, "set_result"), (30, "set_variables"), (40, "set_result")
    ]  # fmt: skip
    assert case["resolutions"] == [{"node_id": "tell", "action": "retry"}]
    assert "events" not in case
    assert invoke("test", str(tmp_path / "order.json")).exit_code == 0


def test_a_repair_whose_values_are_not_recorded_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "order.json").write_text(json.dumps(REPAIRED))
    run = repair_run()
    context = {name: value for name, value in run.context.items() if name != "limit"}

    with pytest.raises(UsageError, match="does not repeat the run"):
        record(connect(run.model_copy(update={"context": context})), "order-1", str(tmp_path / "order.json"))

    noted = capsys.readouterr().err
    assert "set_variables of limit cannot be repeated: its record does not say to which values" in noted


def test_a_move_to_another_version_is_named_and_not_part_of_the_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_flow(tmp_path)
    moment = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    moves = [
        Intervention(kind="migrate", at=moment, version=2, refused=["the run was paused"]),
        Intervention(kind="migrate", at=moment, version=3),
    ]

    record(connect(make_run(interventions=moves)), "order-1", str(path))

    (case,) = yaml.safe_load((tmp_path / "order.tests.yaml").read_text())
    noted = capsys.readouterr().err
    assert "repairs" not in case
    assert "the move to version 3 cannot be repeated: a case runs one version" in noted
    assert "version 2" not in noted


def test_cases_in_another_form_are_left_alone(tmp_path: Path) -> None:
    path = write_flow(tmp_path)
    (tmp_path / "order.tests.yaml").write_text("[{name: a, expect: {status: waiting}}]\n")
    with pytest.raises(UsageError, match="not a list with a line for each case"):
        record(connect(make_run()), "order-1", str(path))

    assert len(read_cases(tmp_path)) == 1


def test_a_run_of_an_unknown_workflow_needs_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_flow(tmp_path, id="other")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no definition in this folder has the id 'order'"):
        record(connect(make_run()), "order-1")
