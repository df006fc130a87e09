"""Find the API that commands talk to: by an option, a setting, a profile, or a `dev` that runs on this machine."""

import os
import shlex
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.cli.failures import NoServerError, UsageError
from orchestrator.cli.output import print_note
from orchestrator.cli.running_dev import RunningDev, find_by_home, get_user_folder, list_running
from orchestrator.jsontools.suggestions import did_you_mean

URL_VARIABLE, KEY_VARIABLE = "ORCHESTRATOR_API_URL", "ORCHESTRATOR_API_KEY"
HOME_VARIABLE, DEFAULT_HOME = "ORCHESTRATOR_HOME", ".orchestrator"
ENV_FILE = ".env"
PROFILES_FILE = "config.toml"
DEFAULT_PROFILE = "default"
START_HINT = (
    f"start one with `orchestrator dev`, or name one with --url or {URL_VARIABLE};"
    " `orchestrator run FILE --server embedded` needs none"
)


class SeveralServersError(UsageError):
    """Several `dev` are running, and none is named."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options of a command that say which API it talks to."""

    url: str | None = None
    key: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """The API that a command talks to."""

    url: str
    """Without a slash at the end."""
    key: str | None
    source: str
    """Where the URL is from, in words."""
    is_explicit: bool
    """The user has named it. Otherwise it was found."""


def find_server(options: ServerOptions) -> Server | None:
    """Return the API to talk to, or `None`; raises UsageError.

    In this order: --url, --profile, ORCHESTRATOR_API_URL, the `dev` of this state folder, the profile `default`, and
    the only other `dev` that runs.
    """
    named_key = _check_key(options.key, "--key")
    key = named_key or _check_key(read_variable(KEY_VARIABLE), KEY_VARIABLE)
    if options.url is not None:
        return Server(_check_url(options.url, "--url"), key, "--url", is_explicit=True)
    if options.profile is not None:
        return _read_profile(options.profile, named_key)
    if url := read_variable(URL_VARIABLE):
        return Server(_check_url(url, URL_VARIABLE), key, URL_VARIABLE, is_explicit=True)
    if dev := find_by_home(get_home()):
        return _describe_dev(dev, key)
    if DEFAULT_PROFILE in _load_profiles():
        return _read_profile(DEFAULT_PROFILE, named_key)
    running = list_running()
    if len(running) > 1:
        names = "; ".join(f"{dev.api_url} with {dev.home}" for dev in running)
        raise SeveralServersError(
            f"{len(running)} `orchestrator dev` are running: {names}", hint="choose one with --url"
        )
    return _describe_dev(running[0], key) if running else None


def require_server(options: ServerOptions) -> Server:
    """Return the API to talk to; raises NoServerError, which says what was tried."""
    server = find_server(options)
    if server is not None:
        return server
    tried = (
        f"no `orchestrator dev` runs on {get_home().resolve()} or elsewhere on this machine, "
        f"{URL_VARIABLE} is not set, and {_get_profiles_file()} has no profile `{DEFAULT_PROFILE}`"
    )
    raise NoServerError(f"no API to talk to: {tried}", hint=START_HINT)


def get_home() -> Path:
    """Return the state folder of `dev`."""
    return Path(read_variable(HOME_VARIABLE) or DEFAULT_HOME)


def read_variable(name: str) -> str | None:
    """Return a variable of the environment or of the `.env` file, as the settings do, which take longer to load."""
    return os.environ.get(name) or (_read_env_file(Path.cwd()).get(name) or None)


@cache
def _read_env_file(folder: Path) -> Mapping[str, str | None]:
    if not (folder / ENV_FILE).is_file():
        return {}
    from dotenv import dotenv_values

    return dotenv_values(folder / ENV_FILE)


def _describe_dev(dev: RunningDev, key: str | None) -> Server:
    source = f"`orchestrator dev`, process {dev.pid} with {dev.home.resolve()}"
    return Server(dev.api_url.rstrip("/"), key, source, is_explicit=False)


def _get_profiles_file() -> Path:
    return get_user_folder() / PROFILES_FILE


def _load_profiles() -> Mapping[str, Any]:
    """Return the profiles of the user's configuration file; raises UsageError."""
    file = _get_profiles_file()
    try:
        profiles = tomllib.loads(file.read_text()).get("profiles", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {file}: {error}") from None
    if not isinstance(profiles, dict) or not all(isinstance(each, dict) for each in profiles.values()):
        raise UsageError(f"{file}: write each profile as a table, such as [profiles.production]")
    return profiles


def _read_profile(name: str, key: str | None) -> Server:
    profiles, file = _load_profiles(), _get_profiles_file()
    if name not in profiles:
        hint = did_you_mean(name, profiles) or f'add [profiles.{name}] with url = "https://…" and key = "ork_…"'
        raise UsageError(f"{file} has no profile {name!r}", hint=hint)
    profile = profiles[name]
    for entry in profile:
        if entry not in ("url", "key"):
            hint = did_you_mean(entry, ("url", "key")) or "entries are url and key"
            raise UsageError(f"{file}: unknown entry {entry!r} in profile {name!r}", hint=hint)
    url, own_key = profile.get("url"), profile.get("key")
    if own_key is not None:
        _warn_if_readable(file)
    if not isinstance(url, str) or not isinstance(own_key, str | None):
        raise UsageError(f'{file}: profile {name!r} needs url = "https://…", and key as text')
    url = _check_url(url, f"the url of profile {name!r} in {file}")
    key = key or _check_key(own_key, f"the key of profile {name!r} in {file}")
    return Server(url, key, f"profile {name!r} of {file}", is_explicit=True)


@cache
def _warn_if_readable(file: Path) -> None:
    """Print a note where other users can read the keys of a file, once."""
    if file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        print_note(f"note: other users can read the keys in {file}: run `chmod 600 {shlex.quote(str(file))}`", "yellow")


def _check_url(text: str, where: str) -> str:
    """Return a URL without a slash at its end; raises UsageError, which shows no password."""
    if "@" in text:
        raise UsageError(f"{where} must have no user and password", hint=f"use --key, {KEY_VARIABLE} or a profile")
    try:
        parts = urlsplit(text)
        valid = (
            text.isprintable() and parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        )
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        raise UsageError(f"{where} must be a URL such as https://orchestrator.example.com, not {text!r}")
    return text.rstrip("/").removesuffix("/api/v1")


def _check_key(text: str | None, where: str) -> str | None:
    """Return a key that fits into a header; raises UsageError, which does not show it."""
    key = (text or "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UsageError(f"{where}: the key has characters that no key has", hint="copy it again; it begins with ork_")
    return key or None
