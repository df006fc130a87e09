"""What all tests on Temporal share."""

from collections.abc import Iterator

import pytest

from tests.temporal.world import extend_time_limits


@pytest.fixture(scope="module", autouse=True)
def _extended_time_limits() -> Iterator[None]:
    with extend_time_limits():
        yield
