"""Settings from the environment (prefix `ORCHESTRATOR_`) and a `.env` file (SPEC §12)."""

import json
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from limits import parse
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "ORCHESTRATOR_"
SECRET_PREFIX = "ORCHESTRATOR_SECRET_"  # noqa: S105 - a name of variables, no secret
ENV_FILE = ".env"

Names = Annotated[tuple[str, ...], NoDecode]
"""A list written with commas."""


class Settings(BaseSettings):
    """How this process runs and what it talks to."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", frozen=True, env_ignore_empty=True
    )

    home: Path = Field(
        Path(".orchestrator"), description="Folder for the state of `dev`: Temporal's and our SQLite files, and logs."
    )
    temporal_address: str = Field("127.0.0.1:7233", description="Temporal's frontend, `host:port`.")
    temporal_namespace: str = Field("default", description="Temporal namespace of the runs.")
    temporal_api_key: SecretStr | None = Field(None, description="API key of Temporal Cloud; turns TLS on.")
    temporal_tls: bool = Field(False, description="Speak TLS with Temporal.")
    temporal_tls_ca: Path | None = Field(None, description="PEM file of the certificate authority of the server.")
    temporal_tls_cert: Path | None = Field(None, description="PEM file of the client's certificate.")
    temporal_tls_key: Path | None = Field(None, description="PEM file of the client's key.")
    temporal_tls_server_name: str | None = Field(None, description="Name that the server's certificate must carry.")
    task_queue: str = Field("orchestrator", description="Temporal task queue of the workers.")
    ui_url: str | None = Field(None, description="Address of the Temporal Web UI, for links.")
    api_host: str = Field("127.0.0.1", description="Address that the HTTP API listens on.")
    api_port: int = Field(8080, ge=0, le=65535, description="Port that the HTTP API listens on; 0 is any free one.")
    max_body_bytes: int = Field(1_048_576, ge=1, description="Largest body that the HTTP API takes, in bytes.")
    rate_limit: str = Field(
        "6000/minute",
        description="Requests that each API key, and each customer's webhooks, may make of one process; "
        "a burst may take them all at once.",
    )
    database_url: str | None = Field(None, description="Our own database; a SQLite file in `HOME` unless given.")
    metrics_address: str | None = Field(
        None, description="`host:port` where a worker serves `/metrics` and `/healthz`; the API has its own."
    )
    action_modules: Names = Field((), description="Python modules with further actions, separated by commas.")
    log_format: Literal["text", "json"] = Field("text", description="How log lines are written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    max_concurrent_activities: int = Field(100, ge=1, le=10_000, description="Actions that one worker runs at once.")
    max_concurrent_workflow_tasks: int = Field(100, ge=2, le=10_000, description="Workflow tasks of a worker at once.")
    max_cached_workflows: int = Field(1000, ge=0, description="Runs that a worker keeps in memory between steps.")
    shutdown_seconds: float = Field(10.0, ge=0, description="How long a stopping worker lets actions go on.")
    http_allow_private: bool = Field(
        False, description="Actions may call private, loopback and link-local addresses: all of them."
    )
    http_allowed_networks: Names = Field(
        (), description="Private networks that actions may call, separated by commas: `127.0.0.0/8,10.1.0.0/16`."
    )
    http_max_response_bytes: int = Field(
        1_048_576, ge=1, le=1_800_000, description="Largest body that `http.request` takes, in bytes."
    )
    smtp_host: str = Field("127.0.0.1", description="Mail server of `email.send`.")
    smtp_port: int = Field(25, ge=1, le=65535, description="Port of the mail server.")
    smtp_username: str | None = Field(None, description="Name to log in to the mail server with.")
    smtp_password: SecretStr | None = Field(None, description="Password to log in to the mail server with.")
    smtp_tls: Literal["none", "starttls", "tls"] = Field("none", description="How mail is protected on its way.")
    smtp_from: str | None = Field(None, description="Sender of mails that name none.")
    sql_connections: Annotated[dict[str, SecretStr], NoDecode] = Field(
        {}, description='Databases of `sql.query`, as JSON: `{"crm": "postgresql+asyncpg://…"}`.'
    )
    events_url: str | None = Field(
        None, description="Where `event.emit` posts events to: `…/api/v1/events`. `dev` and `server` take their own."
    )
    events_key: SecretStr | None = Field(
        None, description="API key for it, with the scope `run`; an administrator's where there are several customers."
    )
    secrets_file: Path | None = Field(
        None, description="JSON file of secrets, `{name: value}`; `ORCHESTRATOR_SECRET_<NAME>` comes first."
    )

    @field_validator("action_modules", "http_allowed_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("sql_connections", mode="before")
    @classmethod
    def _parse_connections(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError('must be a JSON object, such as {"crm": "postgresql+asyncpg://…"}') from None

    @field_validator("rate_limit")
    @classmethod
    def _check_rate(cls, value: str) -> str:
        try:
            parse(value)
        except ValueError:
            raise ValueError(f"must be a number of requests per time, such as 6000/minute, not {value!r}") from None
        return value

    @field_validator("http_allowed_networks")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ip_network(text)
            except ValueError:
                raise ValueError(f"must be a list of networks such as 10.1.0.0/16, not {text!r}") from None
        return value

    @cached_property
    def networks(self) -> list[IPv4Network | IPv6Network]:
        """Give the private networks that actions may call."""
        return [ip_network(text) for text in self.http_allowed_networks]

    def read_secrets(self) -> dict[str, str]:
        """Read all secrets, by lower-case name: `ORCHESTRATOR_SECRET_CRM_TOKEN` is `secrets.crm_token`."""
        secrets: dict[str, str] = {}
        if self.secrets_file is not None:
            secrets |= {str(name): str(value) for name, value in json.loads(self.secrets_file.read_text()).items()}
        for name, value in _read_environment().items():
            if name.upper().startswith(SECRET_PREFIX) and value is not None:
                secrets[name[len(SECRET_PREFIX) :].lower()] = value
        return secrets


def _read_environment() -> Mapping[str, str | None]:
    return {**dotenv_values(ENV_FILE), **os.environ}


def list_variables() -> list[str]:
    """Return the variable of each setting."""
    return [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]


def find_unknown_variables(names: Iterable[str] | None = None) -> list[str]:
    """Return the variables that have our prefix and are neither a setting nor a secret."""
    return [
        name
        for name in sorted(_read_environment() if names is None else names)
        if name.upper().startswith(PREFIX)
        and name.upper() not in list_variables()
        and not name.upper().startswith(SECRET_PREFIX)
    ]
