"""`keys`: API keys created, listed, rotated and revoked."""

import json
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.cli.support import require_success

pytestmark = pytest.mark.process


async def test_keys_are_made_listed_rotated_and_revoked(tmp_path: Path) -> None:
    shell = Shell({"ORCHESTRATOR_HOME": str(tmp_path)})
    made = await shell("keys", "create", "shop", "--customer", "acme", "--scopes", "read,run", "--days", 30)
    secret = require_success(made)
    assert secret.startswith("ork_")
    assert "shown only once" in made.err
    (key,) = json.loads(require_success(await shell("keys", "list", "--json")))
    assert (key["customer_id"], key["scopes"], key["revoked_at"]) == ("acme", ["read", "run"], None)
    assert secret not in require_success(await shell("keys", "list"))
    assert require_success(await shell("keys", "rotate", key["id"])) != secret
    require_success(await shell("keys", "revoke", key["id"]))
    assert require_success(await shell("keys", "list")).endswith("revoked")
    for args, message in (
        (("keys", "create", "x", "--scopes", "read,rite"), "unknown scope rite"),
        (("keys", "create", "x", "--customer", ""), "--customer '' is not a valid customer ID"),
        (("keys", "create", "x", "--customer", " "), "--customer ' ' is not a valid customer ID"),
        (("keys", "revoke", "none"), "there is no key 'none'"),
        (("keys", "rotate", key["id"]), "is revoked: a new secret would open nothing"),
    ):
        done = await shell(*args)
        assert (done.code, message in done.err, done.out) == (2, True, ""), done.err
