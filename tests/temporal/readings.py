"""Compare what the history reader and a worker know of an execution at its end."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from orchestrator.model.run import Run
from orchestrator.temporal.history.reader import read_flow
from orchestrator.temporal.history.workflow_tasks import COMMAND_TYPES
from orchestrator.temporal.workflow.run_workflow import RunWorkflow

Documents = dict[str, tuple[Run, list[dict[str, str]]]]
DOCUMENTS: Documents = {}
"""What workers knew when their executions ended, by Temporal's run id."""


class KeepDocument(WorkflowInboundInterceptor):
    """Keeps what a worker knows at the end of an execution."""

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002 - the SDK's name
        run_workflow: RunWorkflow = workflow.instance()
        try:
            return await super().execute_workflow(input)
        finally:
            if run_workflow._flow is not None:
                flow = run_workflow._flow
                kept = (flow.build_document(), list(flow.effects.children.branches))
                DOCUMENTS.setdefault(workflow.info().run_id, kept)


class KeepDocuments(Interceptor):
    """Keeps what workers know."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 - the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        return KeepDocument


async def read_by_worker(executions: Iterable[WorkflowHistory]) -> Documents:
    """Let a worker replay histories; return what it knew at their ends."""
    DOCUMENTS.clear()

    async def iterate() -> AsyncIterator[WorkflowHistory]:
        for execution in executions:
            yield execution

    replayer = Replayer(
        workflows=[RunWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[KeepDocuments()],
        debug_mode=True,  # its deadlock detection goes by the clock, and other work may hold the processor
    )
    await replayer.replay_workflows(iterate())
    return dict(DOCUMENTS)


def is_ended_by_worker(execution: WorkflowHistory) -> bool:
    """Return whether a worker has decided the end of an execution: others have nothing that could be compared."""
    return execution.events[-1].event_type in COMMAND_TYPES


async def find_differing_readings(executions: Sequence[WorkflowHistory]) -> list[str]:
    """Return the workflow ids of executions that are read otherwise than their worker knew them."""
    expected = await read_by_worker(executions)
    differing = []
    for execution in executions:
        reading = await asyncio.to_thread(read_flow, execution.workflow_id, execution.events)
        # A worker knows nothing of attempts.
        steps = [step.model_copy(update={"attempts": []}) for step in reading.run.steps]
        run = reading.run.model_copy(update={"steps": steps})
        if (run, reading.branches) != expected[execution.run_id]:
            differing.append(execution.workflow_id)
    return differing
