"""A customer with a thousand queued runs does not delay the single run of another."""

import asyncio

import pytest

from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import DevServer
from tests.temporal.world import World, make_plan, open_world, run_scripted_worker, wait_until

pytestmark = [pytest.mark.temporal, pytest.mark.slow]
QUEUED = 1000


async def test_a_single_run_does_not_wait_for_anothers_thousand(server: DevServer) -> None:
    async with open_world(server) as world:
        settings = world.runs.settings.model_copy(update={"task_queue": "fairness"})
        queued = World(world.client, Runs(world.client, settings), world.scripts, queue="fairness")
        busy, busy_script = queued.script({}, "busy-customer")
        small, _ = queued.script({}, "small-customer")
        nodes = {"a": {"type": "action", "action": "anything", "config": {}}}
        many, one = (make_plan(nodes, "trigger -> a", customer=name) for name in (busy, small))
        for _ in range(0, QUEUED, 50):
            await asyncio.gather(*(queued.start(many) for _ in range(50)))
        single = await queued.start(one)

        async with run_scripted_worker(queued, max_concurrent_activities=2, max_concurrent_workflow_tasks=2):
            await queued.wait_for_end(single)
            before = len(busy_script.calls)

            async def run_rest() -> bool:
                return len(busy_script.calls) == QUEUED

            await wait_until(run_rest, 120)

    assert before < QUEUED / 10, f"{before} of {QUEUED} actions of the other customer came first"
