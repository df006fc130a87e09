"""Checks of triggers: what passes them can be installed."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.errors import Problem
from orchestrator.model.definition import Trigger
from orchestrator.model.webhook_schemes import SCHEMES
from orchestrator.planner.planner import check
from orchestrator.planner.report import Report
from orchestrator.planner.trigger_checks import check as check_trigger
from orchestrator.temporal.schedules.spec import OVERLAPS, build_policy, build_spec
from orchestrator.timing import schedule
from orchestrator.timing.cron import CronError, load_zone
from orchestrator.timing.schedule import list_fire_times

CONFIG = "/trigger/config"
KEY = "sixteen-letters!"


def problems(**trigger: Any) -> list[Problem]:
    nodes = [{"id": "a", "type": "set", "config": {"x": 1}}]
    edges = [{"source": "trigger", "target": "a"}]
    return check({"id": "w", "name": "W", "trigger": trigger, "nodes": nodes, "edges": edges}).problems


def list_problems(**trigger: Any) -> list[tuple[str, str, str]]:
    return [(problem.severity, problem.code, problem.path) for problem in problems(**trigger)]


def daily(**config: Any) -> dict[str, Any]:
    return {"type": "schedule", "cron": "@daily", "config": config}


def hook(**config: Any) -> dict[str, Any]:
    return {"type": "webhook", "webhook_path": "in", "config": {"secret": "{{ secrets.hook }}"} | config}


INVALID: dict[str, tuple[dict[str, Any], str, str]] = {
    "fractional interval": (
        {"type": "schedule", "interval_seconds": 1.5},
        "out_of_bounds",
        "/trigger/interval_seconds",
    ),
    "negative interval": ({"type": "schedule", "interval_seconds": -5}, "out_of_bounds", "/trigger/interval_seconds"),
    "endless interval": ({"type": "schedule", "interval_seconds": 1e12}, "out_of_bounds", "/trigger/interval_seconds"),
    "long catchup": (daily(catchup_window_seconds=1e11), "out_of_bounds", f"{CONFIG}/catchup_window_seconds"),
    "long jitter": (daily(jitter_seconds=1e300), "out_of_bounds", f"{CONFIG}/jitter_seconds"),
    "jitter as text": (daily(jitter_seconds="5"), "out_of_bounds", f"{CONFIG}/jitter_seconds"),
    "unknown overlap": (daily(overlap="queue"), "bad_overlap", f"{CONFIG}/overlap"),
    "overlap in a list": (daily(overlap=["skip"]), "bad_overlap", f"{CONFIG}/overlap"),
    "time that is not ISO 8601": (daily(start_at="tomorrow"), "bad_time", f"{CONFIG}/start_at"),
    "a number as time": (daily(end_at=20260101), "bad_time", f"{CONFIG}/end_at"),
    "time before year 1": (daily(start_at="0001-01-01T00:00+14:00"), "bad_time", f"{CONFIG}/start_at"),
    "time after year 9999": (
        daily(end_at="9999-12-31T23:59", timezone="America/New_York"),
        "bad_time",
        f"{CONFIG}/end_at",
    ),
    "unknown zone": (daily(timezone="Mars/Base"), "bad_timezone", f"{CONFIG}/timezone"),
    "a number as zone": (daily(timezone=2), "bad_timezone", f"{CONFIG}/timezone"),
    "machine-dependent zone": (daily(timezone="localtime"), "bad_timezone", f"{CONFIG}/timezone"),
    "a zone with leap seconds": (daily(timezone="right/UTC"), "bad_timezone", f"{CONFIG}/timezone"),
    "event of 201 letters": ({"type": "event", "event": "a" * 201}, "bad_event", "/trigger/event"),
    "path of 401 letters": (
        hook() | {"webhook_path": "a" * 401},
        "bad_webhook_path",
        "/trigger/webhook_path",
    ),
    "unknown method": (hook(methods=["POST", "SEND"]), "bad_method", f"{CONFIG}/methods/1"),
    "method as number": (hook(methods=[1]), "bad_method", f"{CONFIG}/methods/0"),
    "methods as object": (hook(methods={"POST": True}), "wrong_type", f"{CONFIG}/methods"),
    "methods as number": (hook(methods=5), "wrong_type", f"{CONFIG}/methods"),
    "timeout of zero": (hook(timeout_seconds=0), "out_of_bounds", f"{CONFIG}/timeout_seconds"),
    "timeout over the maximum": (hook(timeout_seconds=301), "out_of_bounds", f"{CONFIG}/timeout_seconds"),
    "tolerance of zero": (hook(tolerance_seconds=0), "out_of_bounds", f"{CONFIG}/tolerance_seconds"),
    "tolerance as text": (hook(tolerance_seconds="300"), "out_of_bounds", f"{CONFIG}/tolerance_seconds"),
    "header with a space": (hook(signature_header="X Signature"), "bad_header", f"{CONFIG}/signature_header"),
    "header with a line": (hook(timestamp_header="X-Time\r\n"), "bad_header", f"{CONFIG}/timestamp_header"),
    "header as number": (hook(idempotency_header=5), "bad_header", f"{CONFIG}/idempotency_header"),
    "prefix of null": (hook(signature_prefix=None), "wrong_type", f"{CONFIG}/signature_prefix"),
    "secret as number": (hook(secret=5), "bad_secret", f"{CONFIG}/secret"),
    "empty secret": (hook(secret=""), "bad_secret", f"{CONFIG}/secret"),
    "blank secret": (hook(secret="  "), "bad_secret", f"{CONFIG}/secret"),
    "broken secret": (hook(secret="{{ secrets.hook"), "template_syntax", f"{CONFIG}/secret"),
    "secret from the request": (hook(secret="{{ body.secret? }}"), "bad_secret", f"{CONFIG}/secret"),
    "secrets without one": (hook(secret=[]), "bad_secret", f"{CONFIG}/secret"),
    "empty second secret": (hook(secret=[KEY, ""]), "bad_secret", f"{CONFIG}/secret/1"),
    "second secret from the request": (hook(secret=[KEY, "{{ body.k? }}"]), "bad_secret", f"{CONFIG}/secret/1"),
    "misspelt scheme": (hook(scheme="gitub", secret=KEY), "unknown_choice", f"{CONFIG}/scheme"),
    "scheme as list": (hook(scheme=["github"], secret=KEY), "unknown_choice", f"{CONFIG}/scheme"),
    "scheme without secret": (hook(scheme="github", secret=None), "bad_secret", f"{CONFIG}/secret"),
    "unknown algorithm": (hook(algorithm="md5", secret=KEY), "unknown_choice", f"{CONFIG}/algorithm"),
    "unknown encoding": (hook(encoding="base32", secret=KEY), "unknown_choice", f"{CONFIG}/encoding"),
    "signed without the body": (hook(signed="{timestamp}", secret=KEY), "bad_signed", f"{CONFIG}/signed"),
    "signed with a misspelt part": (hook(signed="{timestmp}.{body}"), "bad_signed", f"{CONFIG}/signed"),
    "signed as list": (hook(signed=["{body}"]), "bad_signed", f"{CONFIG}/signed"),
    "a signature that signs itself": (
        hook(signed="{headers.x-sign}{body}", signature_header="X-Sign"),
        "bad_signed",
        f"{CONFIG}/signed",
    ),
    "timestamp key with a space": (hook(timestamp_key="t ="), "bad_signed", f"{CONFIG}/timestamp_key"),
    "body limit of zero": (hook(max_body_bytes=0), "out_of_bounds", f"{CONFIG}/max_body_bytes"),
    "fractional body limit": (hook(max_body_bytes=1.5), "out_of_bounds", f"{CONFIG}/max_body_bytes"),
    "misspelt respond": (hook(respond="outputs"), "bad_respond", f"{CONFIG}/respond"),
    "misspelt key of respond": (hook(respond={"staus": 200}), "unknown_key", f"{CONFIG}/respond/staus"),
    "other key of respond": (hook(respond={"cookies": 1}), "unknown_key", f"{CONFIG}/respond/cookies"),
    "status out of bounds": (hook(respond={"status": 101}), "bad_respond", f"{CONFIG}/respond/status"),
    "status as text": (hook(respond={"status": "OK"}), "bad_respond", f"{CONFIG}/respond/status"),
    "body without content": (hook(respond={"status": 204, "body": "x"}), "bad_respond", f"{CONFIG}/respond/body"),
    "headers as list": (hook(respond={"headers": ["X-A: b"]}), "bad_respond", f"{CONFIG}/respond/headers"),
    "response header with a space": (
        hook(respond={"headers": {"X A": "b"}}),
        "bad_header",
        f"{CONFIG}/respond/headers/X A",
    ),
    "response header with a line": (
        hook(respond={"headers": {"X-A": "b\r\nc"}}),
        "bad_header",
        f"{CONFIG}/respond/headers/X-A",
    ),
    "cookie": (
        hook(respond={"headers": {"Set-Cookie": "a=b"}}),
        "forbidden_header",
        f"{CONFIG}/respond/headers/Set-Cookie",
    ),
    "framing": (
        hook(respond={"headers": {"transfer-encoding": "chunked"}}),
        "forbidden_header",
        f"{CONFIG}/respond/headers/transfer-encoding",
    ),
    "secret in respond": (
        hook(respond={"body": "{{ secrets.k }}"}),
        "secret_outside_action",
        f"{CONFIG}/respond/body",
    ),
    "broken filter of a webhook": (
        hook(filter={"field": "body.a", "operator": "equls"}),
        "unknown_operator",
        f"{CONFIG}/filter/operator",
    ),
    "key as number": (hook(idempotency_key=5), "wrong_type", f"{CONFIG}/idempotency_key"),
    "constant key": (hook(idempotency_key="a"), "no_effect", f"{CONFIG}/idempotency_key"),
    "resume as text": (hook(resume="abc"), "bad_resume", f"{CONFIG}/resume"),
    "resume without run": (hook(resume={"event": "paid"}), "bad_resume", f"{CONFIG}/resume/run_id"),
    "resume without event": (hook(resume={"run_id": "{{ body.run }}"}), "bad_resume", f"{CONFIG}/resume/event"),
    "resume of numbers": (hook(resume={"run_id": 1, "event": "paid"}), "bad_resume", f"{CONFIG}/resume/run_id"),
    "broken run": (
        hook(resume={"run_id": "{{ broken", "event": "paid"}),
        "template_syntax",
        f"{CONFIG}/resume/run_id",
    ),
    "secret in resume": (
        hook(resume={"run_id": "{{ secrets.run }}", "event": "paid"}),
        "secret_outside_action",
        f"{CONFIG}/resume/run_id",
    ),
    "misspelt resume": (
        hook(resume={"run_id": "{{ body.run }}", "event": "paid", "runid": ""}),
        "unknown_key",
        f"{CONFIG}/resume/runid",
    ),
    "misspelt key of a schedule": (daily(timezon="UTC"), "unknown_key", f"{CONFIG}/timezon"),
    "misspelt key of an event": (
        {"type": "event", "event": "a", "config": {"filters": {}}},
        "unknown_key",
        f"{CONFIG}/filters",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_trigger_is_reported_at_its_path(case: str) -> None:
    trigger, code, path = INVALID[case]

    assert list_problems(**trigger) == [("error", code, path)]


@pytest.mark.parametrize(
    "trigger",
    [
        {"type": "schedule", "interval_seconds": 1},
        daily(timezone="Europe/Vienna", overlap="buffer_all", jitter_seconds=0.5, catchup_window_seconds=0),
        daily(start_at="2026-01-01", end_at="9999-12-31T23:59:59Z", timezone="", overlap=None),
        {"type": "event", "event": "a" * 200},
        hook(methods="post"),
        hook(methods=["POST", "put"], respond="output", timeout_seconds=300, idempotency_header="Idempotency-Key"),
        hook(secret="{{ secrets.hook }}", signature_prefix="", signature_header="X-Sign", tolerance_seconds=60),
        *(hook(scheme=scheme, secret="{{ secrets.hook }}", max_body_bytes=10) for scheme in SCHEMES),
        hook(secret=["{{ secrets.new }}", "{{ secrets.old }}"], signed="v0:{timestamp}:{headers.x-id}:{body}"),
        hook(secret=KEY, algorithm="sha512", encoding="base64", secret_encoding="hex", timestamp_key="t"),
        hook(secret=KEY, scheme="", algorithm=None, signed="", respond=None, max_body_bytes=None),
        hook(idempotency_key="{{ body.id }}", filter={"field": "body.action", "value": "opened"}),
        hook(respond={"status": 201, "headers": {"X-A": "{{ status }}"}, "body": {"e": "{{ error.message? }}"}}),
        hook(respond={"status": "{{ output.status }}", "body": "{{ trigger.body.challenge }}"}),
        hook(resume=None, signature_header="", timestamp_header=None),
        hook(secret=KEY),
        hook(resume={"run_id": "{{ query.run }}", "event": "{{ trigger.body.kind | lower }}"}),
    ],
)
def test_a_valid_trigger_has_no_problems(trigger: dict[str, Any]) -> None:
    assert list_problems(**trigger) == []


def test_keys_that_do_nothing_are_warnings() -> None:
    for config in (
        {"scheme": "token", "signed": "{body}"},
        {"scheme": "github", "tolerance_seconds": 60},
        {"signed": "{body}", "timestamp_header": "X-T"},
    ):
        found = problems(**hook(secret=KEY, **config))

        assert [(each.severity, each.code) for each in found] == [("warning", "no_effect")]


def test_misspelt_values_have_a_hint() -> None:
    assert problems(**hook(scheme="strpe", secret=KEY))[0].hint == "did you mean `stripe`?"
    assert problems(**hook(respond={"body": "{{ outputs }}"}))[0].hint == "did you mean `output`?"
    assert problems(**hook(signed="{bod}"))[0].hint == "did you mean `body`?"


@pytest.mark.parametrize(
    ("trigger", "code", "path"),
    [
        ({"type": "webhook", "webhook_path": "in"}, "open_webhook", CONFIG),
        (hook(secret=None), "open_webhook", CONFIG),
        (hook(secret="fifteen-letters"), "weak_secret", f"{CONFIG}/secret"),
        (hook(secret=[KEY, "fifteen-letters"]), "weak_secret", f"{CONFIG}/secret/1"),
    ],
)
def test_a_webhook_that_strangers_can_use_is_a_warning(trigger: dict[str, Any], code: str, path: str) -> None:
    assert list_problems(**trigger) == [("warning", code, path)]


def test_unknown_request_fields_and_keys_are_warnings() -> None:
    resume = {"run_id": "{{ boddy.run }}", "event": "paid", "colour": "red"}

    found = {problem.code: problem for problem in problems(**hook(resume=resume))}

    assert {problem.severity for problem in found.values()} == {"warning"}
    assert found["unknown_variable"].hint == "did you mean `body`?"
    assert found["unknown_key"].path == f"{CONFIG}/resume/colour"


def test_a_misspelt_overlap_policy_gets_a_suggestion() -> None:
    (problem,) = problems(**daily(overlap="bufer_one"))

    assert problem.hint == "did you mean `buffer_one`?"


NOW = datetime(2026, 11, 26, tzinfo=UTC)


def check_schedule(**keys: Any) -> list[Problem]:
    """Return the problems of a schedule on November 26, 2026."""
    report = Report()
    check_trigger(Trigger(type="schedule", **keys), report, NOW)
    return report.problems


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        # An active schedule that Temporal had installed, and that started nothing ever.
        (
            {"cron": "0 9 * * *", "config": {"start_at": "2027-01-01", "end_at": "2026-01-01"}},
            "end_at",
            "end_at (2026-01-01T00:00Z) is before start_at (2027-01-01T00:00Z)",
        ),
        # 2027 is not a leap year.
        (
            {"cron": "0 0 29 2 *", "config": {"start_at": "2027-01-01", "end_at": "2027-12-31"}},
            "end_at",
            "no fire time from 2027-01-01T00:00Z to 2027-12-31T00:00Z",
        ),
        ({"cron": "@yearly", "config": {"start_at": "2100-06-01"}}, "start_at", "to the end of 2100"),
        ({"interval_seconds": 60, "config": {"end_at": "1969-12-31"}}, "end_at", "no fire time to 1969-12-31"),
        # 3,000,000,000 s are 95 years: 1970, 2065, 2160.
        ({"interval_seconds": 3_000_000_000, "config": {"start_at": "2066-01-01"}}, "start_at", "no fire time from"),
    ],
)
def test_a_schedule_that_never_fires_is_an_error(keys: dict[str, Any], path: str, message: str) -> None:
    (problem,) = check_schedule(**keys)

    assert (problem.severity, problem.code, problem.path) == ("error", "never_fires", f"{CONFIG}/{path}")
    assert message in problem.message


def test_a_schedule_that_fires_once_at_its_bounds_is_valid() -> None:
    assert check_schedule(cron="0 0 1 12 *", config={"start_at": "2026-12-01", "end_at": "2026-12-01"}) == []


def test_a_schedule_that_has_ended_is_a_warning() -> None:
    """Its workflow can still be started by hand, so the definition stays usable."""
    (problem,) = check_schedule(cron="@daily", config={"end_at": "2026-11-25"})

    assert (problem.severity, problem.code, problem.path) == ("warning", "schedule_ended", f"{CONFIG}/end_at")


@pytest.mark.parametrize(
    ("zone", "cron", "message"),
    [
        ("Europe/Vienna", "30 2 * * *", "on 2027-03-28 the clocks of Europe/Vienna skip 02:30: the schedule does not"),
        ("Europe/Vienna", "0 */2 * * *", "on 2027-03-28 the clocks of Europe/Vienna skip 02:00"),
        # 01:00 and 03:00 are the instants of 02:00 by the two offsets; they fire on their own account.
        ("Europe/Vienna", "0 1-5 * * *", "on 2027-03-28 the clocks of Europe/Vienna skip 02:00: the schedule does not"),
        ("Europe/Vienna", "30 2 * 10 *", "on 2027-10-31 the clocks of Europe/Vienna show 02:30 twice: the schedule "
         "fires once, the second time"),
        ("America/New_York", "30 1 * * *", "on 2027-11-07 the clocks of America/New_York show 01:30 twice: the "
         "schedule fires twice"),
        # Clocks go from 02:00 to 02:30.
        ("Australia/Lord_Howe", "15 2 * * *", "on 2027-10-03 the clocks of Australia/Lord_Howe skip 02:15: the "
         "schedule fires at 02:45 instead"),
    ],
)  # fmt: skip
def test_a_time_of_day_inside_a_clock_change_is_a_warning_with_the_next_night(
    zone: str, cron: str, message: str
) -> None:
    (problem,) = check_schedule(cron=cron, config={"timezone": zone})

    assert (problem.severity, problem.code, problem.path) == ("warning", "clock_change", "/trigger/cron")
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    "keys",
    [
        {"cron": "30 2 * * *"},
        {"cron": "30 2 * * *", "config": {"timezone": "Asia/Kolkata"}},
        {"cron": "0 3 * * *", "config": {"timezone": "Europe/Vienna"}},
        {"cron": "*/15 * * * *", "config": {"timezone": "Europe/Vienna"}},
        {"cron": "30 2 * * mon-sat", "config": {"timezone": "Europe/Vienna"}},
        {"cron": "30 2 * * *", "config": {"timezone": "Europe/Vienna", "end_at": "2027-03-28"}},
        {"interval_seconds": 3600, "config": {"timezone": "Europe/Vienna"}},
    ],
)
def test_a_schedule_that_no_clock_change_touches_has_no_warning(keys: dict[str, Any]) -> None:
    assert check_schedule(**keys) == []


@pytest.mark.parametrize(
    ("start_at", "reason"),
    [
        ("2027-03-28T02:30", "skip 2027-03-28T02:30; it is read as 2027-03-28T01:30Z"),
        ("2027-10-31T02:30", "show 2027-10-31T02:30 twice; it is read as 2027-10-31T00:30Z"),
        ("2027-10-31T02:30+02:00", ""),
        ("2027-10-31T03:00", ""),
    ],
)
def test_a_bound_inside_a_clock_change_is_a_warning_unless_it_has_an_offset(start_at: str, reason: str) -> None:
    found = check_schedule(cron="@daily", config={"timezone": "Europe/Vienna", "start_at": start_at})

    assert [(one.code, one.path) for one in found] == [("clock_change", f"{CONFIG}/start_at")] * bool(reason)
    assert all(one.message.endswith(reason) for one in found)


def test_a_step_wider_than_its_field_is_a_warning() -> None:
    (problem,) = check_schedule(cron="*/90 * * * *")

    assert (problem.severity, problem.code, problem.path) == ("warning", "wide_step", "/trigger/cron")
    assert problem.message.startswith("minute: '*/90' matches 0 only")


SECONDS = st.sampled_from([None, False, True, -1, 0, 0.5, 60, 10**11, 1e300, float("nan"), float("inf"), "", "5", []])
INTERVALS = st.sampled_from([None, -1.0, 0.5, 1, 1.5, 90, 3_000_000_000, 1e11, float("nan"), float("inf")])
TIMES = st.sampled_from(
    [None, "", 0, 5, "x", "2026-01-01", "9999-12-31T23:59:59Z", "9999-12-31T23:59-12:00", "0001-01-01T00:00+14:00"]
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "timezone": st.sampled_from(["", None, "UTC", "Asia/Tokyo", "localtime", "right/UTC", "x", 1, ["UTC"]]),
        "overlap": st.sampled_from(["", None, "skip", "allow_all", "SKIP", 1, ["skip"], {}]),
        "catchup_window_seconds": SECONDS,
        "jitter_seconds": SECONDS,
        "start_at": TIMES,
        "end_at": TIMES,
    },
)


def test_the_input_of_a_schedule_must_match_the_input_schema() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    def list_paths(**config: Any) -> list[str]:
        made = {"id": "w", "name": "W", "trigger": daily(**config), "settings": {"input_schema": schema}}
        nodes = {
            "nodes": [{"id": "a", "type": "set", "config": {"x": 1}}],
            "edges": [{"source": "trigger", "target": "a"}],
        }
        return [problem.path for problem in check(made | nodes).problems]

    assert list_paths(input={"n": "many"}) == [f"{CONFIG}/input/n"]
    assert list_paths() == [f"{CONFIG}/input"]
    assert list_paths(input={"n": 1}) == []


@given(st.sampled_from(["", "@daily", "61 * * * *", "0 0 30 2 *"]), INTERVALS, CONFIGS)
@example("@daily", None, {"start_at": "9999-12-31T23:59:59Z"})  # after the last year of Temporal
def test_a_trigger_without_errors_makes_a_schedule(cron: str, seconds: float | None, config: dict[str, Any]) -> None:
    trigger = {"type": "schedule", "cron": cron, "interval_seconds": seconds, "config": config}
    if any(problem.severity == "error" for problem in problems(**trigger)):
        return

    read = Trigger.model_validate(trigger)

    assert build_spec(read).time_zone_name
    assert build_policy(read).catchup_window is not None
    assert len(list_fire_times(read, datetime(1969, 1, 1, tzinfo=UTC), 1)) == 1


def test_overlap_policies_are_the_same_in_both_tables() -> None:
    assert tuple(OVERLAPS) == schedule.OVERLAPS


@pytest.mark.parametrize("name", ["localtime", "posixrules", "right/UTC", "posix/UTC", "/etc/localtime", "", "utc\0"])
def test_a_machine_dependent_time_zone_is_refused(name: str) -> None:
    with pytest.raises(CronError, match="unknown time zone"):
        load_zone(name)


@pytest.mark.parametrize("name", ["UTC", "Europe/Vienna", "Etc/GMT+1", "US/Eastern"])
def test_a_zone_has_its_iana_name(name: str) -> None:
    assert load_zone(name) == ZoneInfo(name)


def test_a_wide_step_of_a_delay_is_a_warning() -> None:
    nodes = [{"id": "d", "type": "delay", "config": {"cron": "0 */30 * * *"}}]
    edges = [{"source": "trigger", "target": "d"}]

    (problem,) = check({"name": "W", "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges}).problems

    assert (problem.severity, problem.code, problem.path) == ("warning", "wide_step", "/nodes/0/config/cron")
