"""Settings that are wrong are explained by the variable, the value and what to write instead."""

import pytest

from orchestrator.cli.environment import load_settings
from orchestrator.errors import SettingsError
from orchestrator.settings import PREFIX


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("API_PORT", "many", "must be a whole number"),
        ("API_PORT", "70000", "must be at most 65535"),
        (
            "TEMPORAL_ADDRESS",
            "http://127.0.0.1:7233",
            "must be host:port without a scheme, such as 127.0.0.1:7233, not 'http://127.0.0.1:7233'",
        ),
        ("METRICS_ADDRESS", "127.0.0.1:99999", "must be host:port, such as 127.0.0.1:9464, not '127.0.0.1:99999'"),
        ("METRICS_ADDRESS", "9464", "must be host:port, such as 127.0.0.1:9464, not '9464'"),
        ("LOG_LEVEL", "inof", "must be 'debug', 'info', 'warning' or 'error'"),
        ("RATE_LIMIT", "much", "must be a number of requests per time, such as 6000/minute, not 'much'"),
        ("HTTP_ALLOWED_NETWORKS", "10.1.0.0/99", "must be a list of networks such as 10.1.0.0/16, not '10.1.0.0/99'"),
        ("SQL_CONNECTIONS", "{crm", 'must be a JSON object, such as {"crm": "postgresql+asyncpg://…"}'),
        ("SQL_CONNECTIONS", "[]", "must be an object, not a list"),
        ("TASK_QUEUES", "gpu", 'must be a JSON object, such as {"gpu": ["acme"]}'),
        ("TASK_QUEUES", '["gpu"]', "must be an object, not a list"),
    ],
)
def test_a_wrong_setting_is_explained(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(f"{PREFIX}{name}", value)

    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert refusal.value.message == f"{PREFIX}{name} {message}"
