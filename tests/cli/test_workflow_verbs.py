"""Every change of a workflow has the same effect through the command line and through the API."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.temporal.schedules.schedules import build_schedule_id
from tests.cli.commands import InProcess
from tests.cli.shell import Dev
from tests.cli.support import open_api, require_success, write_definition

pytestmark = pytest.mark.temporal

HOURLY = {"type": "schedule", "interval_seconds": 3600}
Change = Callable[..., Awaitable[None]]
STEPS = (
    # verb, arguments, status, version, schedule in Temporal: paused or not; None: there is none
    ("push", (), "draft", 0, None),
    ("activate", (), "active", 1, "running"),
    ("delete the schedule in Temporal", (), "active", 1, None),
    ("activate", (), "active", 1, "running"),
    ("pause", (), "paused", 1, "paused"),
    ("delete the schedule in Temporal", (), "paused", 1, None),
    ("push and activate", ("Changed",), "active", 2, "running"),
    ("delete the schedule in Temporal", (), "active", 2, None),
    ("push and activate", ("Changed",), "active", 2, "running"),
    ("rollback", (1,), "active", 3, "running"),
    ("pause", (), "paused", 3, "paused"),
    ("rollback", (2,), "paused", 4, "paused"),
    ("archive", (), "archived", 4, None),
    ("activate", (), "active", 4, "running"),
    ("delete", (), None, None, None),
)


COMMANDS = {"push and activate": ("push", "--activate"), "delete": ("delete", "--yes")}


def change_by_command(run: InProcess, customer: str, folder: Path) -> Change:
    async def change(verb: str, *args: object) -> None:
        command, *options = COMMANDS.get(verb, (verb,))
        if command == "push":
            name = str(args[0]) if args else "First"
            target: tuple[object, ...] = (write_definition(folder, "nightly", name=name, trigger=HOURLY),)
        else:
            target = ("nightly", *args)
        require_success(run("workflows", command, *options, *target, "--customer", customer))

    return change


def change_by_request(api: httpx.AsyncClient, customer: str, folder: Path) -> Change:
    params = {"customer_id": customer}

    async def send(method: str, path: str, body: Any = None) -> None:
        answer = await api.request(method, path, params=params, json=body)
        assert answer.is_success, answer.text

    async def change(verb: str, *args: object) -> None:
        if verb.startswith("push"):
            name = str(args[0]) if args else "First"
            body = write_definition(folder, "nightly", name=name, trigger=HOURLY).read_text()
            known = (await api.get("/workflows/nightly", params=params)).is_success
            headers = {"content-type": "application/json"}
            method, path = ("PUT", "/workflows/nightly") if known else ("POST", "/workflows")
            answer = await api.request(method, path, params=params, content=body, headers=headers)
            assert answer.is_success, answer.text
            if verb == "push":
                return
            verb = "activate"
        if verb == "delete":
            await send("DELETE", "/workflows/nightly")
        else:
            await send("POST", f"/workflows/nightly/{verb}", {"version": args[0]} if verb == "rollback" else None)

    return change


async def read_effect(api: httpx.AsyncClient, temporal: Client, customer: str) -> tuple[str | None, int | None, Any]:
    answer = await api.get("/workflows/nightly", params={"customer_id": customer})
    stored = answer.json() if answer.is_success else {"status": None, "version": None}
    try:
        description = await temporal.get_schedule_handle(build_schedule_id(customer, "nightly")).describe()
    except RPCError:
        schedule = None
    else:
        schedule = "paused" if description.schedule.state.paused else "running"
    return stored["status"], stored["version"], schedule


@pytest.mark.parametrize("way", ["command", "request"])
async def test_a_change_of_a_workflow_settles_its_trigger(
    dev: Dev, command: InProcess, tmp_path: Path, way: str
) -> None:
    customer = f"verbs-by-{way}"
    temporal = await Client.connect(str(dev.ready["temporal_address"]))
    effects = []
    async with open_api(dev) as api:
        make = (
            change_by_command(command, customer, tmp_path)
            if way == "command"
            else change_by_request(api, customer, tmp_path)
        )
        for verb, args, *_ in STEPS:
            if verb == "delete the schedule in Temporal":
                await temporal.get_schedule_handle(build_schedule_id(customer, "nightly")).delete()
            else:
                await make(verb, *args)
            effects.append((verb, args, *await read_effect(api, temporal, customer)))

    assert effects == list(STEPS)
