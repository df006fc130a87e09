"""A walk of all routes with the key of another customer: nothing of the first one is read, changed or told apart."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from api.app import PREFIX, create_app
from orchestrator.service.services import Services
from tests.api.support import Locked, wait_for_status
from tests.temporal.world import make_definition, wait_until

pytestmark = pytest.mark.temporal
EVENT = {"type": "event", "event": "order.paid"}
MADE = make_definition({"a": {"type": "wait", "config": {"event": "go"}}}, "trigger -> a")


@dataclass
class Foreign:
    """Resources of one customer, and the key of another one."""

    services: Services
    owner: httpx.AsyncClient
    other: httpx.AsyncClient
    address: str
    ids: dict[str, str]
    """The ids of the resources, by the name of the path parameter."""

    async def request_everything(self, ids: dict[str, str]) -> dict[str, httpx.Response]:
        """Call every operation with these ids as the other customer; return the answers by operation."""
        bodies = {
            "saveWorkflow": MADE | {"name": "taken over"},
            "rollbackWorkflow": {"version": 1},
            "resolveStep": {"node_id": "a", "action": "skip"},
            "repairRun": {"kind": "skip_wait", "node_id": "a"},
            "migrateRun": {"version": 1},
            "backfillSchedule": {"start_at": "2026-01-01T00:00:00Z", "end_at": "2026-01-01T01:00:00Z"},
        }
        answers = {}
        for path, methods in create_app(self.services).openapi()["paths"].items():
            if "{" not in path or "/hooks/" in path:
                continue
            for method, operation in methods.items():
                name = operation["operationId"]
                body = bodies.get(name, {} if method in ("post", "put") else None)
                address = path.removeprefix(PREFIX).format(**ids)
                answers[name] = await self.other.request(method, address, json=body)
        return answers

    async def list_documents(self) -> list[dict[str, Any]]:
        """Return what another customer might have changed; counts of runs lag by a second."""
        paths = ("/workflows/theirs", f"/runs/{self.ids['run_id']}")
        documents = [(await self.owner.get(path)).json() for path in paths]
        counts = ("run_count", "last_run_at")
        return [{name: value for name, value in each.items() if name not in counts} for each in documents]


@pytest.fixture
async def foreign(locked: Locked) -> Foreign:
    owner, other = await locked.client("acme"), await locked.client("evil", "admin")
    await owner.post("/workflows", json=MADE | {"id": "theirs", "trigger": EVENT})
    await owner.post("/workflows/theirs/activate")
    run_id = (await owner.post("/workflows/theirs/runs", headers={"idempotency-key": "k"})).json()["id"]
    await wait_for_status(owner, run_id, "waiting")  # its document changes until then
    delivery = (await owner.post("/events", json={"id": "e1", "name": "order.paid"})).json()
    harmless = {"operation": "resume", "filter": {"workflow_id": "theirs"}}  # no run is paused

    async def start_job() -> dict[str, Any] | None:
        answer = await owner.post("/bulk", json=harmless)
        return answer.json() if answer.status_code == 202 else None  # the list of runs may lag

    job = await wait_until(start_job)
    (key,) = await locked.services.keys.list_keys("acme")
    ids = {"workflow_id": "theirs", "version": "1", "run_id": run_id, "delivery_id": delivery["id"], "name": "go"}
    return Foreign(locked.services, owner, other, locked.address, ids | {"key_id": key.id, "job_id": job["id"]})


async def test_no_route_tells_resources_of_another_customer_from_missing_ones(foreign: Foreign) -> None:
    missing = {name: f"no-such-{name}" if name != "version" else "1" for name in foreign.ids}
    answers = await foreign.request_everything(foreign.ids)

    assert len(answers) > 25
    for operation, missing_answer in (await foreign.request_everything(missing)).items():
        answer = answers[operation]
        assert answer.status_code == missing_answer.status_code == 404, operation
        text, missing_text = answer.text, missing_answer.text
        # The longest first: the ID of a run begins with that of its workflow.
        for name, value in sorted(foreign.ids.items() - {("version", "1")}, key=lambda each: -len(each[1])):
            text, missing_text = text.replace(value, name), missing_text.replace(missing[name], name)
        assert text == missing_text, f"{operation} tells the two apart"


async def test_no_route_changes_resources_of_another_customer(foreign: Foreign) -> None:
    before, keys = await foreign.list_documents(), await foreign.services.keys.list_keys("acme")
    await foreign.request_everything(foreign.ids)

    assert await foreign.list_documents() == before
    assert await foreign.services.keys.list_keys("acme") == keys, "neither rotated nor revoked"


async def test_no_list_has_resources_of_another_customer(foreign: Foreign) -> None:
    for path in ("/workflows", "/runs", "/deliveries"):
        items = (await foreign.other.get(path)).json()["items"]
        assert [each for each in items if each["customer_id"] != "evil"] == [], path
    assert [each["customer_id"] for each in (await foreign.other.get("/keys")).json()["items"]] == ["evil"]


UNWALKED = {
    **dict.fromkeys(("/healthz", "/readyz"), "say nothing of customers"),
    f"{PREFIX}/hooks/{{customer}}/{{path:path}}": "has no key: see test_webhook_signatures",
    "/approvals/{token}": "has no key, its link names the run and is signed: see test_approvals",
    **dict.fromkeys(("/", "/static"), "the files of the console, the same for everybody"),
    **dict.fromkeys(("/problems/{code}", "/problems"), "pages of the documentation"),
    **dict.fromkeys(
        ("/docs", "/docs/start.js", "/docs/{name}", "/openapi.json", f"{PREFIX}/openapi.json"),
        "the description of the API",
    ),
}
"""Routes that have nothing of a customer, and why."""
BODIES: dict[str, Any] = {
    f"POST {PREFIX}/workflows": MADE,
    f"POST {PREFIX}/workflows/validate": MADE,
    f"POST {PREFIX}/workflows/validate-all": {"workflows": [MADE]},
    f"POST {PREFIX}/workflows/layout": MADE,
    f"POST {PREFIX}/runs": {"definition": MADE},
    f"POST {PREFIX}/bulk": {"operation": "pause", "filter": {"workflow_id": "theirs"}},
    f"POST {PREFIX}/events": {"name": "order.paid"},
    f"POST {PREFIX}/deliveries/redrive": {"workflow_id": "theirs"},
    f"POST {PREFIX}/variables": {"template": "{{ a }}"},
    f"POST {PREFIX}/conditions/evaluate": {"condition": {"field": "a", "value": 1}},
    f"POST {PREFIX}/codec/decode": {"payloads": []},
    f"POST {PREFIX}/keys": {"name": "mine", "scopes": ["read"]},
}
"""Valid bodies of the routes that name nothing in their path."""
FOR_ALL = {f"GET {PREFIX}/caller": 200, "GET /metrics": 403}
"""Routes that take no customer, and what they answer to one."""


def list_routes(services: Services) -> list[str]:
    """Return `METHOD /path` of every route of the app, also of those that its description leaves out."""
    routes = []
    for route in iter_route_contexts(create_app(services).routes):
        methods = sorted(getattr(route, "methods", None) or ["GET"])
        routes += [f"{method} {getattr(route, 'path', '')}" for method in methods if method != "HEAD"]
    return routes


def list_routes_without_names(services: Services) -> list[str]:
    """Return the routes that name nothing in their path; the others are in `request_everything`."""
    named = {path for path in create_app(services).openapi()["paths"] if "{" in path}
    return [each for each in list_routes(services) if each.partition(" ")[2] not in {*named, *UNWALKED}]


async def test_no_route_serves_who_asks_for_another_customer(foreign: Foreign) -> None:
    """Each route is walked: one that is new is here by itself, and needs a body, or a reason in `UNWALKED`."""
    routes = list_routes_without_names(foreign.services)
    for each in routes:
        method, path = each.split(" ")
        answers = [
            await foreign.other.request(
                method, f"{foreign.address}{path}", params={"customer_id": customer}, json=BODIES.get(each)
            )
            for customer in ("acme", "nobody")
        ]

        assert [answer.status_code for answer in answers] == [FOR_ALL.get(each, 404)] * 2, each
        assert answers[0].text == answers[1].text, each
    assert len(routes) > 20


async def test_no_route_shows_anything_of_another_customer(foreign: Foreign) -> None:
    names = {value for name, value in foreign.ids.items() if name.endswith("_id")}
    for each in list_routes_without_names(foreign.services):
        method, path = each.split(" ")
        if method != "GET":
            continue
        answer = await foreign.other.get(f"{foreign.address}{path}")

        assert answer.status_code in (200, FOR_ALL.get(each)), each
        assert [name for name in names if name in answer.text] == [], each


async def test_metrics_are_for_keys_to_all_customers(foreign: Foreign, locked: Locked) -> None:
    """They name workflows that wait for people, of all customers."""
    admin = await locked.client("", "read")
    refused = await foreign.other.get(f"{foreign.address}/metrics")

    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await admin.get(f"{foreign.address}/metrics")).status_code == 200


def test_every_reason_is_of_a_route(services: Services) -> None:
    known = {each.partition(" ")[2] for each in list_routes(services)}

    assert [path for path in UNWALKED if path not in known] == []
    assert [each for each in (*BODIES, *FOR_ALL) if each not in list_routes(services)] == []
