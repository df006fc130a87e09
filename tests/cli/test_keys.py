"""`keys`: API keys created, listed, rotated and revoked."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import InProcess
from tests.cli.support import require_success


@pytest.fixture
def command(tmp_path: Path) -> InProcess:
    return InProcess({"ORCHESTRATOR_HOME": str(tmp_path)})


CREATE = ("keys", "create", "shop", "--customer", "acme", "--scopes", "read,run", "--days", 30)


def read_key(command: InProcess) -> dict[str, Any]:
    (key,) = json.loads(require_success(command("keys", "list", "--json")))
    return dict(key)


def test_a_secret_is_shown_once(command: InProcess) -> None:
    created = command(*CREATE)
    secret = require_success(created)
    key = read_key(command)

    assert secret.startswith("ork_")
    assert "shown only once" in created.err
    assert (key["customer_id"], key["scopes"], key["revoked_at"]) == ("acme", ["read", "run"], None)
    assert secret not in require_success(command("keys", "list"))


def test_keys_are_rotated_and_revoked(command: InProcess) -> None:
    secret = require_success(command(*CREATE))
    key = read_key(command)
    rotated = require_success(command("keys", "rotate", key["id"]))
    require_success(command("keys", "revoke", key["id"]))
    listed = require_success(command("keys", "list"))
    again = command("keys", "rotate", key["id"])

    assert rotated != secret
    assert listed.endswith("revoked")
    assert (again.code, "is revoked and cannot be rotated" in again.err, again.out) == (2, True, "")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("create", "x", "--scopes", "read,rite"), "unknown scope rite"),
        (("create", "x", "--customer", ""), "--customer '' is not a valid customer ID"),
        (("create", "x", "--customer", " "), "--customer ' ' is not a valid customer ID"),
        (("create", "x", "--customer", "*"), "--customer '*' is not a valid customer ID"),
        (("revoke", "none"), "there is no key 'none'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_key_command_is_bad_usage(command: InProcess, args: tuple[str, ...], message: str) -> None:
    done = command("keys", *args)

    assert (done.code, message in done.err, done.out) == (2, True, ""), done.err
