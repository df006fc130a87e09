"""`workflows`: definitions stored, published and started from the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.shell import Dev
from tests.cli.support import require_success, write_caller, write_definition

pytestmark = pytest.mark.temporal


async def run_for(dev: Dev, customer: str, *args: object) -> str:
    """Run a command on a customer's workflows; it must succeed."""
    return require_success(await dev("workflows", *args, "--customer", customer))


async def test_definitions_are_pushed_callees_first(dev: Dev, tmp_path: Path) -> None:
    files = write_caller(tmp_path, "caller", "callee"), write_definition(tmp_path, "callee")

    pushed = await run_for(dev, "pushes", "push", *files)
    table = (await run_for(dev, "pushes", "list")).splitlines()

    assert pushed.splitlines() == ["callee: draft, version 1", "caller: draft, version 1"]
    assert [line.split("\t")[:3] for line in table] == [["callee", "Callee", "draft"], ["caller", "Caller", "draft"]]


async def test_versions_are_activated_and_rolled_back(dev: Dev, tmp_path: Path) -> None:
    await run_for(dev, "rolls", "push", write_definition(tmp_path, "w"))
    activated = await run_for(dev, "rolls", "activate", "w")
    pushed = await run_for(dev, "rolls", "push", "--activate", write_definition(tmp_path, "w", name="New"))
    rolled_back = await run_for(dev, "rolls", "rollback", "w", 1)
    versions = json.loads(await run_for(dev, "rolls", "versions", "w", "--json"))
    shown = json.loads(await run_for(dev, "rolls", "show", "w"))

    assert (activated, pushed, rolled_back) == ("w: active, version 1", "w: active, version 2", "w: active, version 3")
    assert [(each["version"], each["copy_of"]) for each in versions] == [(3, 1), (2, None), (1, None)]
    assert (shown["name"], shown["status"]) == ("W", "active")


async def test_a_start_with_the_same_key_starts_one_run(dev: Dev, tmp_path: Path) -> None:
    await run_for(dev, "starts", "push", "--activate", write_definition(tmp_path, "w"))
    args = ("start", "w", "--input", '{"to": "Ada"}', "--key", "once")
    ids = {await run_for(dev, "starts", *args) for _ in range(2)}

    (run_id,) = ids
    assert json.loads(require_success(await dev("runs", "watch", run_id, "--json")))["output"] == {"to": "Ada"}


async def test_workflows_are_paused_archived_and_deleted(dev: Dev, tmp_path: Path) -> None:
    await run_for(dev, "ends", "push", "--activate", write_definition(tmp_path, "w"))
    answers = [await run_for(dev, "ends", command, "w") for command in ("pause", "archive", "delete")]
    gone = await dev("workflows", "show", "w", "--customer", "ends")

    assert answers == ["w: paused, version 1", "w: archived, version 1", "w: deleted"]
    assert (gone.code, "there is no workflow 'w'" in gone.err) == (2, True)


async def test_nothing_is_pushed_if_one_file_is_wrong(dev: Dev, tmp_path: Path) -> None:
    wrong = write_definition(tmp_path, "wrong", trigger={"type": "schedule", "cron": "61 * * * *"})

    done = await dev("workflows", "push", write_definition(tmp_path, "right"), wrong, "--customer", "wrong")

    assert done.code == 2
    assert "wrong.json:" in done.err
    assert "nothing was stored" in done.err
    assert await run_for(dev, "wrong", "list") == ""


async def test_a_definition_without_an_id_is_not_pushed(dev: Dev, tmp_path: Path) -> None:
    nameless = await dev("workflows", "push", write_definition(tmp_path, "nameless", id=""), "--customer", "nameless")

    assert (nameless.code, "has no id" in nameless.err) == (2, True)
