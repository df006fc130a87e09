"""Patterns of event names."""

import pytest

from orchestrator.service.subscribers import matches_pattern


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("order.paid", "order.paid", True),
        ("order.paid", "order.sent", False),
        ("order.*", "order.paid", True),
        ("order.*", "order", False),
        ("order.*", "order.paid.late", False),
        ("order.**", "order.paid.late", True),
        ("order.**", "order.paid", True),
        ("order.**", "order", False),
        ("**", "anything.at.all", True),
        ("*.paid", "order.paid", True),
        ("*", "order", True),
        ("*", "order.paid", False),
        ("*.**", "order.paid", True),
        ("*.**", "order", False),
    ],
)
def test_patterns_match_parts_of_event_names(pattern: str, name: str, fits: bool) -> None:
    assert matches_pattern(pattern, name) is fits
