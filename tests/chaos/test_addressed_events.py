"""Many runs and as many events in random order, with kills: no event is lost, none is given twice.

`make test-chaos` has a thousand of each, the other targets fewer.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.converter import DefaultPayloadConverter

from orchestrator.temporal.client.connection import connect
from tests.chaos.test_service import Service, service  # noqa: F401 - a fixture
from tests.temporal.world import make_definition

pytestmark = [pytest.mark.chaos, pytest.mark.postgresql]

NUMBER = int(os.environ.get("CHAOS_EVENTS", "60"))
KILLS = max(4, NUMBER // 100)
AT_ONCE = 12
SEED = 20_261_126
DEADLINE = 1_800.0
NODES = {
    "before": {"type": "delay", "delay_seconds": "{{ input.seconds }}"},
    "hear": {"type": "wait", "config": {"event": "order.confirmed", "key": "{{ input.order }}"}},
    "hold": {"type": "wait", "config": {"event": "never"}},
}


class Storm:
    """Starts runs and sends events while processes are killed."""

    def __init__(self, service: Service) -> None:  # noqa: F811 - the fixture
        self.service = service
        self.choice = random.Random(SEED)
        self.run_ids: dict[int, str] = {}
        self.done = 0

    async def start(self, api: httpx.AsyncClient, order: int) -> None:
        body = {"input": {"order": order, "seconds": order % 3}}
        answer = await api.post("/workflows/hear/runs", json=body, headers={"Idempotency-Key": f"start-{order}"})
        assert answer.status_code == 202, answer.text
        self.run_ids[order] = answer.json()["id"]

    async def emit(self, api: httpx.AsyncClient, order: int) -> None:
        body = {"id": f"event-{order}", "name": "order.confirmed", "data": order, "key": {"order": order}}
        answer = await api.post("/events", json=body)
        assert answer.status_code == 202, answer.text

    async def play(self, steps: list[tuple[Callable[[httpx.AsyncClient, int], Awaitable[None]], int]]) -> None:
        left = list(reversed(steps))

        async def play_some() -> None:
            while left:
                try:
                    async with self.service.client() as api:
                        while left:
                            step, order = left.pop()
                            try:
                                await step(api, order)
                            except BaseException:
                                left.append((step, order))
                                raise
                            self.done += 1
                except (httpx.TransportError, AssertionError):  # the API is dead: a sender sends again
                    await asyncio.sleep(0.2)

        await asyncio.gather(*(play_some() for _ in range(AT_ONCE)))

    async def kill_while(self, total: int) -> None:
        """Kill the API and the worker in turn, each time after some more steps."""
        for number in range(1, KILLS + 1):
            while self.done < total * number / (KILLS + 1):
                await asyncio.sleep(0.05)
            if number % 2:
                await self.service.kill("api")
                await self.service.start_api()
            else:
                await self.service.kill("worker")
                await self.service.start_worker("worker")


async def list_given(client: Client, run_id: str) -> list[Any]:
    """Return the payloads of the events that a run was sent."""
    given = []
    async for event in client.get_workflow_handle(run_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            signal = event.workflow_execution_signaled_event_attributes
            (message,) = DefaultPayloadConverter().from_payloads(signal.input.payloads[:1])
            given.append(message["payload"])
    return given


async def test_no_event_is_lost_and_none_is_given_twice(
    service: Service,  # noqa: F811 - the fixture
    capsys: pytest.CaptureFixture[str],
) -> None:
    await service.start_worker("worker")
    async with service.client() as api:
        definition = make_definition(NODES, "trigger -> before", "before -> hear", "hear -> hold") | {"id": "hear"}
        assert (await api.post("/workflows", json=definition)).status_code == 201
        assert (await api.post("/workflows/hear/activate")).status_code == 200
    storm = Storm(service)
    steps = [(step, order) for order in range(NUMBER) for step in (storm.start, storm.emit)]
    storm.choice.shuffle(steps)

    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(storm.play(steps), storm.kill_while(len(steps)))
        client = await connect(service.settings)
        missing = dict(storm.run_ids)
        while missing:
            for order, run_id in list(missing.items()):
                if not await list_given(client, run_id):
                    await asyncio.sleep(0.2)
                    break
                del missing[order]
        # Sent again, and after another kill, none comes twice: a run that begins to wait later is served after them.
        await storm.play([(storm.emit, order) for order in range(NUMBER)])
        await service.kill("api")
        await service.start_api()
        await storm.play([(storm.emit, NUMBER), (storm.start, NUMBER)])
        while not await list_given(client, storm.run_ids[NUMBER]):
            await asyncio.sleep(0.5)
        given = {order: await list_given(client, run_id) for order, run_id in storm.run_ids.items()}

    with capsys.disabled(), contextlib.suppress(OSError):
        total = sum(map(len, given.values()))
        print(f"\nseed {SEED}: {len(given)} runs, {total} events given, {KILLS + 1} kills")
    assert given == {order: [order] for order in storm.run_ids}
