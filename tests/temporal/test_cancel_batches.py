"""A cancellation that comes with other events in one workflow task is never ignored, in either order of the SDK.

Random graphs are given random events, several in one workflow task, without a server. SEED repeats a test.
"""

import contextlib
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, seed, settings
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.converter import DefaultPayloadConverter

from orchestrator.model.plan import Plan
from orchestrator.model.run import RunInfo
from orchestrator.planner.planner import check
from orchestrator.temporal.history.activation_jobs import build_start_job, build_timer_job
from orchestrator.temporal.history.recorded_execution import RecordedExecution
from tests.graphs import Generated, draw_structured
from tests.temporal.delicate_runs import BATCH
from tests.temporal.made_histories import make_loop_history

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("SEED") or 1)
GRAPHS = int(os.environ.get("GRAPHS") or 60)
SECOND = 1_000_000_000
LOGIC_FLAG = 1
"""The SDK's other flag, which is on."""
CLOSING = (
    *("complete_workflow_execution", "fail_workflow_execution", "cancel_workflow_execution"),
    "continue_as_new_workflow_execution",
)


def draw_plans() -> list[tuple[Generated, Plan]]:
    """Draw graphs without child workflows and segments."""
    drawn: list[tuple[Generated, Plan]] = []

    @seed(SEED)
    @settings(max_examples=GRAPHS, phases=[Phase.generate])
    @given(draw_structured(rich=True))
    def collect(graph: Generated) -> None:
        nodes = [
            {**node, "config": {**node.get("config", {}), "mode": "inline"}} if node["type"] == "parallel" else node
            for node in graph.definition["nodes"]
        ]
        plan = check({**graph.definition, "nodes": nodes, "settings": {"fuse": False, "max_steps": 200}}).plan
        if plan is not None:
            drawn.append((graph, plan))

    collect()
    return drawn


class Play:
    """A run that is given random events until it closes."""

    def __init__(self, graph: Generated, plan: Plan, chance: random.Random, *, batch: bool) -> None:
        self.graph, self.chance, self.batch = graph, chance, batch
        self.first = make_loop_history(plan, RunInfo(id="played"), "none", "none", 0).events[0]
        self.actions: dict[int, str] = {}
        self.timers: set[int] = set()
        self.called: Counter[str] = Counter()
        self.is_cancelled = self.is_paused = False
        self.closing: str | None = None

    def run(self) -> str:
        """Return the command that closes the run."""
        execution = RecordedExecution("played", [self.first])
        now, upcoming = self.first.event_time.ToNanoseconds(), [build_start_job("played", self.first)]
        try:
            while self.closing is None:
                flags = [LOGIC_FLAG, *([int(BATCH)] if self.batch else [])]
                activation = WorkflowActivation(
                    run_id="played", is_replaying=True, available_internal_flags=flags, jobs=upcoming
                )
                now += self.chance.randint(1, 10 * SECOND)
                activation.timestamp.FromNanoseconds(now)
                completion = execution._instance.activate(activation)
                assert not completion.HasField("failed"), completion.failed.failure.message
                for command in completion.successful.commands:
                    self.note(command)
                upcoming = list(self.draw_jobs()) if self.closing is None else []
        finally:
            with contextlib.suppress(RuntimeError):
                execution.close()
        return self.closing

    def note(self, command: WorkflowCommand) -> None:
        match command.WhichOneof("variant"):
            case "schedule_activity":
                self.actions[command.schedule_activity.seq] = command.schedule_activity.activity_type
            case "schedule_local_activity":
                self.actions[command.schedule_local_activity.seq] = command.schedule_local_activity.activity_type
            case "start_timer":
                self.timers.add(command.start_timer.seq)
            case "cancel_timer":
                self.timers.discard(command.cancel_timer.seq)
            case variant if variant in CLOSING:
                self.closing = variant

    def draw_jobs(self) -> Iterator[WorkflowActivationJob]:
        """Draw what comes to the next workflow task: signals first, as Temporal's core orders jobs."""
        open_work = [*((seq, True) for seq in self.timers), *((seq, False) for seq in self.actions)]
        # Without the flag the SDK handles signals first, and a run that they end is not cancelled.
        if self.batch and self.chance.random() < 0.15:
            yield self.build_signal(self.chance.choice(("pause", "resume", "event")))
        if self.is_paused and not open_work:
            yield self.build_signal("resume")
        ends = self.chance.sample(open_work, min(len(open_work), self.chance.choice((1, 1, 2, 3))))
        jobs = [self.end_timer(number) if is_timer else self.end_action(number) for number, is_timer in ends]
        if not self.is_cancelled and (self.chance.random() < 0.25 or not open_work):
            self.is_cancelled = True
            cancel = WorkflowActivationJob()
            cancel.cancel_workflow.reason = ""
            jobs.insert(self.chance.randint(0, len(jobs)), cancel)
        yield from jobs

    def build_signal(self, name: str) -> WorkflowActivationJob:
        self.is_paused = name == "pause" or (self.is_paused and name != "resume")
        job = WorkflowActivationJob()
        job.signal_workflow.signal_name = name
        job.signal_workflow.input.extend(DefaultPayloadConverter().to_payloads([{"name": "never"}]))
        return job

    def end_timer(self, number: int) -> WorkflowActivationJob:
        self.timers.discard(number)
        return build_timer_job(number)

    def end_action(self, number: int) -> WorkflowActivationJob:
        """Let an action end as its script says, also where it is being cancelled."""
        name = self.actions.pop(number)
        answers: list[Any] = self.graph.answers.get(name, [{}])
        answer = answers[min(self.called[name], len(answers) - 1)]
        self.called[name] += 1
        job = WorkflowActivationJob()
        job.resolve_activity.seq = number
        if answer == "fail":
            failure = job.resolve_activity.result.failed.failure
            failure.activity_failure_info.activity_id = "played"
            failure.cause.application_failure_info.type = "action_error"
            failure.cause.application_failure_info.non_retryable = True
        else:
            (result,) = DefaultPayloadConverter().to_payloads([answer])
            job.resolve_activity.result.completed.result.CopyFrom(result)
        return job


@pytest.mark.parametrize("batch", [False, True])
def test_a_cancelled_run_never_ends_as_completed(batch: bool) -> None:
    counts: Counter[str] = Counter()
    for number, (graph, plan) in enumerate(draw_plans()):
        play = Play(graph, plan, random.Random(SEED * 1_000 + number), batch=batch)
        counts[f"{play.run()}, cancelled: {play.is_cancelled}"] += 1

    assert counts["complete_workflow_execution, cancelled: True"] == 0, f"seed {SEED}: {counts}"
    assert counts["cancel_workflow_execution, cancelled: True"] > 0
