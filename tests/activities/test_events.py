"""`event.emit` posts events."""

import json
from typing import Any

from tests.activities.conftest import Caller, Web, answer


async def test_events_are_posted_with_the_step_as_their_id(web: Web, make_caller: Any) -> None:
    web.routes["/events"] = lambda _: answer(202, {})

    caller = make_caller(
        events_url=f"{web.url}/events", events_key="ork_1", http_allow_private=False, http_allowed_networks=()
    )
    result = await caller("event.emit", {"name": "order.paid", "data": {"n": 1}})

    assert web.seen[0].headers["authorization"] == "Bearer ork_1"
    assert result == {"event_id": "r:n"}
    sent = json.loads(web.seen[0].body)
    assert sent == {"id": "r:n", "name": "order.paid", "data": {"n": 1}, "customer_id": "c"}


async def test_events_with_a_key_are_posted_for_the_runs_that_wait_for_it(web: Web, make_caller: Any) -> None:
    web.routes["/events"] = lambda _: answer(202, {})
    caller = make_caller(events_url=f"{web.url}/events")

    await caller("event.emit", {"name": "order.confirmed", "key": {"order": 7}, "keep_seconds": 60})
    await caller("event.emit", {"name": "order.confirmed", "key": {"order": "A-7"}})
    refused = await caller.failure("event.emit", {"name": "order.confirmed", "key": {"order": 7, "shop": 1}})

    sent = [json.loads(request.body) for request in web.seen]
    assert [(each["key"], each.get("keep_seconds")) for each in sent] == [({"order": 7}, 60), ({"order": "A-7"}, None)]
    assert refused.type == "validation_error"


async def test_emit_fails_without_an_events_url(call: Caller) -> None:
    failure = await call.failure("event.emit", {"name": "order.paid"})

    assert failure.type == "execution_error"
    assert failure.non_retryable
