"""RunWorkflow: a run, or one branch of a run, on Temporal. Replay-sensitive.

The only place for `workflow.patched`. An OrchestratorError that escapes fails the run; anything else is a fault
of this program and holds the run where it is until a worker that knows better comes along.
"""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, get_args

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestrator.adapter import TemporalEffects
    from orchestrator.children import WORKFLOW
    from orchestrator.effects import BranchResult, Resolution, ResolutionAction
    from orchestrator.errors import OrchestratorError
    from orchestrator.inbox import Inbox
    from orchestrator.interpreter import execute, execute_branch
    from orchestrator.interpreter.outside import inner_scopes
    from orchestrator.payloads import (
        branch_result_json,
        fitted_document,
        fitted_state,
        read_plan,
        run_request,
        written,
    )
    from orchestrator.plan import Plan
    from orchestrator.run import Run, RunInfo, RunState, document, timestamp
    from orchestrator.translate import run_error

SHOWN_STEPS = 10
"""Open steps that the details in the Temporal UI list."""
REFUSED = "refused"
"""Type of the error that an update which cannot be done answers."""


class Flow:
    """One flow under way: its plan, its state and its effects."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.plan, self.info = read_plan(request)
        self.branch: dict[str, Any] | None = request.get("branch")
        self.state = self._state(request)
        self.inbox = Inbox(request.get("inbox", ()), request.get("received", 0))
        self.inbox.read.extend(request.get("read", ()))
        self.effects = TemporalEffects(
            self.plan, self.info, self.inbox, paused=bool(request.get("paused")), move_on=self.move_on
        )
        self.effects.children.branches.extend(request.get("branches", ()))
        self.effects.show = self.show

    def _state(self, request: Mapping[str, Any]) -> RunState:
        if "state" in request:
            return RunState.from_json(self.plan, request["state"])
        branch = self.branch or {}
        return RunState.new(
            self.plan,
            self.info,
            given=request.get("input"),
            trigger=request.get("trigger"),
            now=workflow.now(),
            context=branch.get("context"),
            path=branch.get("path", ""),
        )

    def move_on(self) -> dict[str, Any] | None:
        """Write everything down for the execution that continues this one; `None` when it is too large."""
        state = fitted_state(self.state)
        if state is None:
            return None
        request = run_request(self.plan, self.info, state=state)
        if self.branch is not None:
            request["branch"] = {name: self.branch[name] for name in ("path", "exports")}
        return {
            **request,
            **written(
                inbox=[event.to_json() for event in self.inbox.unread()],
                received=self.inbox.received,
                read=self.inbox.read,
                paused=self.effects.paused,
                branches=list(self.effects.children.branches),
            ),
        }

    def shown(self) -> Run:
        """Make the document of this flow alone."""
        shown = document(self.plan, self.info, self.state)
        if not self.effects.held:
            return shown
        waits = [*shown.waiting_for, {"kind": "paused"}]
        return shown.model_copy(update={"status": "waiting", "waiting_for": waits})

    def show(self) -> None:
        """Say in the Temporal UI where the run stands."""
        workflow.set_current_details("\n".join(self._details()))

    def _details(self) -> Iterator[str]:
        state = self.state
        yield f"**{state.status}**: {state.completed} steps done"
        if self.effects.paused:
            yield "- **paused** by an operator"
        for step in islice(state.open.values(), SHOWN_STEPS):
            waits = step.waiting_for or {}
            more = {
                "delay": f", until {waits.get('until')}",
                "event": f", for the event `{waits.get('event')}`",
                "operator": f", for an operator's word: {waits.get('message')}",
            }.get(str(waits.get("kind")), "")
            yield f"- `{step.id}` {step.status}{more}"
        if len(state.open) > SHOWN_STEPS:
            yield f"- and {len(state.open) - SHOWN_STEPS} more"


@workflow.defn(name=WORKFLOW, failure_exception_types=[OrchestratorError])
class RunWorkflow:
    """Runs a plan that stands in its input."""

    @workflow.init
    def __init__(self, request: dict[str, Any]) -> None:
        self.flow = Flow(request)

    @workflow.run
    async def run(self, request: dict[str, Any]) -> Any:
        """Run to the end: `{"output": …}`, or what a branch gives back."""
        flow = self.flow
        try:
            return await (self._whole(flow) if flow.branch is None else self._branch(flow, flow.branch["exports"]))
        finally:
            flow.show()
            await workflow.wait_condition(workflow.all_handlers_finished)

    async def _whole(self, flow: Flow) -> dict[str, Any]:
        outcome = await execute(flow.plan, flow.info, flow.state, flow.effects)
        if outcome.error is not None:
            raise run_error(outcome.error)
        return {"output": outcome.output}

    async def _branch(self, flow: Flow, exports: list[str]) -> dict[str, Any]:
        result = await execute_branch(flow.plan, flow.info, flow.state, flow.effects, exports)
        given = branch_result_json(result, flow.inbox.read)
        if result.status == "completed":
            return given
        if result.status == "failed" and result.error is not None:
            raise run_error(result.error, given)
        raise _cancelled(result, given)

    @workflow.signal
    async def event(self, sent: dict[str, Any]) -> None:
        """Take an event: `{name, payload}`."""
        await self.flow.effects.deliver(str(sent.get("name", "")), sent.get("payload"), sent.get("number"))

    @workflow.signal
    async def pause(self, _: dict[str, Any]) -> None:
        """Stand still at the next node."""
        await self.flow.effects.pause(True)

    @workflow.signal
    async def resume(self, _: dict[str, Any]) -> None:
        """Go on."""
        await self.flow.effects.pause(False)

    @workflow.update
    async def resolve(self, word: dict[str, Any]) -> dict[str, Any]:
        """Take an operator's word on a step that waits for one: `{step_id | node_id, action, …}`."""
        step_id = self._waiting(word)
        decision = self.flow.effects.decisions[step_id]
        decision.word.set_result(
            Resolution(word["action"], word.get("parameters"), word.get("value"), word.get("target"))
        )
        return {"step_id": step_id, "node_id": decision.node_id}

    @resolve.validator
    def _check_word(self, word: dict[str, Any]) -> None:
        if word.get("action") not in get_args(ResolutionAction):
            known = ", ".join(get_args(ResolutionAction))
            raise _refusal(f"{word.get('action')!r} is no word for a waiting step: {known}")
        if word.get("parameters") is not None and not isinstance(word["parameters"], dict):
            raise _refusal("parameters are an object")
        step_id = self._waiting(word)
        if word["action"] == "retry_from":
            self._check_target(step_id, word.get("target"))

    def _waiting(self, word: Mapping[str, Any]) -> str:
        """Find the step that is meant; raises when none, or more than one, waits."""
        decisions = self.flow.effects.decisions
        wanted = word.get("step_id") or word.get("node_id")
        found = [
            step_id
            for step_id, decision in decisions.items()
            if wanted in (step_id, decision.node_id) and not decision.word.done()
        ]
        if len(found) == 1:
            return found[0]
        waiting = ", ".join(decisions) or "none"
        if not found:
            raise _refusal(f"no step {wanted!r} waits for an operator's word (waiting: {waiting})")
        raise _refusal(f"more than one step of {wanted!r} waits: name one of {', '.join(found)} as step_id")

    def _check_target(self, step_id: str, target: Any) -> None:
        """Refuse a node that cannot be gone back to: the run would fail by an operator's slip."""
        if target not in node_ids(self.flow.plan):
            raise _refusal(f"there is no node {target!r} to go back to")
        started = {entry[0] for entry in self.flow.state.data.journal or ()}
        if not any(f"{path}/{target}" in started for path in enclosing_paths(step_id)):
            raise _refusal(f"{target!r} has not run before {step_id!r}, or is in another loop or branch")

    @workflow.query
    def document(self) -> dict[str, Any]:
        """Give the run document of this flow, and the branches it has started: `{run, branches}`."""
        flow = self.flow
        shown = flow.shown().model_dump(mode="json")
        return {"run": fitted_document(shown), "branches": list(flow.effects.children.branches)}


def _cancelled(result: BranchResult, given: dict[str, Any]) -> BaseException:
    """End as cancelled; compensations that are owed can travel in a failure only."""
    if not result.compensations:
        return asyncio.CancelledError()
    error: dict[str, Any] = {
        "message": "the branch was cancelled",
        "error_type": "cancelled",
        "details": {},
        "node_id": None,
        "recoverable": True,
        "timestamp": timestamp(workflow.now()),
    }
    return run_error(error, {**given, "cancelled": True})


def _refusal(message: str) -> ApplicationError:
    return ApplicationError(message, type=REFUSED, non_retryable=True)


def node_ids(plan: Plan) -> set[str]:
    """Name every node of a plan."""
    found: set[str] = set()
    scopes = [plan.scope]
    while scopes:
        for node in scopes.pop().nodes:
            found.add(node.id)
            scopes.extend(inner_scopes(node))
    return found


def enclosing_paths(step_id: str) -> Iterator[str]:
    """Give the path a step is in and those around it, the innermost first."""
    while True:
        path = step_id.rpartition("/")[0]
        yield path
        if not path:
            return
        step_id = path.rpartition("[")[0]


__all__ = ["REFUSED", "WORKFLOW", "RunInfo", "RunWorkflow"]
