"""The example `approval_with_timeout` with a real worker: links arrive by mail and in a chat, and decide."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from activities import load_builtin_registry
from examples.servers import Servers, run_servers
from orchestrator.temporal.worker import run_worker
from tests.api.support import APPROVAL_KEY, CLIENT_SECONDS, serve_api, wait_for_end
from tests.example_files import EXAMPLES, load_example
from tests.temporal.world import World, wait_until

pytestmark = [pytest.mark.temporal, pytest.mark.slow]

QUEUE = "approval-messages"
LINK = re.compile(r"http://[\w.:]+/approvals/[\w.-]+")


@dataclass
class Office:
    """The API, its worker, and the servers that get its messages."""

    api: httpx.AsyncClient
    servers: Servers

    async def start(self, **changes: Any) -> str:
        definition = load_example(next(path for path in EXAMPLES if path.stem == "approval_with_timeout"))
        for node in definition["nodes"]:
            if node["id"] == "decision":
                node["config"]["approval"]["reminder"]["every_seconds"] = 1
            if node["id"] == "buy":
                node["config"]["url"] = f"{self.servers.http_url}/crm/activities"
        run_input = {"item": "Desk", "amount": 640, "requester": "Jon", "manager": "lena@acme.example"}
        run_input |= {"chat_url": f"{self.servers.http_url}/crm/activities", **changes}
        answer = await self.api.post("/runs", json={"definition": definition, "input": run_input})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def find_link(self, texts: Any) -> str:
        async def find() -> str | None:
            return next((found[0] for text in texts() if (found := LINK.search(text))), None)

        link: str = await wait_until(find)
        return link

    async def decide(self, link: str, approved: str) -> str:
        async with httpx.AsyncClient(timeout=CLIENT_SECONDS) as browser:
            shown = await browser.get(link)
            decided = await browser.post(link, data={"approved": approved, "comment": "fine"})
        assert (shown.status_code, decided.status_code) == (200, 200), decided.text
        return decided.text

    def list_mails(self, to: str) -> list[str]:
        return [mail.text for mail in self.servers.mails if mail.to == (to,)]

    def list_chat(self) -> list[str]:
        return [json.dumps(request.body) for request in self.servers.requests if "please decide" in str(request.body)]


@pytest.fixture
async def office(world: World, tmp_path: Path) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(run_servers())
        services, address = await stack.enter_async_context(serve_api(world, tmp_path, task_queue=QUEUE))
        settings = services.settings.model_copy(
            update={
                "smtp_host": servers.smtp_host,
                "smtp_port": servers.smtp_port,
                "http_allowed_networks": ("127.0.0.0/8",),
                "public_url": address,
                "approval_secret": SecretStr(APPROVAL_KEY),
            }
        )
        await stack.enter_async_context(run_worker(world.client, settings, load_builtin_registry()))
        api = await stack.enter_async_context(httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=CLIENT_SECONDS))
        yield Office(api, servers)


async def test_a_link_in_a_mail_decides_and_no_history_holds_it(office: Office, world: World) -> None:
    run_id = await office.start()
    link = await office.find_link(lambda: office.list_mails("lena@acme.example"))
    text = await office.decide(link, "true")
    run = await wait_for_end(office.api, run_id)
    history = await world.client.get_workflow_handle(run_id).fetch_history()
    (decision,) = [step for step in run["steps"] if step["node_id"] == "decision"]

    assert "You have approved" in text
    assert run["status"] == "completed", run["error"]
    assert decision["output_data"]["by"] == "lena@acme.example"
    assert decision["output_data"]["payload"] == {"approved": True, "comment": "fine"}
    assert link.rpartition("/")[2].encode() not in b"".join(event.SerializeToString() for event in history.events)


async def test_a_silent_manager_is_reminded_in_a_chat_and_then_the_director_decides(office: Office) -> None:
    run_id = await office.start()
    reminder = await office.find_link(office.list_chat)
    # Her time would be over before a slow worker has sent the reminder, if it were seconds.
    over = {"kind": "skip_wait", "node_id": "decision"}
    answer = await office.api.post(f"/runs/{run_id}/interventions", json=over)
    assert answer.status_code == 200, answer.text
    link = await office.find_link(lambda: office.list_mails("director@acme.example"))
    await office.decide(link, "false")
    run = await wait_for_end(office.api, run_id)
    async with httpx.AsyncClient(timeout=CLIENT_SECONDS) as browser:
        late = await browser.get(reminder)

    assert run["output"] == {"decision": "declined"}
    assert late.status_code == 410
