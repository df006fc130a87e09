"""Many runs of one customer, queued or computing, do not delay the single run of another."""

import asyncio

import pytest
from temporalio.api.enums.v1 import EventType

from activities import load_builtin_registry
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import DevServer
from orchestrator.temporal.worker import run_worker
from tests.scale import scale
from tests.temporal.world import World, make_plan, open_world, run_scripted_worker, wait_until

pytestmark = [pytest.mark.temporal, pytest.mark.slow]
QUEUED = 50 * scale(5)
COMPUTING = 16


@pytest.mark.long
async def test_a_single_run_does_not_wait_for_hundreds_of_another(server: DevServer) -> None:
    async with open_world(server) as world:
        settings = world.runs.settings.model_copy(update={"task_queue": "fairness"})
        queued = World(world.client, Runs(world.client, settings), world.scripts, queue="fairness")
        busy, busy_script = queued.script({}, "busy-customer")
        small, small_script = queued.script({}, "small-customer")
        nodes = {"a": {"type": "action", "action": "anything", "config": {}}}
        many, one = (make_plan(nodes, "trigger -> a", customer=name) for name in (busy, small))
        for _ in range(0, QUEUED, 50):
            await asyncio.gather(*(queued.start(many) for _ in range(50)))
        single = await queued.start(one)
        small_script.calls = busy_script.calls  # one list, in the order in which they come

        async with run_scripted_worker(queued, max_concurrent_activities=2, max_concurrent_workflow_tasks=2):

            async def have_all_called() -> bool:
                return len(busy_script.calls) == QUEUED + 1

            await queued.wait_for_end(single)
            await wait_until(have_all_called, 300)
            before = [call["context"]["customer_id"] for call in busy_script.calls].index(small)

    assert before < QUEUED / 10, f"{before} of {QUEUED} actions of the other customer came first"


@pytest.mark.long
async def test_a_single_run_ends_beside_many_that_compute(server: DevServer) -> None:
    """All workflow tasks of the computing runs wait for each other in the worker, for longer than the SDK's 2 s."""
    async with open_world(server) as world:
        settings = world.runs.settings.model_copy(update={"task_queue": "computing"})
        runs = Runs(world.client, settings)
        queued = World(world.client, runs, world.scripts, queue="computing")
        loop = {"type": "loop", "collection": 5_000_000, "body": ["s"]}
        count = {"type": "set", "config": {"n": 1}}
        busy = make_plan({"each": loop, "s": count}, "trigger -> each", customer="computes")
        busy = busy.model_copy(update={"yield_cost": 20_000_000})  # about 0.15 s, 16 times
        log = {"type": "action", "action": "log.message", "config": {"message": "hi"}}
        small = make_plan({"a": log, "b": log, "c": log}, "trigger -> a", "a -> b", "b -> c", customer="small")
        computing = [await queued.start(busy) for _ in range(COMPUTING)]

        waiting = list(computing)

        async def have_begun() -> bool:
            waiting[:] = [run for run in waiting if not await count_events(queued, run, "TIMER_FIRED")]
            return not waiting

        async with run_worker(world.client, settings, load_builtin_registry()):
            await wait_until(have_begun, 240)
            single = await queued.wait_for_end(await queued.start(small))
            failures = [await count_events(queued, run, "WORKFLOW_TASK_FAILED") for run in computing]
            for run in computing:
                await runs.terminate(run)

    assert single.status == "completed"
    assert sum(failures) < COMPUTING / 4, "a task that waits for its turn is not stuck"


async def count_events(world: World, run_id: str, kind: str) -> int:
    history = await world.client.get_workflow_handle(run_id).fetch_history()
    return sum(EventType.Name(event.event_type) == f"EVENT_TYPE_{kind}" for event in history.events)
