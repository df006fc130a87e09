"""Settings that are wrong are explained by the variable, the value and what to write instead."""

from pathlib import Path

import pytest

from orchestrator.cli.environment import load_settings
from orchestrator.errors import SettingsError
from orchestrator.settings import PREFIX, Settings


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("API_PORT", "many", "must be a whole number"),
        ("API_PORT", "70000", "must be at most 65535"),
        ("LOG_LEVEL", "inof", "must be 'debug', 'info', 'warning' or 'error'"),
        ("RATE_LIMIT", "much", "must be a number of requests per time, such as 6000/minute, not 'much'"),
        ("HTTP_ALLOWED_NETWORKS", "10.1.0.0/99", "must be a list of networks such as 10.1.0.0/16, not '10.1.0.0/99'"),
        ("SQL_CONNECTIONS", "{crm", 'must be a JSON object, such as {"crm": "postgresql+asyncpg://…"}'),
        ("SQL_CONNECTIONS", "[]", "must be an object, not a list"),
    ],
)
def test_a_wrong_setting_is_explained(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(f"{PREFIX}{name}", value)

    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert refusal.value.message == f"{PREFIX}{name} {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ('{"token": secret', "is not valid JSON"),
        ("[]", 'must hold a JSON object, such as {"crm_token": "…"}'),
    ],
)
def test_a_secrets_file_that_cannot_be_read_is_explained(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "secrets.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(SettingsError) as refusal:
        Settings(secrets_file=path).read_secrets()
    assert refusal.value.message == f"{PREFIX}SECRETS_FILE: {path} {message}"
