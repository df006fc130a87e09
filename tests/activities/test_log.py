"""`log.message` writes to the log of the run."""

import logging

import pytest

from tests.activities.conftest import Caller


async def test_a_message_is_logged_with_its_run(call: Caller, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "orchestrator.model.run"):
        assert await call("log.message", {"message": "100 % done", "level": "warning"}) == {}

    record = caplog.records[0]
    assert (record.getMessage(), record.levelname) == ("100 % done", "WARNING")
    assert record.__dict__["run_id"] == "r"
