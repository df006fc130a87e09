"""What all tests on Temporal share."""

from collections.abc import Iterator

import pytest

from orchestrator.temporal.segments import segment_run
from tests.temporal.world import extend_time_limits


@pytest.fixture(scope="module", autouse=True)
def _extended_time_limits() -> Iterator[None]:
    with extend_time_limits():
        yield


@pytest.fixture
def long_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no segment end because the machine is slow."""
    monkeypatch.setattr(segment_run, "MAX_SECONDS", 60.0)
