"""Plans that a worker keeps for the next runs."""

import json
from typing import Any

import pytest
from temporalio.common import RawValue
from temporalio.converter import DefaultPayloadConverter

from orchestrator.model.plan import FORMAT, Plan
from orchestrator.model.run import RunInfo
from orchestrator.temporal import known_plans
from orchestrator.temporal.known_plans import read_known_plan
from orchestrator.temporal.requests import (
    build_run_request,
    decode_arguments,
    encode_request,
    read_request,
    wrap_whole_request,
)
from tests.temporal.world import make_plan

PLAN = make_plan({"a": "work"}, "trigger -> a", customer="c")
CONVERTER = DefaultPayloadConverter()


def make_request(plan: Plan) -> dict[str, Any]:
    return build_run_request(plan, RunInfo(id="r"), input_data={"n": 1})


def test_the_runs_of_a_version_share_its_plan() -> None:
    first, second = (
        read_request(decode_arguments(encode_request(make_request(PLAN)), CONVERTER))["plan"] for _ in range(2)
    )

    assert first is not second
    known = read_known_plan(first)
    assert read_known_plan(second) is known
    assert (known.plan, known.text) == (PLAN, first)


def test_runs_of_another_version_have_its_plan() -> None:
    other = PLAN.model_copy(update={"version": 2})
    one, two = (read_known_plan(json.dumps(plan.to_json()).encode()) for plan in (PLAN, other))

    assert (one.plan.version, two.plan.version) == (PLAN.version, 2)
    assert one.compiled is not two.compiled


def test_a_plan_that_was_sent_with_a_state_is_read_anew() -> None:
    whole = make_request(PLAN)
    args = wrap_whole_request([encode_request(whole)[1]])
    assert read_request(decode_arguments(args, CONVERTER))["plan"] is None  # the envelope of this one has none
    known = read_known_plan(whole["plan"])

    assert (known.plan, known.text) == (PLAN, None)


def test_few_large_plans_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_plans, "SMALL_BYTES", 0)
    texts = [
        json.dumps(PLAN.model_copy(update={"version": number}).to_json()).encode()
        for number in range(known_plans.LARGE_PLANS + 1)
    ]
    first = read_known_plan(texts[0])

    assert read_known_plan(texts[0]) is first
    for text in texts[1:]:
        read_known_plan(text)
    assert read_known_plan(texts[0]) is not first


def test_a_plan_that_is_not_json_fails_the_run() -> None:
    args = encode_request(make_request(PLAN))
    args[2] = RawValue(CONVERTER.to_payload(b"{}"))

    assert read_request(decode_arguments(args, CONVERTER))["plan"] is None


def test_a_plan_of_a_newer_release_fails_the_task_each_time() -> None:
    text = json.dumps({**PLAN.to_json(), "format": FORMAT + 1}).encode()

    for _ in range(2):
        with pytest.raises(RuntimeError, match="upgrade the worker"):
            read_known_plan(text)
