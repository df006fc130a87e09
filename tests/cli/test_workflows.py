"""`workflows`: definitions stored, published and started from the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import InProcess
from tests.cli.shell import Dev
from tests.cli.support import require_success, write_caller, write_definition

pytestmark = pytest.mark.temporal


def run_for(command: InProcess, customer: str, *args: object) -> str:
    """Run a command on a customer's workflows; it must succeed."""
    return require_success(command("workflows", *args, "--customer", customer))


def test_definitions_are_pushed_callees_first(command: InProcess, tmp_path: Path) -> None:
    files = write_caller(tmp_path, "caller", "callee"), write_definition(tmp_path, "callee")

    pushed = run_for(command, "pushes", "push", *files)
    table = (run_for(command, "pushes", "list")).splitlines()

    assert pushed.splitlines() == [
        "callee: created; draft, never published",
        "caller: created; draft, never published",
    ]
    assert [line.split("\t")[:2] for line in table] == [["callee", "draft"], ["caller", "draft"]]


def test_versions_are_activated_and_rolled_back(command: InProcess, tmp_path: Path) -> None:
    run_for(command, "rolls", "push", write_definition(tmp_path, "w"))
    activated = run_for(command, "rolls", "activate", "w")
    pushed = run_for(command, "rolls", "push", "--activate", write_definition(tmp_path, "w", name="New"))
    rolled_back = run_for(command, "rolls", "rollback", "w", 1)
    versions = json.loads(run_for(command, "rolls", "versions", "w", "--json"))
    shown = json.loads(run_for(command, "rolls", "show", "w"))

    assert (activated, pushed, rolled_back) == (
        "w: active, version 1",
        "w: updated; active, version 2",
        "w: active, version 3",
    )
    assert [(each["version"], each["copy_of"]) for each in versions] == [(3, 1), (2, None), (1, None)]
    assert (shown["name"], shown["status"]) == ("W", "active")


def test_a_start_with_the_same_key_starts_one_run(command: InProcess, tmp_path: Path) -> None:
    run_for(command, "starts", "push", "--activate", write_definition(tmp_path, "w"))
    args = ("start", "w", "--input", '{"to": "Ada"}', "--idempotency-key", "once")
    ids = {run_for(command, "starts", *args) for _ in range(2)}

    (run_id,) = ids
    assert json.loads(require_success(command("runs", "watch", run_id, "--json")))["output"] == {"to": "Ada"}


def test_a_change_needs_the_whole_id_of_a_workflow(command: InProcess, tmp_path: Path) -> None:
    """The workflow `stock` may have been deleted before: its neighbour `stock_check` must not be changed instead."""
    run_for(command, "prefixes", "push", "--activate", write_definition(tmp_path, "stock_check"))
    changes = [
        *(("workflows", verb) for verb in ("activate", "pause", "archive", "start")),
        ("workflows", "delete", "--yes"),
        ("workflows", "rollback", 1),
        ("schedule", "trigger"),
        ("schedule", "backfill", "--from", "2026-01-01T00:00Z", "--to", "2026-01-02T00:00Z"),
        ("deliveries", "release"),
    ]

    for group, verb, *args in changes:
        refused = command(group, verb, "stock", *args, "--customer", "prefixes")
        assert (refused.code, "hint: did you mean `stock_check`?" in refused.err) == (2, True), (verb, refused)
    shown = json.loads(run_for(command, "prefixes", "show", "stock"))

    assert (shown["id"], shown["status"], shown["version"], shown["run_count"]) == ("stock_check", "active", 1, 0)


def test_workflows_are_paused_archived_and_deleted(command: InProcess, tmp_path: Path) -> None:
    run_for(command, "ends", "push", "--activate", write_definition(tmp_path, "w"))
    answers = [run_for(command, "ends", verb, "w") for verb in ("pause", "archive")]
    unsure = command("workflows", "delete", "w", "--customer", "ends")
    answers.append(run_for(command, "ends", "delete", "w", "--yes"))
    gone = command("workflows", "show", "w", "--customer", "ends")

    assert answers == ["w: paused, version 1", "w: archived, version 1", "w: deleted"]
    assert (gone.code, "there is no workflow 'w'" in gone.err) == (2, True)
    assert (unsure.code, "this needs confirmation" in unsure.err) == (2, True)


def test_the_statistics_of_a_workflow_are_shown(command: InProcess, tmp_path: Path) -> None:
    run_for(command, "counts", "push", "--activate", write_definition(tmp_path, "w"))

    assert run_for(command, "counts", "stats", "w") == "runs          0\nsuccess rate  0 %"
    assert json.loads(run_for(command, "counts", "stats", "w", "--version", 1, "--json"))["version"] == 1


def test_a_workflow_is_paused_with_its_runs(command: InProcess, tmp_path: Path) -> None:
    wait = {"id": "hear", "type": "wait", "config": {"event": "go"}}
    path = write_definition(tmp_path, "held", nodes=[wait], edges=[{"source": "trigger", "target": "hear"}])
    run_for(command, "holds", "push", "--activate", path)
    run_for(command, "holds", "start", "held")

    paused = run_for(command, "holds", "pause", "held", "--include-runs")

    assert paused.startswith("held: paused, version 1\npause of 1 runs: completed\n  done       1\n")


def test_nothing_is_pushed_if_one_file_is_wrong(command: InProcess, dev: Dev, tmp_path: Path) -> None:
    wrong = write_definition(tmp_path, "wrong", trigger={"type": "schedule", "cron": "61 * * * *"})

    done = command("workflows", "push", write_definition(tmp_path, "right"), wrong, "--customer", "wrong")

    assert done.code == 2
    assert "wrong.json:" in done.err
    assert f"1 error, checked by {dev.ready['api']}; nothing was stored" in done.err
    assert run_for(command, "wrong", "list") == ""


def test_a_push_says_what_has_checked_the_definitions(command: InProcess, dev: Dev, tmp_path: Path) -> None:
    files = [write_definition(tmp_path, name) for name in ("one", "two")]
    done = command("workflows", "push", *files, "--customer", "checked")

    assert done.err == f"2 files valid, checked by {dev.ready['api']}\n"


def test_a_definition_without_an_id_is_not_pushed(command: InProcess, tmp_path: Path) -> None:
    nameless = command("workflows", "push", write_definition(tmp_path, "nameless", id=""), "--customer", "nameless")

    assert (nameless.code, "has no id" in nameless.err) == (2, True)


def test_what_is_edited_is_told_compared_and_published(command: InProcess, tmp_path: Path) -> None:
    run_for(command, "edits", "push", "--activate", write_definition(tmp_path, "w"))
    edited = run_for(command, "edits", "push", write_definition(tmp_path, "w", name="New"))
    again = run_for(command, "edits", "push", tmp_path / "w.json")
    listed = run_for(command, "edits", "list").split("\t")[:3]
    difference = run_for(command, "edits", "diff", "w")
    as_json = json.loads(run_for(command, "edits", "diff", "w", "--json"))
    run_for(command, "edits", "activate", "w")
    none = command("workflows", "diff", "w", "--customer", "edits")
    back = run_for(command, "edits", "diff", "w", 2, 1)
    first = json.loads(run_for(command, "edits", "show", "w", "--version", 1))

    assert edited == "w: updated; active, version 1, unpublished edits"
    assert again == "w: unchanged; active, version 1, unpublished edits"
    assert listed == ["w", "active", "1 + edits"]
    assert difference == '~ /name: "W" -> "New"'
    assert as_json["changes"] == [{"kind": "changed", "path": "/name", "before": "W", "after": "New"}]
    assert (none.out, none.err) == ("", "w: no difference between version 2 and the working copy\n")
    assert back == '~ /name: "New" -> "W"'
    assert (first["version"], first["definition"]["name"]) == (1, "W")


def test_a_folder_is_pushed_and_the_rest_is_archived(command: InProcess, tmp_path: Path) -> None:
    run_for(command, "neighbours", "push", "--activate", write_definition(tmp_path, "old"))
    run_for(command, "folders", "push", "--activate", write_definition(tmp_path, "old"))
    (tmp_path / "old.json").unlink()
    run_for(command, "folders", "push", write_definition(tmp_path, "kept"))
    write_definition(tmp_path, "new")
    write_definition(tmp_path, "kept", name="Changed")
    dry = run_for(command, "folders", "push", "--prune", "--dry-run", tmp_path).splitlines()
    after_dry = run_for(command, "folders", "list").splitlines()
    pushed = run_for(command, "folders", "push", "--prune", "--activate", tmp_path).splitlines()
    neighbours = run_for(command, "neighbours", "list").split("\t")[:2]

    assert dry == ["kept: would be updated", "new: would be created", "old: would be archived"]
    assert [line.split("\t")[0] for line in after_dry] == ["kept", "old"]
    assert pushed == [
        "kept: updated; active, version 1",
        "new: created; active, version 1",
        "old: archived; archived, version 1",
    ]
    assert neighbours == ["old", "active"]


def test_what_is_pulled_can_be_pushed(command: InProcess, tmp_path: Path) -> None:
    run_for(command, "pulls", "push", "--activate", write_definition(tmp_path, "w"))
    folder = tmp_path / "new" / "folder"
    written = run_for(command, "pulls", "pull", "--folder", folder)
    pushed = require_success(command("workflows", "push", folder))
    (folder / "w.json").write_text("{}")
    refused = command("workflows", "pull", "w", "--folder", folder, "--customer", "pulls")
    forced = run_for(command, "pulls", "pull", "w", "--folder", folder, "--force")

    assert written == forced == str(folder / "w.json")
    assert pushed == "w: unchanged; active, version 1", "the file names its customer"
    assert (refused.code, f"{folder / 'w.json'} differs from what is stored" in refused.err) == (2, True)
    assert json.loads((folder / "w.json").read_text())["customer_id"] == "pulls"


def test_yaml_is_pulled_with_its_comments(command: InProcess, tmp_path: Path) -> None:
    file = tmp_path / "noted.yaml"
    definition = json.loads(write_definition(tmp_path, "noted").read_text())
    first = f"# a note\n{json.dumps(definition, indent=1)}\n"
    file.write_text(first)
    run_for(command, "notes", "push", file)
    unchanged = run_for(command, "notes", "push", file)
    file.write_text(second := first.replace("a note", "another note"))
    changed = run_for(command, "notes", "push", file)
    written = run_for(command, "notes", "pull", "noted", "--yaml", "--folder", tmp_path / "pulled")

    assert [line.partition(";")[0] for line in (unchanged, changed)] == ["noted: unchanged", "noted: updated"]
    assert written == str(tmp_path / "pulled" / "noted.yaml")
    assert (tmp_path / "pulled" / "noted.yaml").read_text() == second


def test_the_customer_of_a_file_is_used_or_refused(command: InProcess, tmp_path: Path) -> None:
    """The customer of the file was ignored."""
    file = write_definition(tmp_path, "w", customer_id="named")
    require_success(command("workflows", "push", file))
    refused = command("workflows", "push", file, "--customer", "other")

    assert run_for(command, "named", "list").startswith("w\t")
    assert refused.code == 2
    assert "the definition belongs to customer 'named', and --customer is 'other'" in refused.err


def test_a_run_of_a_file_is_not_one_of_the_published_version(command: InProcess, tmp_path: Path) -> None:
    """It counted as version 1 and spoilt the success rate of the published workflow."""
    file = write_definition(tmp_path, "adhoc", customer_id="adhoc")
    run_for(command, "adhoc", "push", "--activate", file)
    run = json.loads(require_success(command("run", file, "--json")))

    assert (run["workflow_version"], run["customer_id"]) == (0, "adhoc")
    assert json.loads(run_for(command, "adhoc", "show", "adhoc"))["run_count"] == 0


def test_the_beginning_of_an_id_is_enough(command: InProcess, tmp_path: Path) -> None:
    files = [write_definition(tmp_path, name) for name in ("order_flow", "invoice")]
    run_for(command, "prefixes", "push", *files)

    assert "order_flow" in run_for(command, "prefixes", "show", "ord")
    unknown = command("workflows", "show", "order_x", "--customer", "prefixes")
    assert (unknown.code, "there is no workflow 'order_x'" in unknown.err) == (2, True)
