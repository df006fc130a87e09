"""What is recorded of a run stays within Temporal's limits, whatever its steps hold; in bounded time."""

import random
import time
from typing import Any

import pytest

from orchestrator.errors import StepFailed
from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.jsontools import json_values
from orchestrator.language import values
from orchestrator.model.run import MAX_PAYLOAD_BYTES, MAX_STORED_BYTES, ErrorDocument, RunInfo
from orchestrator.simulator.simulate import EPOCH
from orchestrator.temporal import compression, payloads
from orchestrator.temporal.branch_results import result_within_limit
from orchestrator.temporal.payloads import (
    encode_or_fail,
    encode_state,
    measure_up_to,
)
from tests.temporal.world import make_plan

PLAN = make_plan({"a": "work"}, "trigger -> a", customer="c")
INFO = RunInfo(id="run")


def make_state(**variables: Any) -> RunState:
    return RunState.new(PLAN, INFO, run_input=None, trigger=None, now=EPOCH, context={"steps": {}, **variables})


def make_text(size: int) -> str:
    """Return text that hardly compresses: half its size is left."""
    return random.Random(size).randbytes(size // 2).hex()


def add_failures(state: RunState, count: int, size: int) -> None:
    for number in range(1, count + 1):
        error = ErrorDocument(message="declined", error_type="action_error", details={"body": make_text(size + number)})
        state.log.append(Step(f"n{number}", "n", "", "failed", EPOCH, number, EPOCH, error=error))


def make_doubled(times: int) -> Any:
    """Return what `times` nodes with `x = {{ [x, x] }}` leave: `2 ** times` texts as JSON."""
    value: Any = "x" * 1_000
    for _ in range(times):
        value = [value, value]
    return value


def test_a_rerun_with_a_log_of_large_errors_begins() -> None:
    """Their details were in no limit: compressing them raised ValueError, which failed the workflow task for ever."""
    state = make_state()
    add_failures(state, 400, 90_000)
    encoded = encode_state(state, {}, with_log=True)

    assert encoded is not None
    assert sum(len(each.payload.data) for each in encoded) <= MAX_PAYLOAD_BYTES


def test_a_state_that_cannot_be_compressed_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MAX_TEXT_BYTES", 100_000)

    assert encode_state(make_state(text=make_text(200_000)), {}) is None


def test_with_a_payload_store_a_larger_state_is_carried_over() -> None:
    state = make_state(text=make_text(4_000_000))

    assert encode_state(state, {}) is None
    assert encode_state(state, {}, MAX_STORED_BYTES) is not None


def test_values_that_share_their_parts_are_not_written_out() -> None:
    """They take no memory, and a gigabyte as JSON: the workflow task ran until the deadlock detector stopped it."""
    value = make_doubled(20)
    started = time.process_time()

    with pytest.raises(StepFailed, match=r"the result is more than 8,000,000 bytes; the limit is 1,900,000"):
        encode_or_fail({"output": value}, "the result")
    assert "steps" not in result_within_limit({"steps": {"s": value}}, MAX_PAYLOAD_BYTES)
    assert time.process_time() - started < 2


def test_large_values_are_walked_without_isinstance(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 30 times as long in the sandbox of tests: one budget of work outlasted the deadlock detector there."""
    asked: list[Any] = []

    def count_isinstance(value: Any, kind: Any) -> bool:
        asked.append(value)
        return isinstance(value, kind)

    for module in (json_values, values, payloads):
        monkeypatch.setattr(module, "isinstance", count_isinstance, raising=False)
    rows = [{"id": number, "tags": ["a", 1.5, None, True]} for number in range(1_000)]

    values.require_shallow(rows, lambda cost: None)
    json_values.normalize_json(rows)
    measure_up_to(rows, 10**9)

    assert len(asked) < 10
