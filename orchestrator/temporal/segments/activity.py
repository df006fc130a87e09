"""The local activity that runs a segment."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from json import loads
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from activities.registry import Registry
from activities.resources import Resources
from activities.results import ActionAnswer
from activities.runtime import Attempt, make_attempt
from orchestrator.interpreter.effects import ActRequest
from orchestrator.interpreter.execute import walk
from orchestrator.interpreter.segments import SegmentCall, SegmentClock
from orchestrator.interpreter.state import RunState
from orchestrator.model.run import RunInfo
from orchestrator.telemetry.tracing import is_tracing_enabled, trace_action
from orchestrator.temporal.activity_inputs import build_activity_input
from orchestrator.temporal.known_plans import read_known_plan
from orchestrator.temporal.segments.segment_effects import SegmentEffects
from orchestrator.temporal.segments.segment_loop import SegmentLoop
from orchestrator.temporal.segments.segment_run import SegmentRun, Unsent
from orchestrator.temporal.workflow.segments import SEGMENT

CallAction = Callable[[RunInfo, str, ActRequest, int], Coroutine[Any, Any, ActionAnswer]]
"""Makes an attempt: gets the run, the id of its workflow, the action, and the number of the attempt."""


class SegmentActivity:
    """Runs the segments of a worker."""

    def __init__(self, call_action: CallAction) -> None:
        self._call_action = call_action
        self._unsent: Unsent = {}

    @activity.defn(name=SEGMENT)
    async def run(self, head: dict[str, Any], plan_json: bytes, state_json: bytes) -> RawValue:
        """Run a segment: `{began, steps, bytes}`. An empty state leaves out the walk: only what was called runs."""
        segment = self.open_segment(head)
        try:
            await run_segment(segment, RunInfo.model_validate(head["run"]), plan_json, state_json)
        except asyncio.CancelledError:
            # The run was cancelled: what has ended is recorded. Of a worker that ends, nothing is.
            if activity.is_worker_shutdown():
                raise
        return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=segment.encode()))

    def open_segment(self, head: Mapping[str, Any]) -> SegmentRun:
        """Return the segment that the first argument of the activity describes."""
        info = RunInfo.model_validate(head["run"])
        calls = {entry["step_id"]: SegmentCall.decode(entry) for entry in head["calls"]}
        clock = SegmentClock(datetime.fromisoformat(head["began"]), head["seed"])
        is_traced = is_tracing_enabled()

        async def call_action(request: ActRequest, number: int) -> ActionAnswer:
            call = self._call_action(info, head["workflow_id"], request, number)
            if not is_traced:
                return await call
            with trace_action(request.action, info.id, request.step_id, number):
                return await call

        return SegmentRun(clock, calls, call_action, self._unsent, info.max_payload_bytes)


async def run_segment(segment: SegmentRun, info: RunInfo, plan_json: bytes, state_json: bytes) -> None:
    """Run a segment, with the walk of a state where there is one."""
    if not state_json:
        await segment.run(lambda: None)
        return
    known = read_known_plan(plan_json)
    plan = known.plan
    state = RunState.from_json(plan, loads(state_json))
    effects = SegmentEffects(segment.clock, plan.yield_cost, info.max_payload_bytes, segment.request)
    loop = SegmentLoop()  # type: ignore[abstract]  # no I/O, no timers
    loop.create_task(walk(plan, info, state, effects, known.compiled))
    segment.has_walk_ended = lambda: effects.spent >= effects.max_cost
    try:
        await segment.run(loop.run_until_idle)
    finally:
        loop.discard()


def build_segment_activity(registry: Registry, resources: Resources) -> SegmentActivity:
    """Build the activity for the actions of a registry."""

    async def call_action(info: RunInfo, workflow_id: str, request: ActRequest, number: int) -> ActionAnswer:
        if (spec := registry.actions.get(request.action)) is None:
            raise LookupError(f"this worker does not know the action `{request.action}`")
        call = build_activity_input(info, workflow_id, request)
        return await make_attempt(spec, call, resources, Attempt(number, request.timeout_seconds))

    return SegmentActivity(call_action)
