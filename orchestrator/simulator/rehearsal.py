"""Run a plan with what a real run was answered: its input, its events at their times, and the results of its calls.

No action is called, whatever the plan says: all answers come from the record. A call that the run has not made ends the
rehearsal, because its answer is not known. No I/O.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NoReturn, cast

from orchestrator.errors import StepFailed, parse_error_type
from orchestrator.interpreter.effects import ActionResult, ActRequest, CallRequest, EventFilter, ReceivedEvent
from orchestrator.interpreter.execute import execute
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.interpreter.watched_log import WatchedLog
from orchestrator.model.plan import Action, Call, Plan
from orchestrator.model.plan_nodes import iterate_nodes
from orchestrator.model.run import Run, RunInfo, StepDocument
from orchestrator.simulator.effects import SimulatedEffects, Simulation
from orchestrator.simulator.recording import list_events, list_resolutions
from orchestrator.simulator.simulate import EPOCH, build_document, deliver_later
from orchestrator.timing.virtual_loop import Stuck, VirtualLoop

STEPLESS = ("/notify~", "/remind~")
"""Parts of the IDs of calls that leave no step: those that notify an operator, or remind people of an approval."""
SPARE_STEPS = 10_000
"""Steps that a plan may take beyond ten times those of the run: it could go round for ever."""


@dataclass(frozen=True, slots=True)
class World:
    """What is another one in each run, whatever its definition: the time, UUIDs and the ID of the run."""

    shift: timedelta = timedelta(0)
    first_uuid: int = 0
    run_id: str | None = None
    """`None` is that of the run."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that a run did."""

    kind: Literal["step", "call", "delay", "wait"]
    step_id: str
    """Empty for a delay or a wait: the step before it is the one."""
    value: Any
    """What is compared: the action and its parameters, how long and until when, or the events and their key."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a plan does with the answers of a run."""

    run: Run
    steps: list[StepDocument]
    """In the order of their starts."""
    moments: list[Moment]
    unknown_call: Moment | None
    """The call that the run has not made, with which the rehearsal ended."""


class AnyKey(str):
    """The key of an event that is not recorded: it is the one that a wait asks for."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    __hash__ = str.__hash__


@dataclass(slots=True)
class _Recorded(Simulation):
    """A simulation that knows the steps of a run."""

    recorded: Mapping[str, StepDocument] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    unknown_call: Moment | None = None
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def watch(self, state: RunState) -> None:
        """Record the steps of a flow as they begin."""

        def record(step: Step) -> None:
            self.steps.append(step)
            self.moments.append(Moment("step", step.id, None))

        state.log = WatchedLog(state.log, record)


class _RecordedEffects(SimulatedEffects):
    """Effects that answer with what was recorded, after the time that it took."""

    @property
    def record(self) -> _Recorded:
        return cast("_Recorded", self.simulation)

    async def act(self, request: ActRequest) -> ActionResult:
        moment = Moment("call", request.step_id, {"action": request.action, "parameters": request.parameters})
        self.record.moments.append(moment)
        if any(part in request.step_id for part in STEPLESS):
            return ActionResult({})
        step = await self._find_answer_of(moment)
        return ActionResult(step.output_data, step.retry_count + 1)

    async def call_workflow(self, request: CallRequest) -> dict[str, Any]:
        moment = Moment("call", request.step_id, {"workflow": request.plan.id, "parameters": request.input})
        self.record.moments.append(moment)
        return dict((await self._find_answer_of(moment)).output_data)

    async def _find_answer_of(self, moment: Moment) -> StepDocument:
        """Return the recorded step of a call when it has ended; raise StepFailed where it failed."""
        step = self.record.recorded.get(moment.step_id)
        if step is None:
            self.record.unknown_call = moment
            self.record.stopped.set()
            await _wait_forever()
        if step.completed_at is None or step.status == "cancelled":
            await _wait_forever()  # until the scope is given up, as it was
        await asyncio.sleep((step.completed_at - step.started_at).total_seconds())
        if step.error is None:
            return step
        raise StepFailed(
            str(step.error.get("message", "")),
            error_type=parse_error_type(step.error.get("error_type")),
            details=dict(step.error.get("details") or {}),
            recoverable=bool(step.error.get("recoverable", True)),
            attempts=step.retry_count + 1,
        )

    async def sleep(self, seconds: float, title: str) -> None:
        if not title.startswith("timeout of "):  # one that is not reached changes nothing
            until = self.now() + timedelta(seconds=seconds)
            value = {"seconds": round(seconds, 3), "until": round(until.timestamp(), 3)}
            self.record.moments.append(Moment("delay", "", value))
        await super().sleep(seconds, title)

    async def receive(
        self, wanted: EventFilter, timeout_seconds: float | None, title: str, branches: tuple[str, ...], turn: int
    ) -> ReceivedEvent | None:
        self.record.moments.append(Moment("wait", "", {"events": list(wanted.names), "key": wanted.key}))
        return await super().receive(wanted, timeout_seconds, title, branches, turn)


async def _wait_forever() -> NoReturn:
    await asyncio.Event().wait()
    raise Stuck


def rehearse(plan: Plan, run: Run, world: World, *, recorded_by: Plan) -> Rehearsal:
    """Return what a plan does with the answers of a run, which executed the plan `recorded_by`."""
    start = run.started_at or EPOCH
    limited = plan.model_copy(
        update={
            "version": run.workflow_version,  # templates may name it, and it is another one in each version
            "step_log_limit": SPARE_STEPS * 100,
            "max_steps": min(plan.max_steps, len(run.steps) * 10 + SPARE_STEPS),
        }
    )
    nodes = {node.id: node for node in iterate_nodes(recorded_by.scope)}
    steps = [(step, nodes[step.node_id]) for step in run.steps if step.node_id in nodes]
    simulation = _Recorded(
        start + world.shift,
        {},
        [each for step, node in steps for each in list_resolutions(step, node)],
        uuid_count=world.first_uuid,
        recorded={step.id: step for step, node in steps if isinstance(node, Action | Call)},
    )
    events = [event for step, node in steps for event in list_events(step, node, start)]
    info = RunInfo(
        id=world.run_id or run.id,
        customer_id=run.customer_id,
        trigger_type=run.trigger_type,
        parent_run_id=run.parent_run_id,
    )
    state = RunState.new(limited, info, run_input=run.input_data, trigger=run.trigger_data, now=simulation.start)
    simulation.watch(state)
    loop = VirtualLoop()
    try:
        with contextlib.suppress(Stuck):
            loop.run_until_complete(
                _run_flow(limited, info, state, simulation, [{**event, "key": AnyKey("*")} for event in events])
            )
        # Before the loop is closed: what is in progress would be cancelled, and then undone.
        return Rehearsal(
            build_document(limited, info, state, simulation),
            [step.to_document() for step in simulation.steps],
            list(simulation.moments),
            simulation.unknown_call,
        )
    finally:
        loop.discard()


async def _run_flow(
    plan: Plan, info: RunInfo, state: RunState, simulation: _Recorded, events: Iterable[Mapping[str, Any]]
) -> None:
    """Run until the plan ends, or makes a call that has no answer."""
    effects = _RecordedEffects(simulation, plan, info, state)
    for event in events:
        simulation.background_tasks.append(asyncio.create_task(deliver_later(simulation, event)))
    flow = asyncio.create_task(execute(plan, info, state, effects))
    stop = asyncio.create_task(simulation.stopped.wait())
    done, _ = await asyncio.wait({flow, stop}, return_when=asyncio.FIRST_COMPLETED)
    if flow in done:
        flow.result()
