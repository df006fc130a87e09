"""IDs of runs."""

import re

import pytest

from orchestrator.model.run_ids import derive_run_id, draw_run_id, format_run_id


@pytest.mark.parametrize(
    ("number", "digits"),
    [(0, "0" * 16), (31, "0" * 15 + "z"), (2**80 - 1, "z" * 16), (0x0123456789ABCDEF0123, "04hmasw9nf6yy093")],
)
def test_an_id_holds_80_bits_in_digits_that_are_not_misread(number: int, digits: str) -> None:
    assert format_run_id("order_flow", number) == f"order_flow-{digits}"


@pytest.mark.parametrize(
    ("workflow_id", "name"),
    [("order.flow~1", "order.flow~1"), ("a b/ä", "a%20b%2F%C3%A4"), ("", "run"), ("x" * 200, "x" * 128)],
)
def test_an_id_begins_with_that_of_the_workflow_and_needs_no_escapes_in_a_url(workflow_id: str, name: str) -> None:
    assert re.fullmatch(rf"{re.escape(name)}-[0-9a-hjkmnp-tv-z]{{16}}", draw_run_id(workflow_id))


def test_ids_differ() -> None:
    assert len({draw_run_id("x") for _ in range(1000)}) == 1000


def test_the_id_of_a_called_run_is_repeated_by_a_replay_and_differs_for_each_caller() -> None:
    """The random values of a Temporal workflow come from 64 bits only."""
    calls = [("a-1", "s"), ("a-2", "s"), ("a-1", "t")]

    assert len({derive_run_id("x", *call) for call in calls}) == 3
    assert derive_run_id("x", "a-1", "s") == derive_run_id("x", "a-1", "s")
