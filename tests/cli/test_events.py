"""Events by command start workflows, and reach the run that waits for them."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import InProcess
from tests.cli.shell import Dev
from tests.cli.support import require_success, write_definition

pytestmark = pytest.mark.temporal


async def test_an_event_reaches_the_run_with_its_key(dev: Dev, command: InProcess, tmp_path: Path) -> None:
    customer = ("--customer", "confirmed")
    hear = {"id": "hear", "type": "wait", "config": {"event": "order.confirmed"}}
    edges = [{"source": "trigger", "target": "hear"}]
    keys = {"keys": {"order": "{{ input.order }}"}}
    path = write_definition(tmp_path, "orders", nodes=[hear], edges=edges, settings=keys)
    require_success(command("workflows", "push", "--activate", path, *customer))
    run_id = require_success(command("workflows", "start", "orders", "--input", '{"order": 7}', *customer))
    send = ("events", "send", "order.confirmed", '{"ok": true}', *customer)
    sent = json.loads(require_success(command(*send, "--event-key", "order=7", "--json")))
    bad = command(*send, "--event-key", "order")
    require_success(command("runs", "watch", run_id))
    run = json.loads(require_success(command("runs", "show", run_id, "--json")))

    assert sent["outcome"] == "accepted"
    assert (bad.code, "--event-key order is not NAME=VALUE" in bad.err) == (2, True)
    assert run["status"] == "completed"
