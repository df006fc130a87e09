"""Deliveries by command: what came for a paused workflow is released as one selection."""

import json
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import InProcess
from tests.cli.shell import SECONDS, Dev
from tests.cli.support import require_success, write_definition

pytestmark = pytest.mark.temporal


async def test_what_came_for_a_paused_workflow_is_released(dev: Dev, command: InProcess, tmp_path: Path) -> None:
    customer = ("--customer", "released")
    path = write_definition(tmp_path, "kept", name="Kept", trigger={"type": "event", "event": "kept"})
    require_success(command("workflows", "push", "--activate", path, *customer))
    require_success(command("workflows", "pause", "kept", *customer))
    params = {"customer_id": "released"}
    async with httpx.AsyncClient(base_url=f"{dev.ready['api']}/api/v1", params=params, timeout=SECONDS) as api:
        for number in range(2):
            assert (await api.post("/events", json={"name": "kept", "data": number})).is_success
    early = command("deliveries", "release", "kept", *customer)
    require_success(command("workflows", "activate", "kept", *customer))
    paused = json.loads(require_success(command("deliveries", "list", "--outcome", "paused", *customer, "--json")))
    newest = paused[0]["received_at"]

    some = require_success(command("deliveries", "release", "kept", "--received-after", newest, *customer))
    rest = require_success(command("deliveries", "release", "kept", *customer, "--json"))

    assert (early.code, "workflow 'kept' is not active" in early.err) == (2, True), early.err
    assert len(paused) == 2
    assert some == "1 run starts"
    assert json.loads(rest) == {"released": 1}
