"""Plan reruns of runs that have ended, from as many of their histories as that takes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio.api.history.v1 import History
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.converter import DefaultPayloadConverter
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import OperationRefused
from orchestrator.model.plan import DEFAULT_STEP_LOG_LIMIT, Plan
from orchestrator.reruns.restart import Changes, Rerun
from orchestrator.temporal.client.connection import translate_rpc_errors
from orchestrator.temporal.history.histories import Histories
from orchestrator.temporal.history.rerun_histories import RerunJob, plan_rerun_from_histories
from orchestrator.temporal.requests import read_request

MAX_HISTORIES = 500
"""Histories that the plan of one rerun may take: executions and branches."""

PlanRerun = Callable[[str, RerunJob], Awaitable[Rerun | str]]
"""Plans a rerun for a customer: where strangers send definitions, in a process of its own with a deadline."""


async def plan_in_thread(_: str, job: RerunJob) -> Rerun | str:
    """Plan a rerun in a thread of this process."""
    return await asyncio.to_thread(plan_rerun_from_histories, job)


class RerunReader:
    """Plans reruns."""

    def __init__(self, client: Client, histories: Histories, plan: PlanRerun = plan_in_thread) -> None:
        self.client = client
        self.histories = histories
        self.plan_rerun = plan

    async def require_ended(self, run_id: str) -> str:
        """Return the latest execution of a run that has ended; raises RunNotFound and OperationRefused."""
        async with translate_rpc_errors(run_id):
            described = await self.client.get_workflow_handle(run_id).describe()
        if described.status == WorkflowExecutionStatus.RUNNING:
            raise OperationRefused(f"run {run_id} has not ended", hint="cancel it first")
        return str(described.run_id)

    async def plan(
        self, customer_id: str, run_id: str, changes: Changes, new_id: str, plan: Plan | None = None
    ) -> Rerun:
        """Plan a rerun; raises RunNotFound and OperationRefused."""
        latest = await self.require_ended(run_id)
        loader = _HistoryLoader(self.histories, run_id)
        async with translate_rpc_errors(run_id):
            await loader.load(run_id, run_id, latest)
            await loader.load_logged(run_id)
            while True:
                job = RerunJob(run_id, loader.histories, changes, new_id, datetime.now(UTC), plan)
                answer = await self.plan_rerun(customer_id, job)
                if isinstance(answer, Rerun):
                    return answer
                await loader.load_next(answer)


class _HistoryLoader:
    """Loads the histories of a run from the end back, and those of its branches."""

    def __init__(self, histories: Histories, run_id: str) -> None:
        self.run_id = run_id
        self.source = histories
        self.histories: dict[str, tuple[tuple[str, bytes], ...]] = {}

    async def load(self, workflow_id: str, name: str, execution: str | None) -> None:
        """Load an execution of a workflow, in front of those that have continued it."""
        if sum(map(len, self.histories.values())) >= MAX_HISTORIES:
            raise OperationRefused("the run is too long to begin there", hint="begin at a later step")
        try:
            history = await self.source.fetch(name, execution)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND or (
                workflow_id == self.run_id and workflow_id not in self.histories
            ):
                raise
            if workflow_id in self.histories or not _may_be_missing(workflow_id, self.run_id):
                raise OperationRefused(
                    f"the history of {name} is no longer stored, and it is needed to begin there",
                    hint="begin at a later step, or start a new run of the workflow",
                ) from error
            self.histories[workflow_id] = ()
            return
        self.histories[workflow_id] = ((name, history), *self.histories.get(workflow_id, ()))

    async def load_logged(self, workflow_id: str) -> None:
        """Load the executions before, as far as they are stored and their steps belong into the record of a rerun."""
        last: int | None = None
        while self.histories[workflow_id]:
            name, history = self.histories[workflow_id][0]
            continued, request = await asyncio.to_thread(_read_start, history)
            if not continued or sum(map(len, self.histories.values())) >= MAX_HISTORIES:
                return
            before = request["state"]["started"]
            last = before if last is None else last
            if last - before >= request["plan"].get("step_log_limit", DEFAULT_STEP_LOG_LIMIT):
                return
            try:
                history = await self.source.fetch(name, continued)
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                return
            if (await asyncio.to_thread(_read_start, history))[1]["plan"] != request["plan"]:
                return  # the run has moved to another version since: a walk through it begins with that
            self.histories[workflow_id] = ((name, history), *self.histories[workflow_id])

    async def load_next(self, workflow_id: str) -> None:
        """Load a branch, or what came before the executions of a workflow that are loaded: also the run it reran."""
        known = self.histories.get(workflow_id)
        if not known:
            await self.load(workflow_id, workflow_id, None)
            await self.load_logged(workflow_id)
            return
        name, history = known[0]
        continued, request = await asyncio.to_thread(_read_start, history)
        if continued:
            await self.load(workflow_id, name, continued)
            return
        earlier = (
            request.get("run", {}).get("rerun_of") if "branch" not in request else _find_earlier_branch(request, name)
        )
        if earlier is None:
            raise OperationRefused(
                "the run cannot begin there: that step did not run, or is no longer in its record",
                hint="begin at another step",
            )
        await self.load(workflow_id, earlier, None)


def _read_start(history: bytes) -> tuple[str, Mapping[str, Any]]:
    """Return the execution that one has continued as new, if any, and the request that it began with."""
    started = History.FromString(history).events[0].workflow_execution_started_event_attributes
    request = read_request(DefaultPayloadConverter().from_payloads(started.input.payloads))
    return started.continued_execution_run_id, request


def _find_earlier_branch(request: object, name: str) -> str | None:
    """Return the workflow of the same branch in the run that was rerun."""
    run = request.get("run", {}) if isinstance(request, dict) else {}
    rerun_of, run_id = run.get("rerun_of"), run.get("id")
    if not rerun_of or not run_id or not name.startswith(f"{run_id}/"):
        return None
    return f"{rerun_of}{name.removeprefix(run_id)}"


def _may_be_missing(workflow_id: str, run_id: str) -> bool:
    """Return whether a branch may never have begun: it is one of this run, and not one that an earlier run has done."""
    return workflow_id.startswith(f"{run_id}/")
