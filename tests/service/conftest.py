"""The service with deadlines that a busy machine keeps."""

from collections.abc import Iterator

import pytest

from tests.api.support import extend_deadlines


@pytest.fixture(autouse=True)
def _extended_deadlines() -> Iterator[None]:
    with extend_deadlines():
        yield
