"""Definitions, keys and the database from the command line."""

import asyncio
import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.store.database import FILE
from tests.cli.shell import SECONDS, Dev, Done, Shell

pytestmark = pytest.mark.temporal


def written(folder: Path, name: str, /, **more: Any) -> Path:
    made = {
        "id": name, "name": name.title(), "trigger": {"type": "manual"},
        "nodes": [{"id": "say", "type": "end", "config": {"output": {"to": "{{ input.to }}"}}}],
        "edges": [{"source": "trigger", "target": "say"}],
    } | more  # fmt: skip
    path = folder / f"{name}.json"
    path.write_text(json.dumps(made))
    return path


def calling(folder: Path, name: str, other: str) -> Path:
    nodes = [{"id": "call", "type": "workflow", "config": {"workflow_id": other, "input": {"to": "you"}}}]
    return written(folder, name, nodes=nodes, edges=[{"source": "trigger", "target": "call"}])


def fine(done: Done) -> str:
    assert (done.code, "Traceback" in done.err) == (0, False), done.err
    return done.out.strip()


async def test_definitions_are_kept_published_and_started(dev: Dev, tmp_path: Path) -> None:
    mine = ("--customer", "kept")
    pushed = fine(
        await dev("workflows", "push", calling(tmp_path, "caller", "callee"), written(tmp_path, "callee"), *mine)
    )
    assert pushed.splitlines() == ["callee: draft, version 1", "caller: draft, version 1"], "callees come first"
    assert fine(await dev("workflows", "activate", "callee", *mine)) == "callee: active, version 1"
    fine(await dev("workflows", "push", "--activate", written(tmp_path, "callee", name="New"), *mine))
    assert fine(await dev("workflows", "rollback", "callee", 1, *mine)) == "callee: active, version 3"
    listed = json.loads(fine(await dev("workflows", "versions", "callee", "--json", *mine)))
    assert [(each["version"], each["copy_of"]) for each in listed] == [(3, 1), (2, None), (1, None)]
    shown = json.loads(fine(await dev("workflows", "show", "callee", *mine)))
    assert (shown["name"], shown["status"]) == ("Callee", "active")
    given = ("--input", '{"to": "Ada"}', "--key", "once")
    ids = {fine(await dev("workflows", "start", "callee", *given, *mine)) for _ in range(2)}
    assert len(ids) == 1
    assert json.loads(fine(await dev("runs", "watch", ids.pop(), "--json")))["output"] == {"to": "Ada"}
    table = fine(await dev("workflows", "list", *mine)).splitlines()
    assert [line.split("\t")[:3] for line in table] == [["callee", "Callee", "active"], ["caller", "Caller", "draft"]]
    assert fine(await dev("workflows", "pause", "callee", *mine)) == "callee: paused, version 3"
    assert fine(await dev("workflows", "archive", "callee", *mine)) == "callee: archived, version 3"
    assert fine(await dev("workflows", "delete", "caller", *mine)) == "caller: deleted"
    gone = await dev("workflows", "show", "caller", *mine)
    assert (gone.code, "there is no workflow 'caller'" in gone.err) == (2, True)


async def test_nothing_is_kept_where_one_file_is_wrong(dev: Dev, tmp_path: Path) -> None:
    wrong = written(tmp_path, "wrong", trigger={"type": "schedule", "cron": "61 * * * *"})
    mine = ("--customer", "kept-wrong")

    done = await dev("workflows", "push", written(tmp_path, "right"), wrong, *mine)

    assert done.code == 2
    assert "wrong.json:" in done.err
    assert "nothing was kept" in done.err
    assert fine(await dev("workflows", "list", *mine)) == ""
    nameless = await dev("workflows", "push", written(tmp_path, "nameless", id=""), *mine)
    assert (nameless.code, "has no id" in nameless.err) == (2, True)


async def test_a_schedule_is_triggered_and_backfilled(dev: Dev, tmp_path: Path) -> None:
    hourly = written(tmp_path, "hourly", trigger={"type": "schedule", "cron": "@hourly"})
    mine = ("--customer", "kept-hourly")
    fine(await dev("workflows", "push", "--activate", hourly, *mine))

    assert fine(await dev("schedule", "trigger", "hourly", *mine)) == "hourly: a run is started"
    span = ("--from", "2026-03-01T00:00Z", "--to", "2026-03-01T05:00Z")
    assert fine(await dev("schedule", "backfill", "hourly", *span, *mine)) == "hourly: 6 runs are started"
    bad = await dev("schedule", "backfill", "hourly", "--from", "soon", "--to", "2026-03-01T05:00Z", *mine)
    assert (bad.code, "--from 'soon' is no ISO 8601 time" in bad.err) == (2, True)
    fine(await dev("workflows", "archive", "hourly", *mine))
    none = await dev("schedule", "trigger", "hourly", *mine)
    assert (none.code, "has no schedule" in none.err) == (2, True)
    for args in (("trigger", "nope"), ("backfill", "nope", *span)):
        done = await dev("schedule", *args, *mine)
        assert (done.code, "there is no workflow 'nope'" in done.err) == (2, True), done.err


async def test_a_failed_run_is_tried_again(dev: Dev, tmp_path: Path) -> None:
    nodes = [
        {"id": "first", "type": "set", "config": {"x": 1}},
        {"id": "fails", "type": "end", "config": {"outcome": "failed", "message": "no stock"}},
    ]
    edges = [{"source": "trigger", "target": "first"}, {"source": "first", "target": "fails"}]
    file = written(tmp_path, "failing", nodes=nodes, edges=edges)
    run_id = fine(await dev("run", file, "--detach"))
    assert (await dev("runs", "watch", run_id)).code == 1

    again = fine(await dev("runs", "retry", run_id, "--from", "first"))

    ended = await dev("runs", "watch", again, "--json")
    assert (ended.code, json.loads(ended.out)["retried_from"]) == (1, run_id)
    nowhere = await dev("runs", "retry", run_id, "--from", "nowhere")
    assert (nowhere.code, "one of first, fails" in nowhere.err) == (2, True)


async def test_keys_are_made_listed_rotated_and_revoked(tmp_path: Path) -> None:
    shell = Shell({"ORCHESTRATOR_HOME": str(tmp_path)})
    made = await shell("keys", "create", "shop", "--customer", "acme", "--scopes", "read,run", "--days", 30)
    secret = fine(made)
    assert secret.startswith("ork_")
    assert "not shown again" in made.err
    (key,) = json.loads(fine(await shell("keys", "list", "--json")))
    assert (key["customer_id"], key["scopes"], key["revoked_at"]) == ("acme", ["read", "run"], None)
    assert secret not in fine(await shell("keys", "list"))
    assert fine(await shell("keys", "rotate", key["id"])) != secret
    fine(await shell("keys", "revoke", key["id"]))
    assert fine(await shell("keys", "list")).endswith("revoked")
    for args, message in (
        (("keys", "create", "x", "--scopes", "read,rite"), "rite is no scope"),
        (("keys", "create", "x", "--customer", ""), "--customer '' names nobody"),
        (("keys", "create", "x", "--customer", " "), "--customer ' ' names nobody"),
        (("keys", "revoke", "none"), "there is no key 'none'"),
        (("keys", "rotate", key["id"]), "is revoked: a new secret would open nothing"),
    ):
        done = await shell(*args)
        assert (done.code, message in done.err, done.out) == (2, True, ""), done.err


async def test_the_database_is_migrated_and_an_old_one_is_refused(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/own.db"
    shell = Shell({"ORCHESTRATOR_DATABASE_URL": address, "ORCHESTRATOR_HOME": str(tmp_path)})
    old = await shell("keys", "list")
    assert (old.code, "orchestrator store migrate" in old.err) == (3, True)

    for _ in range(2):
        assert fine(await shell("store", "migrate")) == "the database is up to date"

    assert fine(await shell("keys", "list")) == ""
    nobody = await Shell({"ORCHESTRATOR_DATABASE_URL": "postgresql://me:s3cret@127.0.0.1:9/x"})("keys", "list")
    assert (nobody.code, "s3cret" in nobody.err) == (3, False)


async def test_a_database_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    """Whoever opens an embedded home with an older release goes on with it."""
    address = f"sqlite:///{tmp_path}/{FILE}"
    shell = Shell({"ORCHESTRATOR_DATABASE_URL": address, "ORCHESTRATOR_HOME": str(tmp_path)})
    fine(await shell("store", "migrate"))
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    done = await shell("store", "migrate")

    assert fine(done) == "the database is of a newer release than this one: nothing is changed"
    for env in (shell.env, {"ORCHESTRATOR_HOME": str(tmp_path)}):
        listed = await Shell(env)("keys", "list")
        assert (listed.code, "version 9999 of a newer release" in listed.err) == (0, True), listed.err


@pytest.mark.parametrize("args", [("store", "migrate"), ("keys", "list")])
async def test_ctrl_c_ends_what_waits_for_the_database_without_a_traceback(args: tuple[str, ...]) -> None:
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        shell = Shell({"ORCHESTRATOR_DATABASE_URL": f"postgresql://me@127.0.0.1:{port}/x?ssl=disable"})
        process = await shell.begin(*args)
        async with asyncio.timeout(SECONDS):
            await asked.wait()
        process.send_signal(signal.SIGINT)
        done = await shell.end(process)

    assert (done.code, done.out, done.err) == (130, "", "stopping ...\n")


async def test_a_port_in_use_is_bad_usage(dev: Dev, tmp_path: Path) -> None:
    taken = httpx.URL(str(dev.ready["api"])).port
    shell = Shell({"ORCHESTRATOR_HOME": str(tmp_path / "home")})

    done = await shell("dev", "--port", taken, "--temporal-port", 0, "--ui-port", 0)

    assert done.code == 2
    assert "--port 0" in done.err
    assert "Traceback" not in done.err
