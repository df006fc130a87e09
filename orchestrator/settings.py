"""Read settings from the environment (prefix `ORCHESTRATOR_`) and a `.env` file (SPEC §12)."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from limits import parse
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "ORCHESTRATOR_"
SECRET_PREFIX = "ORCHESTRATOR_SECRET_"  # noqa: S105 - a prefix of names, not a secret
ENV_FILE = ".env"
DEPLOYMENT = re.compile(r"[A-Za-z0-9_-]+@[A-Za-z0-9._-]+")
"""A dot in the name is not possible: Temporal separates it from the build by one."""
ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/]+):([0-9]{1,5})")
BUCKET = re.compile(r"s3://[^/?#]+(/[^?#]*)?")
MAX_PORT = 65_535

Names = Annotated[tuple[str, ...], NoDecode]
"""Names separated by commas."""


class SqlConnection(BaseModel):
    """A database that `sql.query` can use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr
    customers: tuple[str, ...] | None = None
    """Customers that may use it, or `*`; None is the default customer."""


class Settings(BaseSettings):
    """The settings of a process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", frozen=True, env_ignore_empty=True
    )

    home: Path = Field(
        Path(".orchestrator"),
        description="Directory for the state of `dev`: the SQLite files of Temporal and the orchestrator, and logs.",
    )
    temporal_address: str = Field("127.0.0.1:7233", description="Address of the Temporal frontend, `host:port`.")
    temporal_wait_seconds: float = Field(
        60.0,
        ge=0,
        description="How long `api`, `worker` and `server` wait at start for Temporal and its namespace, in seconds.",
    )
    temporal_namespace: str = Field("default", description="Temporal namespace.")
    temporal_api_key: SecretStr | None = Field(None, description="API key of Temporal Cloud; enables TLS.")
    temporal_tls: bool = Field(False, description="Connect to Temporal with TLS.")
    temporal_tls_ca: Path | None = Field(None, description="PEM file of the CA that signed the server certificate.")
    temporal_tls_cert: Path | None = Field(None, description="PEM file of the client certificate.")
    temporal_tls_key: Path | None = Field(None, description="PEM file of the client's private key.")
    temporal_tls_server_name: str | None = Field(None, description="Server name expected in the server certificate.")
    task_queue: str = Field("orchestrator", description="Temporal task queue of the workers.")
    task_queues: Annotated[dict[str, tuple[str, ...]] | None, NoDecode] = Field(
        None,
        description='Other task queues that definitions may name, with their customers, as JSON: `{"gpu": ["acme"]}`; '
        '`"*"` is all customers. Unset: the default customer may name any, other customers none.',
    )
    deployment: str | None = Field(
        None,
        description="Worker Deployment of Temporal and build that a worker belongs to, as `name@build`. Temporal then "
        "sends tasks to the build that is current, or to one that is being ramped up. Unset: to any worker.",
    )
    payload_store: str | None = Field(
        None,
        description="Where payloads above 64 kB are stored, the same for every process: a folder, or `s3://bucket` or "
        "`s3://bucket/prefix`; see [Large data](operations.md#large-data). Unset: in Temporal, which refuses those "
        "above 2 MB. Default in `dev`: the folder `payloads` in `ORCHESTRATOR_HOME`.",
    )
    ui_url: str | None = Field(None, description="URL of the Temporal Web UI, for links.")
    api_host: str = Field("127.0.0.1", description="Address the HTTP API listens on.")
    api_port: int = Field(8080, ge=0, le=65535, description="Port the HTTP API listens on; 0 is any free port.")
    api_url: str | None = Field(
        None, description="URL of the HTTP API that commands talk to. Default: that of a running `dev`."
    )
    api_key: SecretStr | None = Field(None, description="API key of commands.")
    max_body_bytes: int = Field(
        1_048_576, ge=1, description="Maximum size of a request body, in bytes. Default in `dev`: 8 MiB."
    )
    public_url: str | None = Field(
        None,
        description="URL under which people reach this API, for the links of approvals. Default in `dev` and `server`: "
        "their own address.",
    )
    approval_secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="Key that signs the links of approvals: the same for the API and its workers. Another key "
        "makes all links invalid. `dev` has one of its own.",
    )
    rate_limit: str = Field(
        "6000/minute",
        description="Rate limit of one process, for each API key and for the webhooks of each customer; "
        "a burst may use all of it at once.",
    )
    max_connections: int = Field(
        1_000,
        ge=10,
        description="Maximum number of open connections of one API process; beyond it the longest idle one is closed.",
    )
    max_streams: int = Field(
        100, ge=1, description="Maximum number of open event streams of each API key, in one process."
    )
    database_url: str | None = Field(
        None, description="URL of the database. Default: a SQLite file in `ORCHESTRATOR_HOME`."
    )
    metrics_address: str | None = Field(
        None, description="`host:port` where a worker serves `/metrics` and `/healthz`; the API serves its own."
    )
    action_modules: Names = Field((), description="Python modules with custom actions, separated by commas.")
    action_schemas: Names = Field(
        (),
        description="Files that describe the actions of workers elsewhere, separated by commas, as "
        "`orchestrator schema --actions` writes them.",
    )
    log_format: Literal["text", "json"] = Field("text", description="Format of log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    action_threads: int = Field(
        100, ge=1, description="Actions of one worker that are plain functions and run at once, each in a thread."
    )
    max_concurrent_activities: int = Field(
        100, ge=1, le=10_000, description="Maximum number of concurrent actions per worker."
    )
    max_concurrent_workflow_tasks: int = Field(
        24,
        ge=2,
        le=10_000,
        description="Maximum number of concurrent workflow tasks per worker, of runs that it caches.",
    )
    # A workflow task is thrown away after 10 s, and a replay takes up to 1.5 s of CPU: with more at once than 10 / 1.5
    # each would begin again for ever.
    max_concurrent_replays: int = Field(
        6,
        ge=1,
        le=10_000,
        description="Maximum number of concurrent workflow tasks per worker, of runs that it does not cache: new runs, "
        "and after a restart all. Local actions hold such a task for about a second.",
    )
    max_cached_workflows: int = Field(
        1000, ge=0, description="Maximum number of runs that a worker caches between workflow tasks."
    )
    max_cached_bytes: int = Field(
        134_217_728,
        ge=0,
        description="Maximum size of the inputs, results and events of these runs, in bytes; in memory they take one "
        "to eight times as much. The runs that were used the longest time ago are read again with their next task.",
    )
    archive_days: float | None = Field(
        None,
        gt=0,
        description="How long the documents of ended runs are kept in the database, in days. Without it, for ever.",
    )
    failing_run_seconds: float = Field(
        60.0,
        ge=0,
        description="How long a run that was cancelled, or is over its `timeout_seconds`, is left to a repaired worker "
        "while its workflow task keeps failing, in seconds; then it is terminated, without compensation, if a worker "
        "has failed it again since.",
    )
    shutdown_seconds: float = Field(
        10.0, ge=0, description="Grace period for running actions when a worker stops, in seconds."
    )
    http_allow_private: bool = Field(
        False, description="Allow actions to call every private, loopback and link-local address."
    )
    http_allowed_networks: Names = Field(
        (), description="Private networks that actions may call, separated by commas: `127.0.0.0/8,10.1.0.0/16`."
    )
    http_blocked_ports: Annotated[tuple[int, ...], NoDecode] = Field(
        (),
        description="Ports of this machine that actions may not call, even at an allowed address, separated by "
        "commas. `dev` adds the ports it listens on.",
    )
    http_max_response_bytes: int = Field(
        1_048_576, ge=1, le=7_500_000, description="Maximum response size of `http.request`, in bytes."
    )
    smtp_host: str = Field("127.0.0.1", description="SMTP server of `email.send`.")
    smtp_port: int = Field(25, ge=1, le=65535, description="Port of the SMTP server.")
    smtp_username: str | None = Field(None, description="User name for the SMTP server.")
    smtp_password: SecretStr | None = Field(None, description="Password for the SMTP server.")
    smtp_tls: Literal["none", "starttls", "tls"] = Field("none", description="Encryption of the SMTP connection.")
    smtp_from: str | None = Field(None, description="Default sender of `email.send`.")
    smtp_allowed_senders: Annotated[dict[str, tuple[str, ...]], NoDecode] = Field(
        {},
        description="Senders that the `from` of `email.send` may name, by customer, as JSON with `*` as a wildcard: "
        '`{"acme": ["*@acme.example"], "*": ["shop@example.org"]}`. Default: any.',
    )
    smtp_allowed_headers: Names = Field(
        ("X-*", "List-*", "In-Reply-To", "References", "Auto-Submitted", "Importance", "Priority", "Feedback-ID"),
        description="Additional headers that `email.send` may set, separated by commas, with `*` as a wildcard.",
    )
    sql_connections: Annotated[dict[str, SqlConnection], NoDecode] = Field(
        {},
        description='Database URLs of `sql.query` by name, as JSON: `{"crm": "postgresql+asyncpg://…"}` for the '
        'default customer, `{"crm": {"url": "…", "customers": ["acme"]}}` for others, `"*"` for all.',
    )
    events_url: str | None = Field(
        None,
        description="URL that `event.emit` posts to: `…/api/v1/events`. Default in `dev` and `server`: their own API.",
    )
    events_key: SecretStr | None = Field(
        None,
        description="API key for `ORCHESTRATOR_EVENTS_URL`, with the scope `run`. "
        "With several customers, use an administrator's key.",
    )
    secrets_file: Path | None = Field(
        None, description='JSON file of secrets by customer: `{"acme": {"crm_token": "…"}}`; see [Secrets](#secrets).'
    )
    secret_source: str = Field(
        "settings",
        description="Where secrets come from: `settings`, or the name of an entry point in the group "
        "`orchestrator.secrets`.",
    )

    @field_validator(
        "action_modules",
        "action_schemas",
        "http_allowed_networks",
        "http_blocked_ports",
        "smtp_allowed_headers",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("sql_connections", mode="before")
    @classmethod
    def _parse_connections(cls, value: object) -> object:
        parsed = _parse_json(value, '{"crm": "postgresql+asyncpg://…"}')
        if not isinstance(parsed, dict):
            return parsed
        return {name: {"url": entry} if isinstance(entry, str | SecretStr) else entry for name, entry in parsed.items()}

    @field_validator("task_queues", mode="before")
    @classmethod
    def _parse_task_queues(cls, value: object) -> object:
        return _parse_json(value, '{"gpu": ["acme"]}')

    @field_validator("smtp_allowed_senders", mode="before")
    @classmethod
    def _parse_senders(cls, value: object) -> object:
        return _parse_json(value, '{"acme": ["*@acme.example"]}')

    @field_validator("temporal_address")
    @classmethod
    def _check_address(cls, value: str) -> str:
        if not _is_address(value):
            raise ValueError(f"must be host:port without a scheme, such as 127.0.0.1:7233, not {value!r}")
        return value

    @field_validator("payload_store")
    @classmethod
    def _check_payload_store(cls, value: str | None) -> str | None:
        if value is not None and "://" in value and BUCKET.fullmatch(value) is None:
            raise ValueError(f"must be a folder, s3://bucket or s3://bucket/prefix, not {value!r}")
        return value

    @field_validator("metrics_address")
    @classmethod
    def _check_metrics_address(cls, value: str | None) -> str | None:
        if value is not None and not _is_address(value):
            raise ValueError(f"must be host:port, such as 127.0.0.1:9464, not {value!r}")
        return value

    @field_validator("deployment")
    @classmethod
    def _check_deployment(cls, value: str | None) -> str | None:
        if value is not None and DEPLOYMENT.fullmatch(value) is None:
            raise ValueError(f"must be name@build, such as orchestrator@2026.11.3, not {value!r}")
        return value

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
        """Return the private networks that actions may call."""
        return [ip_network(text) for text in self.http_allowed_networks]

    def read_secret_variables(self) -> dict[str, str]:
        """Return the secrets of the environment by lower-case name: `ORCHESTRATOR_SECRET_CRM_TOKEN` is `crm_token`."""
        return {
            name[len(SECRET_PREFIX) :].lower(): value
            for name, value in _read_environment().items()
            if name.upper().startswith(SECRET_PREFIX) and value
        }


def _parse_json(value: object, example: str) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(f"must be a JSON object, such as {example}") from None


def _is_address(text: str) -> bool:
    """Return whether a text is `host:port`, with an IPv6 address in brackets."""
    match = ADDRESS.fullmatch(text)
    return match is not None and int(match[2]) <= MAX_PORT


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
