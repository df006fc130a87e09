"""The trace of a run, as lines."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.cli.moments import format_duration
from orchestrator.cli.trace import (
    INCOMPLETE,
    describe_wait,
    format_step,
    format_trace,
    order_steps,
)
from orchestrator.model.run import Run, StepDocument
from orchestrator.service.explanations import explain_decision, format_line

START = datetime(2026, 1, 1, tzinfo=UTC)


def make_step(key: str, after: float = 0, took: float = 0, **more: Any) -> StepDocument:
    start = START + timedelta(seconds=after)
    fields = {"status": "completed", "duration_ms": round(took * 1000), **more}
    return StepDocument(id=key, node_id=key, started_at=start, path=key.rpartition("/")[0], **fields)


def make_run(*steps: StepDocument, **more: Any) -> Run:
    fields = {"status": "completed", "duration_ms": 0, "steps_total": len(steps), **more}
    return Run(id="r", workflow_id="w", workflow_version=1, started_at=START, steps=list(steps), **fields)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (1250, "1.25 s"),
        (59_999, "60 s"),
        (60_000, "1 m"),
        (200_000, "3 m 20 s"),
        (3_600_000, "1 h"),
        (5_400_000, "1 h 30 m"),
        (86_400_000, "1 d"),
        (100 * 86_400_000 + 4 * 3_600_000 + 59_000, "100 d 4 h"),
    ],
)
def test_a_duration_is_readable(milliseconds: int, text: str) -> None:
    assert format_duration(milliseconds) == text


EQUAL = {"field": "a", "operator": "equals", "value": 1, "seen": 2, "result": False}
EMPTY = {"field": "a", "operator": "is_empty", "value": None, "seen": None, "missing": True, "result": True}
EXPRESSION = {"field": "{{ a }}", "seen": 0, "result": False}


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        ({"port": "true", "compared": [EQUAL]}, "a equals 1: false, saw 2"),
        ({"port": "x", "compared": [EQUAL, EMPTY]}, "a equals 1: false, saw 2; a is_empty: true, no value"),
        ({"port": "x", "compared": [EXPRESSION], "omitted": 3}, "3 more; {{ a }}: false, saw 0"),
        ({"value": "gold", "port": "vip"}, 'the value is "gold"'),
        (None, ""),
    ],
)
def test_a_decision_is_explained_with_its_evidence(decision: Any, text: str) -> None:
    assert explain_decision(decision) == text


def test_a_step_shows_attempts_error_and_warnings() -> None:
    error = {"error_type": "action_error", "message": "no\nanswer"}
    step = make_step("load", 61, 2.5, status="failed", retry_count=2, error=error, warnings=["odd"])

    assert list(format_step(step, START, 6)) == [
        "  +1 m 1 s  failed     load    2.5 s, 3 attempts",
        "                       action_error: no answer",
        "                       warning: odd",
    ]


def test_inner_steps_follow_their_owner() -> None:
    steps = [
        make_step(key)
        for key in ("fork", "after", "fork[1]/b", "fork[0]/a", "fork[0]/each", "fork[0]/each[0]/x", "lost[4]/y")
    ]

    order = [one.id for one in order_steps(steps)]

    assert order == ["fork", "fork[1]/b", "fork[0]/a", "fork[0]/each", "fork[0]/each[0]/x", "after", "lost[4]/y"]


def test_a_trace_shows_missing_steps_waits_and_status() -> None:
    wait = {"node_id": "hear", "step_id": "hear#2", "kind": "event", "event": "go"}
    run = make_run(
        make_step("hear#2", status="waiting"), status="waiting", duration_ms=None, steps_total=9, waiting_for=[wait]
    )

    assert format_trace(run) == [
        "(8 earlier steps are not stored)",
        "     +0 ms  waiting    hear#2",
        "waits at hear#2: event go",
        "waiting, 9 steps",
    ]


def test_a_trace_without_all_steps_says_so() -> None:
    run = make_run(duration_ms=3000, complete=False)

    assert format_trace(run) == [INCOMPLETE, "completed after 3 s, steps unknown"]


def test_the_last_line_shows_the_failure() -> None:
    failure = {"error_type": "timeout_error", "message": "too slow", "node_id": "load"}
    run = make_run(make_step("load", took=3, status="failed"), status="failed", failure=failure, duration_ms=3000)

    assert format_trace(run)[-1] == "failed after 3 s, 1 step: timeout_error at load: too slow"


def test_a_long_text_is_truncated_to_one_line() -> None:
    assert len(format_line("word \n" * 100)) == 160


@pytest.mark.parametrize(
    ("wait", "text"),
    [
        ({"kind": "delay", "until": "2026-03-01T03:39:00Z"}, "until 03:39 UTC, in 51 min"),
        ({"kind": "delay", "until": "2026-03-04T03:39:00Z"}, "until 2026-03-04 03:39 UTC, in 3 d"),
        ({"kind": "event", "event": "go", "until": None}, "event go"),
        (
            {"kind": "event", "event": ["paid", "refused"], "until": "2026-03-01T03:39:00Z"},
            "event paid or refused, until 03:39 UTC, in 51 min",
        ),
        ({"kind": "operator", "error_type": "action_error", "message": "no"}, "an operator: action_error: no"),
        ({"kind": "operator", "error_type": "action_error"}, "an operator: action_error"),
        (
            {
                "kind": "retry",
                "attempt": 2,
                "error_type": "action_error",
                "message": "busy",
                "until": "2026-03-01T02:48:00Z",
            },
            "attempt 2 after action_error: busy, until 02:48 UTC, in 30 s",
        ),
        ({"kind": "paused"}, "the run is paused"),
        (
            {"kind": "worker", "message": "no worker has taken it", "queue": "gpu", "since": "2026-03-01T02:47:00Z"},
            "no worker has taken it, since 02:47 UTC",
        ),
    ],
)
def test_a_wait_is_told_in_words(wait: dict[str, Any], text: str) -> None:
    """It was raw JSON, with a time to the microsecond."""
    assert describe_wait(wait, datetime(2026, 3, 1, 2, 47, 30, tzinfo=UTC)) == text


def test_a_reused_step_has_its_time_before_the_run() -> None:
    """It was shown as `+-5000 ms`."""
    (line,) = format_step(make_step("a", after=-5, took=1, reused=True), START)

    assert line == "      -5 s  completed  a  1 s, reused"


def test_warnings_about_the_run_are_shown_before_its_end() -> None:
    """Only those about steps were: a business key that was left out was told nowhere."""
    lines = format_trace(make_run(make_step("a"), warnings=["the key 'order' is left out"]))

    assert lines[1:] == ["warning: the key 'order' is left out", "completed after 0 ms, 1 step"]
