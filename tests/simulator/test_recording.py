"""Cases that are made of runs, and the masks of what is in them."""

import json
from datetime import datetime
from typing import Any

import pytest

from orchestrator.model.plan import Plan
from orchestrator.simulator.effects import Simulation
from orchestrator.simulator.expectations import compare
from orchestrator.simulator.masking import Masker
from orchestrator.simulator.recording import add_keys, build_case, escape_templates
from orchestrator.simulator.simulate import Trace, simulate, trace_simulation
from tests.golden import Case, load_cases
from tests.simulator.test_coverage import trace_case

CASES = [
    case
    for case in load_cases()
    if not (case.resolutions or case.repairs or case.move or "refused" in case.expect)
    and case.expect.get("status", "completed") == "completed"
]
GOES_BACK = "rollback"
"""What went back is off the record of a run, so it cannot be repeated."""


def run_case(plan: Plan, case: dict[str, Any]) -> Trace:
    """Run a case as the command does, but for what a file holds."""
    simulation = Simulation(
        datetime.fromisoformat(case["start"]), {}, list(case.get("resolutions", ())), results=case.get("results", {})
    )
    options = {"trigger": case.get("trigger"), "events": case.get("events", ())}
    return trace_simulation(plan, simulation, input=case.get("input"), **options)


def repeat(plan: Plan, trace: Trace) -> list[str]:
    case: dict[str, Any] = {}
    differences: list[str] = []
    for with_seconds in (False, True):
        case = build_case(trace.run, plan, "recorded", Masker(), with_seconds=with_seconds)
        repeated = run_case(plan, case)
        while add_keys(case, repeated.run.waiting_for):
            repeated = run_case(plan, case)
        differences = list(compare(case["expect"], repeated))
        if not differences:
            return []
    return differences


@pytest.mark.parametrize("case", [case for case in CASES if GOES_BACK not in case.name], ids=lambda case: case.name)
def test_the_case_of_a_run_repeats_it(case: Case) -> None:
    plan, trace = trace_case(case)

    assert repeat(plan, trace) == []


def test_a_run_that_went_back_is_not_repeated_silently() -> None:
    case = next(each for each in CASES if "retry_from goes back to a checkpoint" in each.name)
    plan, trace = trace_case(case)

    assert repeat(plan, trace) != []


def test_results_are_no_templates() -> None:
    text = "{{ now() }} and {{"
    node = {"id": "a", "type": "action", "action": "x.y"}
    done = {"id": "b", "type": "end", "config": {"output": "{{ steps.a.output.text }}"}}
    edges = [{"source": "trigger", "target": "a"}, {"source": "a", "target": "b"}]
    flow = {"id": "a", "name": "A", "trigger": {"type": "manual"}, "nodes": [node, done], "edges": edges}
    run = simulate(flow, actions={"x.y": {"output": escape_templates({"text": text})}})

    assert run.output == text


def test_secrets_and_personal_data_are_masked_everywhere_by_the_same_mask() -> None:
    value = {
        "email": "ada@lovelace.org",
        "note": "write to ada@lovelace.org or call +49 30 1234567",
        "apiKey": "k-123456",
        "headers": {"Authorization": "Bearer abc.def"},
        "url": "https://x.example/?key=k-123456",
        "card": "4111 1111 1111 1111",
        "order": "1234 5678 9012 3456",
        "address": {"street": "Main St", "number": 12},
        "token_count": 3,
    }
    masked = Masker().mask(value)

    assert masked["email"] == "person1@example.com"
    assert masked["note"].startswith("write to person1@example.com or call masked-")
    assert masked["url"] == f"https://x.example/?key={masked['apiKey']}"
    assert masked["order"] == value["order"]  # its last digit is not that of a card
    for secret in ("lovelace", "1234567", "k-123456", "abc.def", "4111", "Main St", "12,"):
        assert secret not in json.dumps(masked)


def test_a_key_can_be_masked_or_kept_by_name() -> None:
    masker = Masker(names=["nick"], kept_names=["email", "token_count"])

    assert masker.mask({"nick": "Al", "email": "a@b.org", "token_count": 3, "text": "a@b.org, Al"}) == {
        "nick": "masked-1",
        "email": "a@b.org",
        "token_count": 3,
        "text": "a@b.org, Al",  # too short to be looked for in other text
    }
