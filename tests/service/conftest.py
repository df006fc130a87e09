"""The service with deadlines that a busy machine keeps."""

from tests.api.support import extended_deadlines  # noqa: F401 - a fixture
