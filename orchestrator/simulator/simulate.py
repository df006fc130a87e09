"""Effects in memory: the same interpreter on a virtual clock, with answers in place of actions.

Months of delays take milliseconds. The only I/O is what a callable answer does.
"""

import asyncio
import selectors
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from orchestrator.errors import DefinitionInvalid, OrchestratorError, StepFailed
from orchestrator.interpreter import execute, execute_branch
from orchestrator.interpreter.effects import Acted, ActRequest, BranchRequest, BranchResult, CallRequest, Resolution
from orchestrator.language import render
from orchestrator.model.definition import Definition
from orchestrator.model.plan import ANY_EVENT, Plan
from orchestrator.model.run import Run, RunInfo, RunState, document, waiting
from orchestrator.planner import check, check_input

Answer = Mapping[str, Any] | Sequence[Mapping[str, Any]] | Callable[[Any], Awaitable[Any]]
"""`{"output": template}` or `{"error": {message, error_type}}`, a list of them for one call after another
(the last repeats), or an async function of the parameters."""

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When a simulation begins unless told otherwise: the same at every run, so that traces compare."""


class SimulationStuck(OrchestratorError):
    """The run waits for something that the simulation was not given."""

    code = "simulation_stuck"


class _VirtualSelector(selectors.SelectSelector):
    """Never waits: moves the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            ready = super().select(0)
            if not ready:
                raise SimulationStuck
            return ready
        self.elapsed += max(timeout, 0.0)
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only by sleeping."""

    def __init__(self) -> None:
        self.virtual = _VirtualSelector()
        super().__init__(self.virtual)

    def time(self) -> float:
        return self.virtual.elapsed


@dataclass(slots=True)
class _World:
    """What all flows of one simulation share."""

    start: datetime
    answers: Mapping[str, Answer]
    resolutions: list[Mapping[str, Any]]
    calls: dict[str, int] = field(default_factory=dict)
    """How often each action was called."""
    uuids: int = 0
    flows: list["_SimulatedEffects"] = field(default_factory=list)
    branches: list[RunState] = field(default_factory=list)
    """Branches run beside the main flow: their steps belong to the run."""
    background: list[asyncio.Task[Any]] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)
    """By step id: the action that nothing answered."""

    def now(self) -> datetime:
        return self.start + timedelta(seconds=asyncio.get_running_loop().time())


class _SimulatedEffects:
    """Effects for one flow."""

    def __init__(self, world: _World, info: RunInfo, waits: Sequence[str] | None, early: dict[str, deque[Any]]) -> None:
        self.world = world
        self.info = info
        self.waits = waits
        self.inbox = early
        self.arrived = asyncio.Event()
        world.flows.append(self)

    def now(self) -> datetime:
        return self.world.now()

    def uuid(self) -> str:
        self.world.uuids += 1
        return str(UUID(int=self.world.uuids, version=4))

    async def act(self, request: ActRequest) -> Acted:
        answer = self.world.answers.get(request.action)
        if answer is None:
            self.world.unanswered[request.step_id] = request.action
            return Acted({"simulated": True})
        if callable(answer):
            return Acted(await answer(request.parameters))
        policy = request.retry
        interval, attempt = policy.initial_interval, 1
        while True:
            try:
                return Acted(self._answer(answer, request, attempt), attempt)
            except StepFailed as failure:
                failure.attempts = attempt
                if not failure.recoverable or failure.error_type not in policy.retry_on:
                    raise
                if attempt >= policy.maximum_attempts > 0:
                    raise _exhausted(failure) if attempt > 1 else failure from None
            await asyncio.sleep(min(interval, policy.maximum_interval))
            interval *= policy.backoff_coefficient
            attempt += 1

    def _answer(self, answer: Any, request: ActRequest, attempt: int) -> Any:
        call = self.world.calls.get(request.action, 0)
        self.world.calls[request.action] = call + 1
        if isinstance(answer, Sequence):
            answer = answer[min(call, len(answer) - 1)]
        given = {"params": request.parameters, "attempt": attempt, "node_id": request.node_id}
        if "error" in answer:
            error = render(answer["error"], given)
            error = error if isinstance(error, Mapping) else {"message": str(error)}
            raise StepFailed(
                str(error.get("message", "the action failed")),
                error_type=error.get("error_type", "action_error"),
                details=dict(error.get("details") or {}),
                recoverable=error.get("recoverable", True),
            )
        return render(answer.get("output", {}), given)

    async def sleep(self, seconds: float, title: str) -> None:
        await asyncio.sleep(seconds)

    async def receive(self, event: str, timeout_seconds: float | None, title: str) -> tuple[Any] | None:
        queue = self.inbox.setdefault(event, deque())
        try:
            async with asyncio.timeout(timeout_seconds):
                while not queue:
                    self.arrived.clear()
                    await self.arrived.wait()
        except TimeoutError:
            return None
        return (queue.popleft(),)

    def deliver(self, event: str, payload: Any) -> None:
        """Hand over an event, if this flow reads that name."""
        if self.waits is None or event in self.waits or ANY_EVENT in self.waits:
            self.inbox.setdefault(event, deque()).append(payload)
            self.arrived.set()

    async def branch(self, request: BranchRequest) -> BranchResult:
        names = self.inbox if ANY_EVENT in request.waits else request.waits
        early = {name: deque(self.inbox[name]) for name in names if name in self.inbox}
        effects = _SimulatedEffects(self.world, self.info, request.waits, early)
        state = RunState.new(
            request.plan,
            self.info,
            given=None,
            trigger=None,
            now=self.now(),
            context=request.context,
            path=request.path,
        )
        self.world.branches.append(state)
        try:
            return await execute_branch(request.plan, self.info, state, effects, request.exports)
        finally:
            self.world.flows.remove(effects)

    async def call(self, request: CallRequest) -> dict[str, Any]:
        info = RunInfo(id=f"{self.info.id}/{request.step_id}", parent_run_id=self.info.id)
        state = RunState.new(request.plan, info, given=request.input, trigger=None, now=self.now())
        flow = execute(request.plan, info, state, _SimulatedEffects(self.world, info, None, {}))
        if not request.wait:
            self.world.background.append(asyncio.get_running_loop().create_task(flow))
            return {"run_id": info.id, "status": "running", "output": None}
        outcome = await flow
        if outcome.error is not None:
            raise StepFailed(
                f"workflow {request.plan.id} failed: {outcome.error['message']}",
                error_type=outcome.error["error_type"],
                details={"run_id": info.id, "error": outcome.error},
                recoverable=outcome.error["recoverable"],
            )
        return {"run_id": info.id, "status": outcome.status, "output": outcome.output}

    async def decide(self, step_id: str, node_id: str, error: dict[str, Any]) -> Resolution:
        for word in self.world.resolutions:
            if word.get("node_id") == node_id:
                self.world.resolutions.remove(word)
                target = word.get("target") or word.get("retry_from")
                return Resolution(word["action"], word.get("parameters"), word.get("value"), target)
        await asyncio.Event().wait()
        raise SimulationStuck

    def due(self, *, resumable: bool) -> bool:
        return False

    async def boundary(self, *, resumable: bool) -> None:
        """Do nothing: nothing pauses a simulation."""


def _exhausted(failure: StepFailed) -> StepFailed:
    """Say that no attempt is left (SPEC §6)."""
    last = {"message": failure.message, "error_type": failure.error_type, "details": failure.details}
    return StepFailed(
        failure.message,
        error_type="retry_exhausted",
        details={"attempts": failure.attempts, "last_error": last},
        attempts=failure.attempts,
    )


def simulate(
    definition: Definition | Mapping[str, Any] | Plan,
    *,
    input: Any = None,  # noqa: A002 - the contract's name
    actions: Mapping[str, Answer] | None = None,
    workflows: Mapping[str, Mapping[str, Any]] | None = None,
    events: Sequence[Mapping[str, Any]] = (),
    resolutions: Sequence[Mapping[str, Any]] = (),
    trigger: Any = None,
    start: datetime = EPOCH,
) -> Run:
    """Run a definition in memory and give its run document.

    `events` are `{at: seconds from the start, name, payload}`; `resolutions` are operators' words:
    `{node_id, action, value | parameters | target}`, each used once. A run that waits for something it was
    not given ends the simulation as `waiting`. Raises DefinitionInvalid for a bad definition or input.
    """
    made = definition if isinstance(definition, Plan) else _planned(definition, workflows)
    found = check_input(made, input)
    if found:
        raise DefinitionInvalid(found)
    world = _World(start, actions or {}, list(resolutions))
    info = RunInfo(id="simulated", customer_id=made.customer_id)

    def work() -> Run:
        return _simulate(made, info, world, input, trigger, events)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _planned(definition: Any, workflows: Mapping[str, Mapping[str, Any]] | None) -> Plan:
    verdict = check(definition, workflows=workflows)
    if verdict.plan is None:
        raise DefinitionInvalid(verdict.problems)
    return verdict.plan


def _simulate(
    plan: Plan, info: RunInfo, world: _World, given: Any, trigger: Any, events: Sequence[Mapping[str, Any]]
) -> Run:
    state = RunState.new(plan, info, given=given, trigger=trigger, now=world.start)
    loop = _VirtualLoop()
    try:
        main = loop.create_task(_main(plan, info, state, world, events))
        try:
            loop.run_until_complete(main)
        except SimulationStuck:
            return _shown(plan, info, state, world)
        return _shown(plan, info, state, world)
    finally:
        _close(loop)


async def _main(plan: Plan, info: RunInfo, state: RunState, world: _World, events: Sequence[Mapping[str, Any]]) -> None:
    effects = _SimulatedEffects(world, info, None, {})
    deliveries = [asyncio.create_task(_deliver_later(world, event)) for event in events]
    await execute(plan, info, state, effects)
    for delivery in deliveries:
        delivery.cancel()
    await asyncio.gather(*deliveries, *world.background, return_exceptions=True)


async def _deliver_later(world: _World, event: Mapping[str, Any]) -> None:
    await asyncio.sleep(float(event.get("at", 0)))
    for flow in list(world.flows):
        flow.deliver(event["name"], event.get("payload"))


def _close(loop: _VirtualLoop) -> None:
    """End what still waits, so that nothing is left pending."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


def _shown(plan: Plan, info: RunInfo, state: RunState, world: _World) -> Run:
    """Make the run document, with the steps of branches in the order they started."""
    shown = document(plan, info, state)
    steps = [*shown.steps, *(step.document() for branch in world.branches for step in branch.log)]
    steps.sort(key=lambda step: step.started_at)
    for step in steps:
        if step.id in world.unanswered:
            step.warnings.append(f"no answer was given for {world.unanswered[step.id]}: simulated")
    waits = [entry for branch in world.branches if branch.status == "running" for entry in waiting(branch)]
    return shown.model_copy(update={"steps": steps, "waiting_for": [*shown.waiting_for, *waits]})
