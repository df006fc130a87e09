"""What a run carries over continue-as-new is compressed, loses the least important first, and is read as it was."""

import asyncio
import json
import random
import zlib
from typing import Any

import pytest
from temporalio.common import RawValue
from temporalio.converter import DataConverter

from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.interpreter.value_table import ValueTable
from orchestrator.interpreter.variables import UndoEntry
from orchestrator.model.run import MAX_STORED_BYTES, RunInfo
from orchestrator.simulator.simulate import EPOCH
from orchestrator.temporal.compression import MAX_TEXT_BYTES
from orchestrator.temporal.payloads import PLAIN_BYTES, TRIMMED, decode_shared, encode_shared, encode_state
from orchestrator.temporal.requests import encode_request, read_request
from tests.temporal.world import make_plan

PLAN = make_plan({"a": "work"}, "trigger -> a", customer="c")


def decode(encoded: Any) -> Any:
    (value,) = asyncio.run(DataConverter.default.decode([encoded.payload]))
    return value


def decode_all(encoded: list[RawValue]) -> Any:
    value, *chunks = map(decode, encoded)
    return decode_shared(value, chunks)


@pytest.mark.parametrize("size", [10, 65_000, 66_000, 1_000_000])
def test_a_request_is_read_as_it_was_written(size: int) -> None:
    envelope = {"run": {"id": "äb" * (size // 8)}, "state": {"none": None, "n": 1.5}}
    request = {"input": [1], **envelope, "plan": {"id": "x"}}
    args = encode_request(request, encode_shared(envelope, ValueTable()))

    assert len(args) == 3
    assert read_request([decode(arg) for arg in args]) == request
    assert isinstance(decode(args[1]), bytes) == (len(json.dumps(envelope)) > 65_536)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no zlib",
        zlib.compress(b"[1, 2]")[:-3],
        zlib.compress(b"{"),
        zlib.compress(b'{"$shared": "h"}'),
        zlib.compress(b" " * MAX_TEXT_BYTES + b"1"),
    ],
    ids=["empty", "no zlib", "incomplete", "no JSON", "no such value", "too large"],
)
def test_data_that_was_not_written_here_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"data|JSON|Expecting|reference"):
        decode_shared(data)

    assert read_request([None, data, {"id": "x"}]) == {}


def make_text(size: int) -> str:
    """Return text that hardly compresses: half its size is left."""
    return random.Random(size).randbytes(size // 2).hex()


def make_state(**variables: Any) -> RunState:
    info = RunInfo(id="run")
    state = RunState.new(PLAN, info, run_input=None, trigger=None, now=EPOCH, context={"steps": {}, **variables})
    state.data.undo_log = []
    return state


def add_steps(state: RunState, count: int, size: int) -> None:
    for number in range(1, count + 1):
        step = Step(f"n{number}", f"n{number}", "", "completed", EPOCH, number, EPOCH)
        step.input, step.output = {"n": number}, {"text": make_text(size + number)}
        state.log.append(step)


def read_back(state: RunState, **envelope: Any) -> RunState | None:
    encoded = encode_state(state, envelope, with_log=True)
    return encoded and RunState.from_json(PLAN, decode_all(encoded)["state"])


def test_a_value_in_plan_and_state_is_written_once() -> None:
    text = make_text(1_800_000)
    encoded = encode_state(make_state(text=text), {"plan": {"variables": {"text": text}}})

    assert encoded is not None
    request = decode_all(encoded)
    assert request["plan"]["variables"]["text"] == request["state"]["context"]["text"] == text


def test_the_oldest_steps_lose_their_data_first() -> None:
    state = make_state()
    add_steps(state, 150, 30_000)
    read = read_back(state)

    assert read is not None
    assert [step.output for step in read.log][-2:] == [step.output for step in state.log][-2:]
    assert read.log[0].output == TRIMMED
    assert [step.input["n"] for step in read.log] == list(range(1, 151))


def test_a_step_with_large_data_does_not_cost_older_steps_their_small_data() -> None:
    state = make_state()
    add_steps(state, 3, 1_000)
    add_steps(state, 1, 5_000_000)
    read = read_back(state)

    assert read is not None
    assert [step.output == TRIMMED for step in read.log] == [False, False, False, True]


def test_the_undo_log_of_a_plan_that_goes_back_stays() -> None:
    state = make_state(text=make_text(1_000_000))
    state.data.undo_log = [UndoEntry("/a", 1, {"text": make_text(3_000_000)}, {}, {}, 0)]

    assert read_back(state) is None


def test_a_state_that_is_far_too_large_is_not_measured_to_its_end() -> None:
    assert read_back(make_state(texts=[make_text(100_000 + number) for number in range(200)])) is None


def test_reserved_looking_values_survive() -> None:
    state = make_state(text=make_text(100_000), x={"$shared": "no such digest"}, y=[{"$literal": {"$shared": 1}}])
    read = read_back(state)

    assert read is not None
    assert read.data.context == state.data.context


def test_what_the_interpreter_changes_in_place_is_not_shared() -> None:
    """`everything` is a snapshot of `steps`; the next step must not appear in it."""
    steps = {"a": {"status": "completed", "output": make_text(100_000), "error": None}}
    state = make_state(everything=dict(steps))
    state.data.context["steps"] = dict(steps)
    read = read_back(state)

    assert read is not None
    read.data.set_step("b", "completed", 1, None)
    assert read.data.context["everything"] == steps


def test_with_a_payload_store_what_a_list_has_is_stored_once() -> None:
    """One that grows to 1.4 MB is written 20 times: 14 MB, of which zlib leaves half."""
    rows: list[str] = []
    recorded, stored = 0, {}
    for number in range(20):
        rows += [make_text(100 + (700 * number + row) * 2)[-100:] for row in range(700)]
        encoded = encode_state(make_state(rows=rows), {}, MAX_STORED_BYTES)

        assert encoded is not None
        assert RunState.from_json(PLAN, decode_all(encoded)["state"]).data.context["rows"] == rows
        payloads = [each.payload for each in encoded]
        recorded += sum(payload.ByteSize() for payload in payloads if payload.ByteSize() < PLAIN_BYTES)
        stored |= {payload.data: len(payload.data) for payload in payloads if payload.ByteSize() >= PLAIN_BYTES}

    assert sum(stored.values()) < 1_500_000
    assert recorded < 20 * PLAIN_BYTES // 2
