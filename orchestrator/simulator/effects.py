"""Answer the interpreter's effects in memory: mocked actions, delivered events, virtual time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from orchestrator.errors import StepFailed, parse_error_type
from orchestrator.expressions import default_env
from orchestrator.interpreter.compiled import Compiled
from orchestrator.interpreter.effects import (
    ActionResult,
    ActRequest,
    BranchRequest,
    BranchResult,
    CallRequest,
    EventFilter,
    ReceivedEvent,
    Resolution,
)
from orchestrator.interpreter.execute import execute, execute_branch
from orchestrator.interpreter.failures import build_retry_exhausted
from orchestrator.interpreter.inbox import Inbox
from orchestrator.interpreter.repair_requests import RepairRefused, RepairRequest, carry_out, plan_repair
from orchestrator.interpreter.repairs import Repairs
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.interpreter.watched_log import WatchedLog
from orchestrator.jsontools.parameters import (
    list_invalid_parameters,
    summarize_invalid_parameters,
    validate_parameters,
)
from orchestrator.jsontools.pointer import split_pointer
from orchestrator.language import Env, reveal
from orchestrator.model.plan import ANY_EVENT, Plan
from orchestrator.model.run import RunInfo
from orchestrator.planner.policies import Catalogue
from orchestrator.timing.virtual_loop import Stuck

SECRET = "[secret]"  # noqa: S105 - the placeholder in a simulation

Answer = Mapping[str, Any] | Sequence[Mapping[str, Any]] | Callable[[Any], Awaitable[Any]]
"""`{"output": template}`, `{"error": {message, error_type}}`, a list of these for successive calls (the last one
repeats), or an async function of the parameters. With `seconds`, the call takes that long."""


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """A call of an action: each attempt is one."""

    action: str
    step_id: str
    parameters: Any
    at: float
    """Seconds since the start."""


@dataclass(slots=True)
class Simulation:
    """State shared by the main flow, its branches and the workflows that it calls."""

    start: datetime
    answers: Mapping[str, Answer]
    resolutions: list[Mapping[str, Any]]
    registry: Catalogue | None = None
    """The actions whose parameters are checked."""
    results: Mapping[str, Answer] = field(default_factory=dict)
    """Answers by step ID, which come before those by action."""
    steps: list[Step] = field(default_factory=list)
    """The steps of the run and its branches as they began, those included that going back took off the record."""
    calls: list[SimulatedCall] = field(default_factory=list)
    repairs: Sequence[Mapping[str, Any]] = ()
    call_counts: dict[str, int] = field(default_factory=dict)
    """Number of calls by action, or by step ID where that has an answer of its own."""
    uuid_count: int = 0
    received: int = 0
    """Number of events delivered."""
    flows: list["SimulatedEffects"] = field(default_factory=list)
    branch_states: list[RunState] = field(default_factory=list)
    """State of each branch that ran as a child: its steps belong to the run."""
    background_tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)
    """Actions that had no mock, by step id."""
    compiled: Compiled = field(default_factory=Compiled)
    """The templates of the answers."""

    def now(self) -> datetime:
        """Return the virtual time."""
        return self.start + timedelta(seconds=self.elapsed())

    def elapsed(self) -> float:
        """Return the virtual seconds since the start."""
        return asyncio.get_running_loop().time()

    def render_answer(self, answer: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
        """Return the output of an answer; raise StepFailed for an error."""
        env = default_env(context)
        if "error" not in answer:
            return self.compiled.render(answer["output"], env) if "output" in answer else {}
        error = self.compiled.render(answer["error"], env)
        error = error if isinstance(error, Mapping) else {"message": str(error)}
        raise StepFailed(
            str(error.get("message", "the action failed")),
            error_type=parse_error_type(error.get("error_type", "action_error")),
            details=dict(error.get("details") or {}),
            recoverable=error.get("recoverable", True),
        )

    def watch(self, state: RunState) -> None:
        """Record the steps of a flow as they begin."""
        state.log = WatchedLog(state.log, self.steps.append)


class SimulatedEffects:
    """Effects of one flow: a run, or a branch of one."""

    def __init__(
        self,
        simulation: Simulation,
        plan: Plan,
        info: RunInfo,
        state: RunState,
        *,
        waits: Sequence[str] | None = None,
        early: Iterable[Sequence[Any]] = (),
    ) -> None:
        self.simulation = simulation
        self.plan = plan
        self.info = info
        self.state = state
        self.waits = waits
        self.inbox = Inbox(early)
        self.repairs = Repairs()
        self.is_moving = False
        simulation.flows.append(self)

    def now(self) -> datetime:
        """Return the virtual time."""
        return self.simulation.now()

    def uuid(self) -> str:
        """Return the next UUID of a fixed sequence."""
        self.simulation.uuid_count += 1
        return str(UUID(int=self.simulation.uuid_count, version=4))

    async def act(self, request: ActRequest) -> ActionResult:
        """Return the mocked result of an action, retrying by its policy in virtual time."""
        self._check_parameters(request)
        key, answer = self._find_answer(request)
        if answer is None:
            self._record_call(request)
            self.simulation.unanswered[request.step_id] = request.action
            return ActionResult({"simulated": True})
        if callable(answer):
            self._record_call(request)
            return ActionResult(await answer(request.parameters))
        policy = request.retry
        interval, attempt = policy.initial_interval, 1
        while True:
            try:
                return ActionResult(await self._answer_call(self._take_answer(key, answer), request, attempt), attempt)
            except StepFailed as failure:
                failure.attempts = attempt
                if not failure.recoverable or failure.error_type not in policy.retry_on:
                    raise
                if attempt >= policy.maximum_attempts > 0:
                    raise build_retry_exhausted(failure, attempt) if attempt > 1 else failure from None
            await asyncio.sleep(min(interval, policy.maximum_interval))
            interval *= policy.backoff_coefficient
            attempt += 1

    def _check_parameters(self, request: ActRequest) -> None:
        """Raise StepFailed for parameters that the action's worker would refuse; secrets are not known here."""
        spec = self.simulation.registry.get(request.action) if self.simulation.registry is not None else None
        if spec is None:
            return
        secrets = {pointer: [SECRET] for pointer in request.secrets}
        with_secrets = {split_pointer(pointer)[0] for pointer in request.secrets}
        try:
            validate_parameters(spec.parameters, reveal(request.parameters, secrets, Env({}, self.now, self.uuid)))
        except ValidationError as error:
            problems = [
                problem
                for problem in list_invalid_parameters(error)
                if split_pointer(problem["path"])[:1] not in ([name] for name in with_secrets)
            ]
            if problems:
                message = summarize_invalid_parameters(request.action, problems)
                details = {"problems": problems}
                raise StepFailed(message, error_type="validation_error", details=details, recoverable=False) from None

    def _find_answer(self, request: ActRequest) -> tuple[str, Answer | None]:
        """Return the answer of a step or its action, and the key by which its calls are counted."""
        if request.step_id in self.simulation.results:
            return request.step_id, self.simulation.results[request.step_id]
        return request.action, self.simulation.answers.get(request.action)

    def _take_answer(self, key: str, answer: Any) -> Mapping[str, Any]:
        """Return the answer of the next call."""
        call = self.simulation.call_counts.get(key, 0)
        self.simulation.call_counts[key] = call + 1
        taken: Mapping[str, Any] = answer[min(call, len(answer) - 1)] if isinstance(answer, Sequence) else answer
        return taken

    def _record_call(self, request: ActRequest) -> None:
        self.simulation.calls.append(
            SimulatedCall(request.action, request.step_id, request.parameters, self.simulation.elapsed())
        )

    async def _answer_call(self, answer: Mapping[str, Any], request: ActRequest, attempt: int) -> Any:
        """Return the output of an attempt; raise StepFailed where it fails or takes too long."""
        self._record_call(request)
        seconds = float(answer.get("seconds", 0))
        if seconds:
            await asyncio.sleep(min(seconds, request.timeout_seconds))
        if seconds > request.timeout_seconds:
            message = f"{request.action} took longer than timeout_seconds ({request.timeout_seconds:g} s)"
            raise StepFailed(message, error_type="timeout_error")
        context = {"params": request.parameters, "attempt": attempt, "node_id": request.node_id}
        return self.simulation.render_answer(answer, context)

    async def pass_lineup(self) -> None:
        """Do nothing: a simulation never continues as new."""

    async def sleep(self, seconds: float, title: str) -> None:
        """Advance virtual time."""
        await asyncio.sleep(seconds)

    async def receive(
        self, wanted: EventFilter, timeout_seconds: float | None, title: str, branches: tuple[str, ...], turn: int
    ) -> ReceivedEvent | None:
        """Wait for one of these events, or return None on timeout."""
        early = self.inbox.take(wanted, branches)
        if early is not None:
            return early.receive()
        waiter = self.inbox.open_waiter(wanted, branches)
        cancelled = False
        try:
            async with asyncio.timeout(timeout_seconds):
                await waiter.future
                return waiter.get_received()
        except TimeoutError:
            return waiter.get_received()
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            self.inbox.close_waiter(waiter, cancelled=cancelled)

    def repair(self, request: RepairRequest) -> None:
        """Do what an operator asks for; a request that would be refused changes nothing."""
        with contextlib.suppress(RepairRefused):
            planned = plan_repair(self.plan, self.state, self.repairs, request, is_at_work=False)
            carry_out(self.state, self.repairs, planned, self.now())

    def deliver(
        self, event: str, payload: Any, number: int, key: str | None = None, by: str = "", step_id: str | None = None
    ) -> None:
        """Queue an event if this flow waits for events of that name."""
        if self.waits is None or event in self.waits or ANY_EVENT in self.waits:
            self.inbox.deliver(event, payload, number, key, by, step_id)

    async def run_branch(self, request: BranchRequest) -> BranchResult:
        """Run a branch with state and effects of its own, as a child workflow would."""
        parallel = request.path.rpartition("[")[0]
        state, effects = self.open_branch(request, parallel)
        try:
            return await execute_branch(request.plan, self.info, state, effects, request.exports)
        finally:
            self.inbox.mark_read(effects.inbox.read, parallel)
            self.simulation.flows.remove(effects)

    def open_branch(self, request: BranchRequest, parallel: str) -> tuple[RunState, "SimulatedEffects"]:
        """Return the state that a branch begins with, and its effects."""
        resume = request.resume
        if resume is not None:
            early = list(resume.get("inbox", ()))
            state = RunState.from_json(request.plan, resume["state"])
        else:
            early = [event.to_json() for event in self.inbox.copy_for_branch(request.waits, parallel)]
            state = RunState.new(
                request.plan,
                self.info,
                run_input=None,
                trigger=None,
                now=self.now(),
                context=request.context,
                path=request.path,
                frame=request.frame,
                overrides=request.overrides,
            )
        self.simulation.watch(state)
        self.simulation.branch_states.append(state)
        effects = self.make_branch_effects(request, state, early)
        if resume is not None:
            effects.inbox.read.extend(resume.get("read", ()))
        return state, effects

    def make_branch_effects(
        self, request: BranchRequest, state: RunState, early: Sequence[Sequence[Any]]
    ) -> "SimulatedEffects":
        """Return the effects of a branch."""
        return type(self)(self.simulation, request.plan, self.info, state, waits=request.waits, early=early)

    async def call_workflow(self, request: CallRequest) -> dict[str, Any]:
        """Run a called workflow in the same simulation, unless its step has an answer of its own."""
        if request.step_id in self.simulation.results:
            answer = self._take_answer(request.step_id, self.simulation.results[request.step_id])
            await asyncio.sleep(float(answer.get("seconds", 0)))
            output: dict[str, Any] = self.simulation.render_answer(answer, {"params": request.input})
            return output
        info = RunInfo(id=f"{self.info.id}/{request.step_id}", parent_run_id=self.info.id)
        state = RunState.new(request.plan, info, run_input=request.input, trigger=None, now=self.now())
        state.given_up = True  # nobody but the caller can cancel it
        flow = execute(request.plan, info, state, SimulatedEffects(self.simulation, request.plan, info, state))
        if not request.wait:
            self.simulation.background_tasks.append(asyncio.get_running_loop().create_task(flow))
            return {"run_id": info.id, "status": "running", "output": None}
        outcome = await flow
        if outcome.error is not None:
            raise StepFailed(
                f"workflow {request.plan.id} failed: {outcome.error.message}",
                error_type=outcome.error.error_type,
                details={"run_id": info.id, "error": outcome.error.to_json()},
                recoverable=outcome.error.recoverable,
            )
        return {"run_id": info.id, "status": outcome.status, "output": outcome.output}

    async def decide(self, step_id: str, node_id: str) -> Resolution:
        """Return the resolution of a step that waits for an operator; each is used once."""
        for resolution in self.simulation.resolutions:
            if resolution.get("node_id") == node_id:
                self.simulation.resolutions.remove(resolution)
                return Resolution(
                    resolution["action"],
                    resolution.get("parameters"),
                    resolution.get("value"),
                    resolution.get("target"),
                )
        await asyncio.Event().wait()
        raise Stuck

    def boundary_due(self, cost: int) -> bool:
        """Return whether the run should continue as new; a simulation never does."""
        return False

    async def pass_boundary(self, *, starts_child: bool) -> None:
        """Do nothing: a simulation is never paused."""
