"""Keep the state folder private: the folder 0700 and its files 0600.

It holds the data of runs, API keys by hash, and logs.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
APPROVAL_FILE = "dev.approval-secret"
PAYLOADS = "payloads"
"""Folder of the large payloads of runs."""
OUR_FILES = ("temporal.*", "orchestrator.db*", "dev.*", "worker.log*", PAYLOADS)
"""Files of the state folder; a folder that has others too, such as a checkout or `/tmp`, keeps its mode and theirs."""


def secure_home(home: Path) -> None:
    """Create the state folder if it is missing, and take the access of others from it and from our files in it.

    Raises OSError where it cannot be created, and for a folder that all users share. The modes of a folder of another
    user stay.
    """
    home.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    ours = {file for file in _list_our_files(home) if file.lstat().st_uid == os.geteuid()}
    is_ours = bool(ours) and ours.issuperset(home.iterdir())
    if home.stat().st_mode & stat.S_IWOTH and not is_ours:
        raise PermissionError(errno.EPERM, "every user can write to it; name a folder in it instead", str(home))
    with contextlib.suppress(PermissionError):
        if is_ours:
            home.chmod(FOLDER_MODE)
        for file in ours:
            if file.is_file() and not file.is_symlink():
                file.chmod(FILE_MODE)


def _list_our_files(home: Path) -> Iterator[Path]:
    for pattern in OUR_FILES:
        yield from home.glob(pattern)


def locate_payloads(home: Path) -> str:
    """Return where the embedded server stores large payloads, unless a setting says otherwise."""
    return str(home / PAYLOADS)


def read_approval_secret(home: Path) -> str:
    """Return the key that signs the approval links of this state folder; it is made the first time."""
    file = home / APPROVAL_FILE
    with contextlib.suppress(FileNotFoundError):
        return file.read_text(encoding="utf-8")
    secure_home(home)
    key = secrets.token_urlsafe(32)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w", encoding="utf-8") as opened:
        opened.write(key)
    return key


def create_private_file(file: Path) -> None:
    """Create an empty file for this user alone, if it is missing; raises OSError."""
    file.touch(FILE_MODE)
