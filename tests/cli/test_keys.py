"""`keys`: API keys created, listed, rotated and revoked."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.service.services import open_keys
from orchestrator.settings import Settings
from orchestrator.store.audit import AuditEntry
from tests.api.support import serve_api
from tests.cli.commands import InProcess
from tests.cli.shell import Shell
from tests.cli.support import require_success, write_definition
from tests.temporal.world import World

CREATE = ("keys", "create", "shop", "--customer", "acme", "--scopes", "read,run", "--days", 30)


@pytest.fixture
def offline(tmp_path: Path) -> InProcess:
    """Commands without an API."""
    return InProcess({"ORCHESTRATOR_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})


@pytest.fixture
async def shell(world: World, tmp_path: Path) -> AsyncIterator[Shell]:
    """Commands with an API of their own, which requires keys once there is one."""
    async with serve_api(world, tmp_path / "home") as (_, address):
        yield Shell({"ORCHESTRATOR_API_URL": address})


async def list_keys(shell: Shell) -> list[dict[str, Any]]:
    return list(json.loads(require_success(await shell("keys", "list", "--json"))))


def test_the_first_key_is_created_in_the_database(offline: InProcess) -> None:
    created = offline(*CREATE)
    second = offline(*CREATE)
    if_all_are_lost = offline(*CREATE, "--database")

    assert require_success(created).startswith("ork_")
    assert "for acme: read, run; the secret is shown only once" in created.err
    assert (second.code, "no API is known that could create another one" in second.err) == (2, True)
    assert require_success(if_all_are_lost).startswith("ork_")


def test_a_key_that_is_created_in_the_database_is_in_the_audit_log(offline: InProcess) -> None:
    created = json.loads(require_success(offline(*CREATE, "--json")))

    async def list_entries() -> list[AuditEntry]:
        async with open_keys(Settings(home=Path(offline.env["ORCHESTRATOR_HOME"]))) as (_, audit):
            return await audit.list_entries("acme")

    (entry,) = asyncio.run(list_entries())
    assert (entry.actor, entry.operation, entry.target) == ("command line", "createKey", created["id"])


def test_a_first_key_that_cannot_manage_keys_is_noted(offline: InProcess) -> None:
    """Nobody could create another one by the API: the first key closes it."""
    notes = [offline(*CREATE).err, offline(*CREATE, "--database").err]

    assert "this first one may not manage keys" in notes[0]
    assert "`orchestrator keys create NAME --scopes admin --database`" in notes[0]
    assert "may not manage keys" not in notes[1]


def test_no_database_is_made_in_a_folder_that_nobody_has_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = InProcess({"XDG_CONFIG_HOME": str(tmp_path)})(*CREATE)

    assert (done.code, f"there is no database in {tmp_path}/.orchestrator" in done.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.temporal
async def test_keys_are_created_rotated_and_revoked_by_the_api(shell: Shell) -> None:
    admin = require_success(await shell("keys", "create", "admin", "--scopes", "admin"))
    refused = await shell("keys", "list")
    shell.env["ORCHESTRATOR_API_KEY"] = admin
    secret = require_success(await shell(*CREATE))
    _, key = await list_keys(shell)
    rotated = require_success(await shell("keys", "rotate", key["id"]))
    unsure = await shell("keys", "revoke", key["id"])
    require_success(await shell("keys", "revoke", key["id"], "--yes"))
    listed = require_success(await shell("keys", "list")).splitlines()[-1].split("\t")
    again = await shell("keys", "rotate", key["id"])

    assert (refused.code, "set ORCHESTRATOR_API_KEY" in refused.err) == (2, True), refused.err
    assert (unsure.code, "this needs confirmation" in unsure.err) == (2, True), unsure.err
    assert (key["customer_id"], key["scopes"], key["revoked_at"]) == ("acme", ["read", "run"], None)
    assert secret.startswith("ork_")
    assert secret not in json.dumps(key)
    assert rotated != secret
    assert listed[1:4] == ["shop", "read,run", "revoked"]
    assert (again.code, "is revoked and cannot be rotated" in again.err, again.out) == (2, True, "")


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.temporal
async def test_what_a_key_creates_carries_its_name(shell: Shell, tmp_path: Path) -> None:
    """The command line was recorded as the author, whichever key it used."""
    key = require_success(await shell("keys", "create", "nightly-ci", "--scopes", "read,edit"))
    shell.env["ORCHESTRATOR_API_KEY"] = key
    require_success(await shell("workflows", "push", "--activate", "examples/large_order.json"))

    shown = json.loads(require_success(await shell("workflows", "show", "large_order")))
    (version,) = json.loads(require_success(await shell("workflows", "versions", "large_order", "--json")))
    assert (shown["created_by"], version["published_by"]) == ("nightly-ci", "nightly-ci")


@pytest.mark.temporal
async def test_a_key_of_one_customer_cannot_push_for_another(shell: Shell, tmp_path: Path) -> None:
    shell.env["ORCHESTRATOR_API_KEY"] = require_success(await shell("keys", "create", "ci", "--customer", "acme"))
    done = await shell("workflows", "push", write_definition(tmp_path, "w", customer_id="evil"))

    assert done.code == 2
    assert "error: this API key may not act for customer 'evil'" in done.err
    assert done.err.startswith(f"{tmp_path}/w.json:1:")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("create", "x", "--scopes", "read,rite"), "unknown scope rite"),
        (("create", "x", "--customer", ""), "--customer '' is not a valid customer ID"),
        (("create", "x", "--customer", " "), "--customer ' ' is not a valid customer ID"),
        (("create", "x", "--customer", "*"), "--customer '*' is not a valid customer ID"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_key_command_is_bad_usage(offline: InProcess, args: tuple[str, ...], message: str) -> None:
    done = offline("keys", *args)

    assert (done.code, message in done.err, done.out) == (2, True, ""), done.err
