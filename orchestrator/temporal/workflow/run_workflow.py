"""RunWorkflow: a run, or one branch of a run, on Temporal. Replay-sensitive.

The only place for `workflow.patched`. An OrchestratorError that escapes fails the run; anything else is a fault
of this program and holds the run where it is until a worker that knows better comes along.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, get_args

from temporalio import workflow
from temporalio.exceptions import ApplicationError

# The sandbox runs the modules below again for every run. These are slow to load or do I/O then; they are tables
# and frozen types, and errors must be the same classes on both sides.
with workflow.unsafe.imports_passed_through():
    import orchestrator.jsontools.schema
    import orchestrator.timing.fire_times  # noqa: F401 - see above; the interpreter imports both
    from orchestrator.errors import OrchestratorError, StepFailed
    from orchestrator.model.plan import FORMAT  # noqa: F401 - see above; the plan's types are pydantic models
    from orchestrator.telemetry.context import about

from orchestrator.interpreter.effects import BranchResult, Resolution
from orchestrator.interpreter.execute import execute, execute_branch
from orchestrator.interpreter.failures import error_document
from orchestrator.interpreter.pool import discarded
from orchestrator.model.plan import node_ids
from orchestrator.model.run import ResolutionAction, timestamp
from orchestrator.temporal.branch_results import branch_result_json, fitted_result
from orchestrator.temporal.failures import run_error
from orchestrator.temporal.payloads import fitted_document, packed
from orchestrator.temporal.search_attributes import WORKFLOW
from orchestrator.temporal.workflow.flow import Flow, enclosing_paths

REFUSED = "refused"
"""Type of the error that an update which cannot be done answers."""


@workflow.defn(name=WORKFLOW, failure_exception_types=[OrchestratorError])
class RunWorkflow:
    """Runs a plan that stands in its input."""

    @workflow.init
    def __init__(self, request: Any = None) -> None:
        # What cannot be read fails the run, not the workflow task, and only `run` can say so.
        self._flow: Flow | None = None
        self._fault: ApplicationError | None = None
        try:
            self._flow = Flow(request if isinstance(request, Mapping) else {})
        except ApplicationError as error:
            self._fault = error

    @property
    def flow(self) -> Flow:
        """Give the flow; raises what kept it from being read."""
        if self._flow is None:
            raise self._fault or AssertionError("neither flow nor fault")
        return self._flow

    @workflow.run
    async def run(self, request: Any = None) -> Any:
        """Run to the end: `{"output": …}`, or what a branch gives back."""
        flow = self.flow
        about.set({"run_id": flow.info.id, "workflow_id": flow.plan.id, "customer_id": flow.info.customer_id})
        work = self._whole(flow) if flow.branch is None else self._branch(flow, flow.branch.get("exports", []))
        try:
            return await _to_its_end(flow, work)
        finally:
            if not discarded():
                flow.show()
                await workflow.wait_condition(workflow.all_handlers_finished)

    async def _whole(self, flow: Flow) -> Any:
        outcome = await execute(flow.plan, flow.info, flow.state, flow.effects)
        if outcome.error is not None:
            raise run_error(outcome.error)
        try:
            return packed({"output": outcome.output}, "the output of the run")
        except StepFailed as failure:
            flow.state.status, flow.state.output = "failed", None
            flow.state.failure = {**error_document(failure, "", workflow.now()), "node_id": None}
            raise run_error(flow.state.failure) from failure

    async def _branch(self, flow: Flow, exports: list[str]) -> Any:
        result = await execute_branch(flow.plan, flow.info, flow.state, flow.effects, exports)
        given = branch_result_json(result, flow.inbox.read)
        if result.status == "completed":
            return packed(given, "what the branch gives back")
        if result.status == "failed" and result.error is not None:
            raise run_error(result.error, fitted_result(given))
        raise _cancelled(result, given)

    @workflow.signal
    async def event(self, sent: Any = None) -> None:
        """Take an event: `{name, payload}`."""
        if self._flow is None or not isinstance(sent, Mapping) or not isinstance(sent.get("name"), str):
            workflow.logger.warning("an event without a name was dropped")
            return
        number = sent.get("number")
        await self.flow.effects.deliver(sent["name"], sent.get("payload"), number if isinstance(number, int) else None)

    @workflow.signal
    async def pause(self, _: Any = None) -> None:
        """Stand still at the next node."""
        if self._flow is not None:
            await self._flow.effects.pause(True)

    @workflow.signal
    async def resume(self, _: Any = None) -> None:
        """Go on."""
        if self._flow is not None:
            await self._flow.effects.pause(False)

    @workflow.update
    async def resolve(self, word: Any = None) -> dict[str, Any]:
        """Take an operator's word on a step that waits for one: `{step_id | node_id, action, …}`."""
        step_id = self._waiting(word)
        decision = self.flow.effects.decisions[step_id]
        decision.word.set_result(
            Resolution(word["action"], word.get("parameters"), word.get("value"), word.get("target"))
        )
        return {"step_id": step_id, "node_id": decision.node_id}

    @resolve.validator
    def _check_word(self, word: Any = None) -> None:
        if not isinstance(word, Mapping):
            raise _refusal("an operator's word is an object: {node_id, action, …}")
        if word.get("action") not in get_args(ResolutionAction):
            known = ", ".join(get_args(ResolutionAction))
            raise _refusal(f"{word.get('action')!r} is no word for a waiting step: {known}")
        if word.get("parameters") is not None and not isinstance(word["parameters"], Mapping):
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
        if wanted in found:
            return str(wanted)
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

    @workflow.query
    def kept(self) -> dict[str, Any]:
        """Give the plan and the state, for a new run that goes on from here."""
        flow = self.flow
        return {"plan": flow.plan.to_json(), "run": flow.info.model_dump(mode="json"), "state": flow.state.to_json()}


async def _to_its_end(flow: Flow, work: Coroutine[Any, Any, Any]) -> Any:
    """Run the flow in a task of its own: a cancellation must not cut short the undoing after a failure."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.done():
            raise
        if flow.state.failure is None:
            task.cancel()
        return await task


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
    return run_error(error, fitted_result({**given, "cancelled": True}))


def _refusal(message: str) -> ApplicationError:
    return ApplicationError(message, type=REFUSED, non_retryable=True)


__all__ = ["REFUSED", "WORKFLOW", "RunWorkflow"]
