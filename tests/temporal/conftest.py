"""What all tests on Temporal share."""

from collections.abc import Iterator

import pytest

from tests.temporal.world import extend_update_timeouts


@pytest.fixture(scope="module", autouse=True)
def _extended_update_timeouts() -> Iterator[None]:
    with extend_update_timeouts():
        yield
