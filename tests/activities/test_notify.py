"""`notify.webhook` signs what it posts."""

import json

from activities.notify import sign
from tests.activities.conftest import Caller, Web, answer


async def test_notifications_are_signed(web: Web, call: Caller) -> None:
    web.routes["/hook"] = lambda _: answer(200)
    parameters = {"url": f"{web.url}/hook", "text": "Look", "payload": {"run": 1}, "secret": "k"}

    assert await call("notify.webhook", parameters) == {"status": 200}

    seen = web.seen[0]
    assert json.loads(seen.body) == {"run": 1, "text": "Look"}
    expected = sign("k", seen.headers["x-orchestrator-timestamp"], seen.body.decode())
    assert seen.headers["x-orchestrator-signature"] == f"sha256={expected}"
    assert seen.headers["idempotency-key"] == "r:n"
