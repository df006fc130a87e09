"""`workflows`: definitions stored, published and started from the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import InProcess
from tests.cli.support import require_success, write_caller, write_definition

pytestmark = pytest.mark.temporal


def run_for(command: InProcess, customer: str, *args: object) -> str:
    """Run a command on a customer's workflows; it must succeed."""
    return require_success(command("workflows", *args, "--customer", customer))


def test_definitions_are_pushed_callees_first(command: InProcess, tmp_path: Path) -> None:
    files = write_caller(tmp_path, "caller", "callee"), write_definition(tmp_path, "callee")

    pushed = run_for(command, "pushes", "push", *files)
    table = (run_for(command, "pushes", "list")).splitlines()

    assert pushed.splitlines() == ["callee: draft, version 1", "caller: draft, version 1"]
    assert [line.split("\t")[:2] for line in table] == [["callee", "draft"], ["caller", "draft"]]


def test_versions_are_activated_and_rolled_back(command: InProcess, tmp_path: Path) -> None:
    run_for(command, "rolls", "push", write_definition(tmp_path, "w"))
    activated = run_for(command, "rolls", "activate", "w")
    pushed = run_for(command, "rolls", "push", "--activate", write_definition(tmp_path, "w", name="New"))
    rolled_back = run_for(command, "rolls", "rollback", "w", 1)
    versions = json.loads(run_for(command, "rolls", "versions", "w", "--json"))
    shown = json.loads(run_for(command, "rolls", "show", "w"))

    assert (activated, pushed, rolled_back) == ("w: active, version 1", "w: active, version 2", "w: active, version 3")
    assert [(each["version"], each["copy_of"]) for each in versions] == [(3, 1), (2, None), (1, None)]
    assert (shown["name"], shown["status"]) == ("W", "active")


def test_a_start_with_the_same_key_starts_one_run(command: InProcess, tmp_path: Path) -> None:
    run_for(command, "starts", "push", "--activate", write_definition(tmp_path, "w"))
    args = ("start", "w", "--input", '{"to": "Ada"}', "--idempotency-key", "once")
    ids = {run_for(command, "starts", *args) for _ in range(2)}

    (run_id,) = ids
    assert json.loads(require_success(command("runs", "watch", run_id, "--json")))["output"] == {"to": "Ada"}


def test_workflows_are_paused_archived_and_deleted(command: InProcess, tmp_path: Path) -> None:
    run_for(command, "ends", "push", "--activate", write_definition(tmp_path, "w"))
    answers = [run_for(command, "ends", verb, "w") for verb in ("pause", "archive", "delete")]
    gone = command("workflows", "show", "w", "--customer", "ends")

    assert answers == ["w: paused, version 1", "w: archived, version 1", "w: deleted"]
    assert (gone.code, "there is no workflow 'w'" in gone.err) == (2, True)


def test_nothing_is_pushed_if_one_file_is_wrong(command: InProcess, tmp_path: Path) -> None:
    wrong = write_definition(tmp_path, "wrong", trigger={"type": "schedule", "cron": "61 * * * *"})

    done = command("workflows", "push", write_definition(tmp_path, "right"), wrong, "--customer", "wrong")

    assert done.code == 2
    assert "wrong.json:" in done.err
    assert "nothing was stored" in done.err
    assert run_for(command, "wrong", "list") == ""


def test_a_definition_without_an_id_is_not_pushed(command: InProcess, tmp_path: Path) -> None:
    nameless = command("workflows", "push", write_definition(tmp_path, "nameless", id=""), "--customer", "nameless")

    assert (nameless.code, "has no id" in nameless.err) == (2, True)
