"""A server and a worker with scripted actions, for runs of definitions."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from orchestrator.model.plan import Plan
from orchestrator.model.run import Run
from orchestrator.planner.planner import check
from orchestrator.settings import Settings
from orchestrator.temporal.client import connection, flow_reader, updates
from orchestrator.temporal.client.connection import connect
from orchestrator.temporal.client.runs import Runs
from orchestrator.temporal.devserver import DevServer
from orchestrator.temporal.segments.activity import SegmentActivity
from orchestrator.temporal.worker import set_deadlock_timeout
from orchestrator.temporal.workflow.run_workflow import RunWorkflow
from tests.golden import read_definition
from tests.temporal.answers import Script, Scripts

SECONDS = 150.0
"""Maximum wait in a test, in seconds."""
QUEUE = "tests"
NUMBERS = count(1)
"""Of customers, whose names no two worlds on one server may share: one lists their runs."""
STORES = ("folder", pytest.param("s3", marks=pytest.mark.slow))
"""Kinds of payload stores of the fixture `large`."""

STRICT = SandboxedWorkflowRunner()
"""Imports our modules again for each run, with every restriction: 0.15 s per run."""
NONE = UnsandboxedWorkflowRunner()
"""As in production."""
HEARTBEAT_SECONDS = 60.0
"""Heartbeat timeout of actions: a busy machine may be silent for seconds."""
HEARTBEAT_THROTTLE = timedelta(seconds=0.2)
"""Time between two heartbeats; a cancellation arrives with the answer to one."""


async def wait_until(what: Callable[[], Awaitable[Any]], seconds: float = SECONDS) -> Any:
    """Poll until the result is true, and return it; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await what()
            if answer:
                return answer
            await asyncio.sleep(0.02)


async def wait_for_call(script: Script, action: str) -> None:
    """Wait until an action has been called."""

    async def has_called() -> bool:
        return bool(script.list_calls(action))

    await wait_until(has_called)


@contextmanager
def extend_time_limits() -> Iterator[None]:
    """Allow workers a minute to accept what an operator sends, and clients some minutes to read a history.

    A busy machine may otherwise be too late. Few tests are about that.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(updates, "UPDATE_SECONDS", 70.0)
        patch.setattr(updates, "TAKEN_SECONDS", 60.0)
        patch.setattr(flow_reader, "READ_SECONDS", 180.0)
        yield


async def connect_patiently(settings: Settings) -> Client:
    """Connect to a server that may take long to answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "CONNECT_SECONDS", 60)
        return await connect(settings)


@dataclass
class World:
    """A client and a worker for runs of tests."""

    client: Client
    runs: Runs
    scripts: Scripts
    queue: str = QUEUE
    numbers: Any = field(default_factory=lambda: NUMBERS)

    def script(self, answers: Mapping[str, Any] | None = None, customer: str | None = None) -> tuple[str, Script]:
        """Return a new customer and the script of its actions."""
        name = customer or f"customer-{next(self.numbers)}"
        self.scripts.by_customer[name] = Script(answers or {})
        return name, self.scripts.by_customer[name]

    async def start(self, plan: Plan, run_input: Any = None, **more: Any) -> str:
        return (await self.runs.start(self.runs.prepare(plan, input_data=run_input, **more))).id

    async def run(self, plan: Plan, run_input: Any = None, **more: Any) -> Run:
        """Run a plan to completion."""
        return await self.wait_for_end(await self.start(plan, run_input, **more))

    async def wait_for_end(self, run_id: str) -> Run:
        async with asyncio.timeout(SECONDS):
            return await self.runs.reader.wait_for_result(run_id)

    async def wait_for_waiting(self, run_id: str, kind: str) -> Run:
        """Wait until the run has a wait of this kind."""

        async def find_waiting() -> Run | None:
            run = await self.runs.reader.read_document(run_id)
            return run if any(wait["kind"] == kind for wait in run.waiting_for) else None

        found: Run = await wait_until(find_waiting)
        return found


@asynccontextmanager
async def open_world(
    server: DevServer, *, queue: str = QUEUE, payload_store: str | None = None, **more: Any
) -> AsyncIterator[World]:
    """Open a world on a server."""
    settings = Settings(
        temporal_address=server.address, ui_url=server.ui_url, task_queue=queue, payload_store=payload_store
    )
    client = await connect_patiently(settings)
    world = World(client, Runs(client, settings), Scripts(), queue)
    async with run_scripted_worker(world, **more):
        yield world


@asynccontextmanager
async def run_scripted_worker(world: World, runner: WorkflowRunner = NONE, **more: Any) -> AsyncIterator[Worker]:
    """Run a worker whose actions follow the world's scripts."""
    worker = Worker(
        world.client,
        task_queue=world.queue,
        workflows=[RunWorkflow],
        activities=[world.scripts.act, SegmentActivity(world.scripts.call_fused).run],
        workflow_runner=runner,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        **more,
    )
    set_deadlock_timeout(worker)
    async with worker:
        yield worker


def make_definition(nodes: Mapping[str, Any], *edges: str, **more: Any) -> dict[str, Any]:
    """Build a definition from `{id: action name | node}` and edges `a -> b` or `a -port-> b, c`."""
    return read_definition({"nodes": nodes, "edges": edges, **more}, "short", "short")


def make_plan(
    nodes: Mapping[str, Any], *edges: str, customer: str, workflows: Mapping[str, Any] | None = None, **more: Any
) -> Plan:
    """Build a definition as `make_definition` does, and plan it."""
    definition = make_definition(nodes, *edges, **more) | {"customer_id": customer}
    return check(definition, workflows=workflows).require()


def add_heartbeats(part: Any, action: str, seconds: float = HEARTBEAT_SECONDS) -> Any:
    """Set a heartbeat timeout on the nodes that call an action, as a registered action would have it."""
    if isinstance(part, dict):
        walked = {key: add_heartbeats(value, action, seconds) for key, value in part.items()}
        return {**walked, "heartbeat_seconds": seconds} if walked.get("action") == action and "id" in walked else walked
    return [add_heartbeats(item, action, seconds) for item in part] if isinstance(part, list) else part
