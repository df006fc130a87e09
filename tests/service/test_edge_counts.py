"""The ports that a run left its nodes by, as its document tells."""

from typing import Any

from orchestrator.service.edge_counts import list_taken


def make_step(node: str, **more: Any) -> dict[str, Any]:
    fields = {"id": node, "node_id": node, "status": "completed", "completed_at": "2026-01-01T00:00:00Z"}
    return {**fields, "decision": None, "output_data": None, **more}


def test_a_node_is_left_by_the_port_of_its_decision_its_timeout_its_error_or_by_next() -> None:
    steps = [
        make_step("check", decision={"port": "true"}),
        make_step("ask", output_data={"timed_out": True}),
        make_step("charge", status="failed"),
        make_step("guarded", decision={"port": "when"}),
        make_step("passed", status="skipped", decision={"port": "skipped"}),
        make_step("log"),
    ]

    assert list(list_taken(steps)) == [
        ("check", "true"),
        ("ask", "timeout"),
        ("charge", "error"),
        ("guarded", "next"),
        ("passed", "next"),
        ("log", "next"),
    ]


def test_steps_that_have_not_gone_on_take_no_edge() -> None:
    steps = [
        make_step("open", status="running", completed_at=None),
        make_step("lost", status="cancelled"),
        make_step("charge", id="charge/compensate"),
    ]

    assert list(list_taken(steps)) == []
