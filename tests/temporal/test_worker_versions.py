"""A worker is replaced by one of another build, under runs in every state."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.common import VersioningBehavior
from temporalio.service import RPCError

from orchestrator.settings import Settings
from orchestrator.temporal.worker import build_deployment_config
from tests.temporal.world import World, make_plan, run_scripted_worker, wait_until

pytestmark = pytest.mark.temporal
STATES = ("sleeping", "waiting", "paused", "working")
RUNS = 200
NODES = {
    "state": {
        "type": "switch",
        "config": {"value": "{{ input.state }}", "cases": {state: state for state in STATES}},
    },
    "nap": {"type": "delay", "delay_seconds": 20},
    "hear": {"type": "wait", "config": {"event": "go"}},
    "pause": {"type": "wait", "config": {"event": "hold"}},
    "work": {"type": "action", "action": "shop.work", "retry": {"initial_interval": 0.2, "maximum_attempts": 20}},
    "end": {"type": "action", "action": "shop.end"},
}
EDGES = (
    *("trigger -> state", "state -sleeping-> nap", "state -waiting-> hear", "state -paused-> pause"),
    *("state -working-> work", "nap -> end", "hear -> end", "pause -> end", "work -> end"),
)


@pytest.fixture
def alone(world: World) -> World:
    """The same server, with a queue that no worker serves yet."""
    queue = f"versions-{next(world.numbers)}"
    settings = world.runs.settings.model_copy(update={"task_queue": queue})
    return replace(world, runs=type(world.runs)(world.client, settings), queue=queue)


async def make_current(world: World, deployment: str, build: str) -> None:
    """Send the tasks of a deployment to a build, as soon as Temporal knows it."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=world.client.namespace, deployment_name=deployment, build_id=build
    )

    async def accept() -> bool:
        try:
            await world.client.workflow_service.set_worker_deployment_current_version(request)
        except RPCError:  # the worker has not polled yet
            return False
        return True

    await wait_until(accept)


async def read_build(world: World, run_id: str) -> str | None:
    """Return the build whose tasks a run follows; none before its first workflow task has ended."""
    described = await world.client.get_workflow_handle(run_id).describe()
    info = described.raw_description.workflow_execution_info.versioning_info
    return info.deployment_version.build_id if info.behavior == VersioningBehavior.AUTO_UPGRADE.value else None


@pytest.mark.slow
@pytest.mark.long
async def test_no_run_is_lost_when_a_worker_is_upgraded(alone: World) -> None:
    customer, script = alone.script()
    script.gates["work"] = asyncio.Event()
    plan = make_plan(NODES, *EDGES, customer=customer)
    deployment = alone.queue
    async with AsyncExitStack() as old:
        config = build_deployment_config(f"{deployment}@old")
        await old.enter_async_context(run_scripted_worker(alone, deployment_config=config))
        await make_current(alone, deployment, "old")
        states = [STATES[number % len(STATES)] for number in range(RUNS)]
        run_ids = await asyncio.gather(*(alone.start(plan, {"state": state}) for state in states))
        by_state = {
            state: [each for each, its in zip(run_ids, states, strict=True) if its == state] for state in STATES
        }
        await asyncio.gather(*(alone.runs.pause(run_id) for run_id in by_state["paused"]))

        async def are_working() -> bool:
            return len(script.list_calls("shop.work")) >= RUNS // len(STATES)

        async def have_begun() -> bool:
            return set(await asyncio.gather(*(read_build(alone, run_id) for run_id in run_ids))) == {"old"}

        await wait_until(are_working)
        await wait_until(have_begun)
        config = build_deployment_config(f"{deployment}@new")
        async with run_scripted_worker(alone, deployment_config=config):
            await make_current(alone, deployment, "new")
            await old.aclose()
            script.gates["work"].set()
            await asyncio.gather(*(alone.runs.send_event(run_id, "go", None) for run_id in by_state["waiting"]))
            await asyncio.gather(*(alone.runs.send_event(run_id, "hold", None) for run_id in by_state["paused"]))
            await asyncio.gather(*(alone.runs.resume(run_id) for run_id in by_state["paused"]))
            runs = await asyncio.gather(*map(alone.wait_for_end, run_ids))
            after = await asyncio.gather(*(read_build(alone, run_id) for run_id in run_ids))

    assert Counter(run.status for run in runs) == {"completed": RUNS}
    # On a slow machine some may have slept enough before the new build was current.
    assert {build for build, state in zip(after, states, strict=True) if state != "sleeping"} == {"new"}
    ends = Counter(call["context"]["run_id"] for call in script.list_calls("shop.end"))
    assert (len(ends), set(ends.values())) == (RUNS, {1})


@pytest.mark.parametrize("text", ["orchestrator", "a.b@1", "@1", "a@", "a@b c"])
def test_a_deployment_has_a_name_and_a_build(text: str) -> None:
    with pytest.raises(ValueError, match="must be name@build"):
        Settings(deployment=text)


def test_without_a_deployment_a_worker_is_of_no_build() -> None:
    config = build_deployment_config(Settings(deployment="orchestrator@2026.11.3").deployment)

    assert build_deployment_config(None) is None
    assert config is not None
    assert (config.version.deployment_name, config.version.build_id) == ("orchestrator", "2026.11.3")
