"""`workflows`: definitions stored, published and started from the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.shell import Dev
from tests.cli.support import require_success, write_caller, write_definition

pytestmark = pytest.mark.temporal


async def test_definitions_are_kept_published_and_started(dev: Dev, tmp_path: Path) -> None:
    mine = ("--customer", "kept")
    pushed = require_success(
        await dev(
            "workflows", "push", write_caller(tmp_path, "caller", "callee"), write_definition(tmp_path, "callee"), *mine
        )
    )
    assert pushed.splitlines() == ["callee: draft, version 1", "caller: draft, version 1"], "callees come first"
    assert require_success(await dev("workflows", "activate", "callee", *mine)) == "callee: active, version 1"
    require_success(
        await dev("workflows", "push", "--activate", write_definition(tmp_path, "callee", name="New"), *mine)
    )
    assert require_success(await dev("workflows", "rollback", "callee", 1, *mine)) == "callee: active, version 3"
    listed = json.loads(require_success(await dev("workflows", "versions", "callee", "--json", *mine)))
    assert [(each["version"], each["copy_of"]) for each in listed] == [(3, 1), (2, None), (1, None)]
    shown = json.loads(require_success(await dev("workflows", "show", "callee", *mine)))
    assert (shown["name"], shown["status"]) == ("Callee", "active")
    given = ("--input", '{"to": "Ada"}', "--key", "once")
    ids = {require_success(await dev("workflows", "start", "callee", *given, *mine)) for _ in range(2)}
    assert len(ids) == 1
    assert json.loads(require_success(await dev("runs", "watch", ids.pop(), "--json")))["output"] == {"to": "Ada"}
    table = require_success(await dev("workflows", "list", *mine)).splitlines()
    assert [line.split("\t")[:3] for line in table] == [["callee", "Callee", "active"], ["caller", "Caller", "draft"]]
    assert require_success(await dev("workflows", "pause", "callee", *mine)) == "callee: paused, version 3"
    assert require_success(await dev("workflows", "archive", "callee", *mine)) == "callee: archived, version 3"
    assert require_success(await dev("workflows", "delete", "caller", *mine)) == "caller: deleted"
    gone = await dev("workflows", "show", "caller", *mine)
    assert (gone.code, "there is no workflow 'caller'" in gone.err) == (2, True)


async def test_nothing_is_kept_where_one_file_is_wrong(dev: Dev, tmp_path: Path) -> None:
    wrong = write_definition(tmp_path, "wrong", trigger={"type": "schedule", "cron": "61 * * * *"})
    mine = ("--customer", "kept-wrong")

    done = await dev("workflows", "push", write_definition(tmp_path, "right"), wrong, *mine)

    assert done.code == 2
    assert "wrong.json:" in done.err
    assert "nothing was stored" in done.err
    assert require_success(await dev("workflows", "list", *mine)) == ""
    nameless = await dev("workflows", "push", write_definition(tmp_path, "nameless", id=""), *mine)
    assert (nameless.code, "has no id" in nameless.err) == (2, True)
