"""Where a running `dev` listens: in its state folder, and in a folder of the user, so that any terminal finds it."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEV_FILE = "dev.json"
"""File in the state folder of a running `dev`, with its addresses."""
LOCK_FILE = "dev.lock"
"""File in the state folder that a running `dev` has locked."""
RUNNING_FOLDER = "running"
"""Folder in the user's folder, with a file for each running `dev`."""


@dataclass(frozen=True, slots=True)
class RunningDev:
    """A `dev` that is running, and its addresses."""

    pid: int
    home: Path
    api_url: str
    temporal_address: str
    ui_url: str


def get_user_folder() -> Path:
    """Return the folder of this user, for profiles and the addresses of running services."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path("~/.config").expanduser()) / "orchestrator"


def find_by_home(home: Path) -> RunningDev | None:
    """Return the `dev` that runs on a state folder."""
    return _read_file(home / DEV_FILE, home)


def list_running() -> list[RunningDev]:
    """Return every `dev` of this user that is running."""
    return sorted(filter(None, map(_read_file, _list_user_files())), key=lambda dev: dev.pid)


def remove_files_of_killed() -> None:
    """Remove the files in the user's folder that processes have left that were killed."""
    for file in list(_list_user_files()):
        if _read_file(file) is None:
            with suppress(OSError):
                file.unlink()


def get_user_file() -> Path:
    """Return the file of this process in the user's folder."""
    return get_user_folder() / RUNNING_FOLDER / f"{os.getpid()}.json"


def format_addresses(addresses: Mapping[str, Any], home: Path) -> str:
    """Return the content of both files."""
    return json.dumps({**addresses, "home": str(home.resolve())})


def is_own_host(host: str) -> bool:
    """Return whether a host is this machine: a loopback address, or the one of all interfaces."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def _list_user_files() -> Iterator[Path]:
    with suppress(OSError, RuntimeError):  # RuntimeError: the user has no home
        yield from (get_user_folder() / RUNNING_FOLDER).glob("*.json")


def _read_file(file: Path, home: Path | None = None) -> RunningDev | None:
    """Read a file; `None` where the process has ended: one that was killed leaves its file behind.

    Keys are sent to the address in it, and a file can come with a checkout. So it must be a file of this user, for
    this machine, and a process must hold the lock of the state folder.
    """
    try:
        with file.open() as opened:
            if os.fstat(opened.fileno()).st_uid != os.geteuid():
                return None
            value = json.load(opened)
        texts = (str(value[name]) for name in ("api", "temporal_address", "ui"))
        dev = RunningDev(int(value["pids"]["dev"]), home or Path(value["home"]), *texts)
        return dev if _is_local(dev) and _is_alive(dev) else None
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return None


def _is_local(dev: RunningDev) -> bool:
    urls = urlsplit(dev.api_url), urlsplit(f"//{dev.temporal_address}")
    return urls[0].scheme == "http" and all(url.username is None and is_own_host(url.hostname or "") for url in urls)


def _is_alive(dev: RunningDev) -> bool:
    """Return whether the process lives and holds its lock; the ID of a killed one may be that of another process."""
    if dev.pid <= 0:  # these are groups of processes
        return False
    os.kill(dev.pid, 0)
    with (dev.home / LOCK_FILE).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
