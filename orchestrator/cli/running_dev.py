"""Where a running `dev` listens: in its state folder, and in a folder of the user, so that any terminal finds it."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEV_FILE = "dev.json"
"""File in the state folder of a running `dev`, with its addresses."""
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


def _list_user_files() -> Iterator[Path]:
    with suppress(OSError, RuntimeError):  # RuntimeError: the user has no home
        yield from (get_user_folder() / RUNNING_FOLDER).glob("*.json")


def _read_file(file: Path, home: Path | None = None) -> RunningDev | None:
    """Read a file; `None` where the process has ended: one that was killed leaves its file behind."""
    try:
        value = json.loads(file.read_text())
        pid = int(value["pids"]["dev"])
        os.kill(pid, 0)
        texts = (value[name] for name in ("api", "temporal_address", "ui"))
        return RunningDev(pid, home or Path(value["home"]), *map(str, texts))
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return None
