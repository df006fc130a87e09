"""Runs that Temporal recorded, judged by the definition that they executed: the simulator repeats them."""

from collections import Counter

import pytest
from temporalio.converter import DefaultPayloadConverter

from orchestrator.simulator.regression import RunVerdict, judge_run
from orchestrator.temporal.history.reader import read_flow
from orchestrator.temporal.requests import read_plan, read_request
from tests.histories import read_histories

MADE_FOR = ("ended-", "continued-")
"""Histories that do not begin with a request that a worker can read, or begin with the state of another."""
RACES = ("race-", "deferred-choice-", "cancelling-discriminator-", "cancel-region-")
"""What decides these is the order within one moment, which no document has."""
UNREPEATABLE = ("rollback-", "escalation-", "live-repair-")
"""What going back, an operator's retry or a repair changed is not in the record."""


@pytest.mark.slow
def test_recorded_runs_are_the_same_under_their_own_version() -> None:
    verdicts: dict[str, RunVerdict] = {}
    for name, executions in read_histories():
        if len(executions) > 1 or name.startswith(MADE_FOR):
            continue
        (execution,) = executions
        started = execution.events[0].workflow_execution_started_event_attributes
        plan, _ = read_plan(read_request(DefaultPayloadConverter().from_payloads(started.input.payloads)))
        verdicts[name] = judge_run(read_flow(execution.workflow_id, execution.events).run, plan, plan)
    counts = Counter(verdict.outcome for verdict in verdicts.values())

    assert set(counts) == {"same", "not_judged"}
    assert counts["same"] > 150
    assert [
        name
        for name, verdict in verdicts.items()
        if verdict.outcome == "not_judged"
        and verdict.text not in ("it was cancelled", "it has not ended", "it continues another run")
        and not name.startswith((*RACES, *UNREPEATABLE))
    ] == []
