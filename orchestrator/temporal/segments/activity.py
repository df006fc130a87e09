"""The local activity that runs a segment."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from json import loads
from typing import Any

from temporalio import activity

from activities.registry import Registry
from activities.resources import Resources
from activities.runtime import Attempt, run_action
from orchestrator.interpreter.compiled import Compiled
from orchestrator.interpreter.effects import ActRequest
from orchestrator.interpreter.execute import walk
from orchestrator.interpreter.segments import SegmentCall, SegmentClock
from orchestrator.interpreter.state import RunState
from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo
from orchestrator.telemetry.tracing import trace_action
from orchestrator.temporal.activity_inputs import build_activity_input
from orchestrator.temporal.segments.segment_run import SegmentRun, Unsent
from orchestrator.temporal.segments.walk_effects import WalkEffects
from orchestrator.temporal.segments.walk_loop import WalkLoop
from orchestrator.temporal.workflow.segments import SEGMENT

PLANS = 32
"""Plans that a worker keeps, with their compiled templates."""


class SegmentActivity:
    """Runs the segments of a worker."""

    def __init__(self, call_action: Callable[[RunInfo, str, ActRequest, int], Any]) -> None:
        """`call_action` gets the run, the id of its workflow, the action, and the number of the attempt."""
        self._call_action = call_action
        self._unsent: Unsent = {}

    @activity.defn(name=SEGMENT)
    async def run(self, head: dict[str, Any], plan_json: bytes, state_json: bytes) -> dict[str, Any]:
        """Run a segment: `{began, steps, bytes}`. An empty state leaves out the walk: only what was called runs."""
        info = RunInfo.model_validate(head["run"])
        calls = {entry["step_id"]: SegmentCall.decode(entry) for entry in head["calls"]}
        clock = SegmentClock(datetime.fromisoformat(head["began"]), head["seed"])

        async def call_action(request: ActRequest, number: int) -> Any:
            with trace_action(request.action, info.id, request.step_id, number):
                return await self._call_action(info, head["workflow_id"], request, number)

        segment = SegmentRun(clock, calls, call_action, self._unsent)
        try:
            await run_segment(segment, info, plan_json, state_json)
        except asyncio.CancelledError:
            # The run was cancelled: what has ended is recorded. Of a worker that ends, nothing is.
            if activity.is_worker_shutdown():
                raise
        return {
            "began": head["began"],
            "steps": [step.encode() for step in segment.steps],
            "bytes": segment.size,
        }


async def run_segment(segment: SegmentRun, info: RunInfo, plan_json: bytes, state_json: bytes) -> None:
    """Run a segment, with the walk of a state where there is one."""
    if not state_json:
        await segment.run(lambda: None)
        return
    plan, compiled = read_plan(plan_json)
    state = RunState.from_json(plan, loads(state_json))
    effects = WalkEffects(segment.clock, plan.yield_cost, segment.request, segment.cancel)
    loop = WalkLoop()  # type: ignore[abstract]  # no I/O, no timers
    loop.create_task(walk(plan, info, state, effects, compiled))
    segment.has_walk_ended = lambda: effects.spent >= effects.max_cost
    try:
        await segment.run(loop.run_until_idle)
    finally:
        loop.discard()


@lru_cache(PLANS)
def read_plan(plan_json: bytes) -> tuple[Plan, Compiled]:
    """Return a plan and what is compiled of it."""
    return Plan.model_validate_json(plan_json), Compiled()


def build_segment_activity(registry: Registry, resources: Resources) -> SegmentActivity:
    """Build the activity for the actions of a registry."""

    async def call_action(info: RunInfo, workflow_id: str, request: ActRequest, number: int) -> Any:
        if (spec := registry.actions.get(request.action)) is None:
            raise LookupError(f"this worker does not know the action `{request.action}`")
        argument: Mapping[str, Any] = build_activity_input(info, workflow_id, request).to_json()
        attempt = Attempt(number, request.timeout_seconds)
        return await run_action(spec, argument, resources, attempt)

    return SegmentActivity(call_action)
