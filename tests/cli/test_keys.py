"""`keys`: API keys created, listed, rotated and revoked."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Shell
from tests.cli.support import require_success

pytestmark = pytest.mark.process


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell({"ORCHESTRATOR_HOME": str(tmp_path)})


CREATE = ("keys", "create", "shop", "--customer", "acme", "--scopes", "read,run", "--days", 30)


async def read_key(shell: Shell) -> dict[str, Any]:
    (key,) = json.loads(require_success(await shell("keys", "list", "--json")))
    return dict(key)


async def test_a_secret_is_shown_once(shell: Shell) -> None:
    created = await shell(*CREATE)
    secret = require_success(created)
    key = await read_key(shell)

    assert secret.startswith("ork_")
    assert "shown only once" in created.err
    assert (key["customer_id"], key["scopes"], key["revoked_at"]) == ("acme", ["read", "run"], None)
    assert secret not in require_success(await shell("keys", "list"))


async def test_keys_are_rotated_and_revoked(shell: Shell) -> None:
    secret = require_success(await shell(*CREATE))
    key = await read_key(shell)
    rotated = require_success(await shell("keys", "rotate", key["id"]))
    require_success(await shell("keys", "revoke", key["id"]))
    listed = require_success(await shell("keys", "list"))
    again = await shell("keys", "rotate", key["id"])

    assert rotated != secret
    assert listed.endswith("revoked")
    assert (again.code, "is revoked: a new secret would open nothing" in again.err, again.out) == (2, True, "")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("create", "x", "--scopes", "read,rite"), "unknown scope rite"),
        (("create", "x", "--customer", ""), "--customer '' is not a valid customer ID"),
        (("create", "x", "--customer", " "), "--customer ' ' is not a valid customer ID"),
        (("revoke", "none"), "there is no key 'none'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_a_bad_key_command_is_bad_usage(shell: Shell, args: tuple[str, ...], message: str) -> None:
    done = await shell("keys", *args)

    assert (done.code, message in done.err, done.out) == (2, True, ""), done.err
