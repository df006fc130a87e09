"""What a run waits for: in its search attribute, and with the activities that Temporal describes, in lists."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.temporal.client.open_runs import FlowWaits, OpenRun, PendingActivity, derive_open_run
from orchestrator.temporal.waiting import MAX_LENGTH, decode_waits, encode_address, encode_waits, list_addresses

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SINCE = "2026-01-31T08:00:00Z"


def make_wait(kind: str, node_id: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "node_id": node_id, "since": SINCE, **more}


def make_activity(*, started: bool = True, attempt: int = 1, unknown: bool = False, seconds: float = 9) -> Any:
    then = NOW - timedelta(seconds=seconds)
    return PendingActivity(
        "work", "crm.sync", "gpu", then, then if started else None, attempt, None, "action_error", "down", unknown
    )


@pytest.mark.parametrize(
    "wait",
    [
        make_wait("event", "hear", event="order.paid"),
        make_wait("event", "nœud à l'écoute", event="a b%,*"),
        make_wait("operator", "pay", error_type="action_error"),
        make_wait("delay", "n" * 200, until="2026-02-01T00:00:00Z"),
    ],
)
def test_a_wait_is_read_as_it_was_shown(wait: dict[str, Any]) -> None:
    assert decode_waits(encode_waits([wait], has_branches=False), None) == [wait]


@pytest.mark.parametrize(("character", "node_id"), [("é", "hear"), ("漢", "n" * 200), ("😀", "hear"), ("é", "n" * 150)])
def test_a_long_event_is_cut_at_a_character(character: str, node_id: str) -> None:
    """It was cut in the middle of an escape, and the node was lost."""
    event = "x" + character * 99
    values = encode_waits([make_wait("event", node_id, event=event)], has_branches=False)
    (wait,) = decode_waits(values, None)

    assert max(map(len, values)) <= MAX_LENGTH
    assert event.startswith(wait["event"])
    assert (wait["node_id"], wait["since"]) == (node_id, SINCE)


def test_waits_of_many_iterations_are_one_line_without_a_time() -> None:
    """An event of the history for each of a thousand iterations would be worth less than it costs."""
    waits = [make_wait("event", "hear", event="go", since=f"2026-01-31T08:00:0{index}Z") for index in range(5)]
    values = encode_waits(waits, has_branches=False)

    address = encode_address("go", None)
    assert values == encode_waits(waits[1:], has_branches=False) == ("event", "event go - hear", address)
    assert decode_waits(values, NOW) == [make_wait("event", "hear", event="go", since="2026-01-31T12:00:00Z")]


def test_a_step_that_waits_for_an_operator_is_shown_behind_many_other_waits() -> None:
    waits = [make_wait("event", f"hear_{index}", event="go") for index in range(9)]
    values = encode_waits([*waits, make_wait("operator", "pay", error_type="action_error")], has_branches=False)

    assert values[:2] == ("operator", "event")
    assert [wait["node_id"] for wait in decode_waits(values, None)] == ["pay", "hear_0", "hear_1", "hear_2", "hear_3"]


def test_while_a_flow_works_only_what_somebody_has_to_do_is_a_wait() -> None:
    pause, delay = make_wait("operator", "pay", error_type="action_error"), make_wait("delay", "nap", until=SINCE)

    assert encode_waits([delay], has_branches=True, is_working=True) == ()
    assert encode_waits([delay, pause], has_branches=False, is_working=True) == (
        *("operator", "working"),
        f"operator action_error {SINCE} pay",
    )


ASK = make_wait("operator", "pay", error_type="action_error")
NAP = make_wait("delay", "nap", until="2026-02-01T00:00:00Z")
ROWS: dict[str, tuple[list[Any], list[FlowWaits], tuple[str, str | None, str | None]]] = {
    "works": ([make_activity()], [FlowWaits()], ("running", None, None)),
    "works beside a delay": ([make_activity()], [FlowWaits((NAP,), False)], ("running", None, None)),
    "works beside a person": (
        [make_activity()],
        [FlowWaits(), FlowWaits((ASK,), False)],
        ("running", "operator", "pay"),
    ),
    "computes beside a person": ([], [FlowWaits((ASK,), True)], ("running", "operator", "pay")),
    "waits": ([], [FlowWaits((NAP,), False), FlowWaits((ASK,), False)], ("waiting", "operator", "pay")),
    "retries": ([make_activity(started=False, attempt=2)], [FlowWaits()], ("retrying", None, "work")),
    "retries beside a person": (
        [make_activity(started=False, attempt=2)],
        [FlowWaits((ASK,), True)],
        ("retrying", "operator", "pay"),
    ),
    "nobody knows the action": (
        [make_activity(started=False, attempt=2, unknown=True)],
        [FlowWaits((ASK,), True)],
        ("retrying", "no_worker", "work"),
    ),
    "no worker": ([make_activity(started=False)], [FlowWaits((ASK,), True)], ("pending", "no_worker", "work")),
}


@pytest.mark.parametrize(("activities", "flows", "expected"), ROWS.values(), ids=ROWS)
def test_a_row_has_what_a_person_has_to_do_beside_the_work(
    activities: list[Any], flows: list[FlowWaits], expected: tuple[str, str | None, str | None]
) -> None:
    """A step that waited for an operator was hidden for as long as another branch worked."""
    row: OpenRun = derive_open_run(activities, flows, NOW)

    assert (row.status, row.reason, row.node_id) == expected
    assert (ASK in row.waiting_for) == any(ASK in flow.waits for flow in flows)


def test_each_event_that_is_waited_for_has_an_address() -> None:
    """By it the service finds the runs that wait for an event of a name and key."""
    waits = [
        make_wait("event", "hear", event=["paid", "refunded"], key="7"),
        make_wait("approval", "ask", event="ask", approval={"title": "Buy it?"}),
        make_wait("delay", "sleep", until=SINCE),
    ]
    addresses = list_addresses(encode_waits(waits, has_branches=False))

    assert set(addresses) == {encode_address("paid", "7"), encode_address("refunded", "7"), encode_address("ask", None)}
