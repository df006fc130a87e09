"""Values of secrets, each of one customer or of all: from the settings, or from an entry point such as a vault.

A secret of another customer reads like one that does not exist.
"""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from orchestrator.errors import OrchestratorError, SettingsError
from orchestrator.jsontools.json_types import describe_type
from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.validation_messages import describe_validation_error
from orchestrator.model.customers import DEFAULT_CUSTOMER
from orchestrator.model.permissions import EVERYONE, MIN_SIGNING_SECRET, SecretInfo
from orchestrator.settings import PREFIX, Settings

ENTRY_POINTS = "orchestrator.secrets"
"""Group of entry points; each names a function that takes the settings and returns a SecretSource."""
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
FILE_EXAMPLE = '{"acme": {"crm_token": "…"}}'

log = logging.getLogger("orchestrator.secrets")


class SecretsUnavailable(OrchestratorError):
    """The source of secrets does not answer."""

    code = "secrets_unavailable"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret with its value, which is not shown."""

    info: SecretInfo
    value: str = field(repr=False)


class SecretSource(Protocol):
    """Where secrets come from. Both operations may be called often: a remote source has a cache of its own.

    They raise SecretsUnavailable where the source does not answer: the attempt of an action fails and is retried, and
    definitions are checked without secrets.
    """

    async def find(self, customer_id: str, name: str) -> Secret | None:
        """Return a secret of a customer, or else one of that name that all customers may use."""
        ...

    async def list_secrets(self) -> list[SecretInfo]:
        """Return all secrets of all customers."""
        ...


def open_secrets(settings: Settings) -> SecretSource:
    """Return the source that settings name; raises SettingsError."""
    name = settings.secret_source
    if name == "settings":
        return SettingsSecrets(settings)
    for point in entry_points(group=ENTRY_POINTS, name=name):
        build: Callable[[Settings], SecretSource] = point.load()
        return build(settings)
    raise SettingsError(
        f"{PREFIX}SECRET_SOURCE: no installed package has an entry point {name!r:.60} in the group {ENTRY_POINTS}"
    )


class SettingsSecrets:
    """Secrets of the environment, which the default customer owns, and of `ORCHESTRATOR_SECRETS_FILE`.

    The file is read again when it has changed; while it is invalid, its former content stays in use.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.secrets_file
        self._environment = settings.read_secret_variables()
        self._stamp = _read_stamp(self._path)
        self._secrets = self._read()

    async def find(self, customer_id: str, name: str) -> Secret | None:
        """Return a secret of a customer, or else one of that name that all customers may use."""
        await self._refresh()
        for owner in (customer_id, EVERYONE):
            info, value = self._secrets.get((owner, name), (None, None))
            if info is not None and value is not None:
                return Secret(info, value)
        return None

    async def list_secrets(self) -> list[SecretInfo]:
        """Return all secrets of all customers, including those without a value."""
        await self._refresh()
        return [info for info, _ in self._secrets.values()]

    async def _refresh(self) -> None:
        if self._path is None:
            return
        stamp = await asyncio.to_thread(_read_stamp, self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._secrets = await asyncio.to_thread(self._read)
        except SettingsError as error:
            log.error("the former secrets stay in use: %s", error)  # noqa: TRY400 - a traceback may show a secret

    def _read(self) -> dict[tuple[str, str], tuple[SecretInfo, str | None]]:
        """Return secrets by owner and name; raises SettingsError."""
        secrets = {} if self._path is None else read_secrets_file(self._path)
        for name, value in self._environment.items():
            info, _ = secrets.get((DEFAULT_CUSTOMER, name), (SecretInfo(name, DEFAULT_CUSTOMER), None))
            secrets[DEFAULT_CUSTOMER, name] = (replace(info, is_short=len(value) < MIN_SIGNING_SECRET), value)
        return secrets


def _read_stamp(path: Path | None) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced."""
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return status and (status.st_mtime_ns, status.st_size, status.st_ino)


class _Entry(BaseModel):
    """A secret in the file; without a value this process knows its name only."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: str | None = None
    hosts: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None

    @field_validator("hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if hosts is None else tuple(_normalize_host(host) for host in hosts)


def _normalize_host(pattern: str) -> str:
    """Return a host or `*.domain` in ASCII; raises ValueError."""
    wildcard, host = ("*.", pattern[2:]) if pattern.startswith("*.") else ("", pattern)
    if not wildcard:
        with contextlib.suppress(ValueError):
            return str(ip_address(host))
    try:
        encoded = host.encode("idna").decode().lower()
    except UnicodeError:
        encoded = ""
    if not HOST.fullmatch(encoded):
        raise ValueError("must be names of hosts without scheme and port, such as api.example.com or *.example.com")
    return wildcard + encoded


def read_secrets_file(path: Path) -> dict[tuple[str, str], tuple[SecretInfo, str | None]]:
    """Return the secrets of a file by owner and name; raises SettingsError, which never shows a value."""
    where = f"{PREFIX}SECRETS_FILE: {path}"
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"{where} cannot be read: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"{where} is not valid JSON") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{where} must hold a JSON object, such as {FILE_EXAMPLE}")
    secrets: dict[tuple[str, str], tuple[SecretInfo, str | None]] = {}
    for owner, entries in content.items():
        if not isinstance(entries, dict):
            message = f"{where}: {owner!r:.60} must be a customer with an object of secrets, such as {FILE_EXAMPLE}"
            raise SettingsError(message)
        for name, entry in entries.items():
            parsed = _parse_entry(entry, f"{where}: the secret {name!r:.60} of {owner!r:.60}")
            is_short = parsed.value is not None and len(parsed.value) < MIN_SIGNING_SECRET
            info = SecretInfo(name, owner, parsed.hosts, parsed.actions, is_short)
            secrets[owner, name] = (info, parsed.value)
    return secrets


def _parse_entry(entry: Any, where: str) -> _Entry:
    if entry is None or isinstance(entry, str):
        return _Entry(value=entry)
    if not isinstance(entry, Mapping):
        raise SettingsError(f"{where} must be text or {{value, hosts, actions}}, not {describe_type(entry)}")
    try:
        return _Entry.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SettingsError(f"{where}{format_pointer(first['loc'])} {describe_validation_error(first)}") from None
