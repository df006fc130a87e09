"""Delays on the virtual clock."""

from typing import Any

import pytest

from orchestrator.simulator.simulate import simulate


@pytest.mark.parametrize(
    ("zone", "until"),
    [
        ({}, "2026-01-01T08:00:00Z"),
        ({"timezone": "Europe/Berlin"}, "2026-01-01T07:00:00Z"),
        ({"timezone": "America/New_York"}, "2026-01-01T13:00:00Z"),
    ],
)
def test_the_cron_of_a_delay_is_in_its_time_zone(zone: dict[str, Any], until: str) -> None:
    definition = {
        "name": "morning",
        "trigger": {"type": "manual"},
        "nodes": [{"id": "a", "type": "delay", "config": {"cron": "0 8 * * *", **zone}}],
        "edges": [{"source": "trigger", "target": "a"}],
    }
    run = simulate(definition)  # from 2026-01-01T00:00:00Z

    assert run.steps[0].output_data["until"] == until
