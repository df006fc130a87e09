"""Keep the state folder private: the folder 0700 and its files 0600.

It holds the data of runs, API keys by hash, and logs.
"""

import contextlib
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OUR_FILES = ("temporal.*", "orchestrator.db*", "dev.*", "worker.log*")
"""Files of the state folder; a folder that has others too, such as a checkout, keeps those as they are."""


def secure_home(home: Path) -> None:
    """Create the state folder if it is missing, and take the access of others from it and from our files in it.

    Raises OSError where it cannot be created. The modes of a folder of another user stay.
    """
    home.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    with contextlib.suppress(PermissionError):
        home.chmod(FOLDER_MODE)
        for pattern in OUR_FILES:
            for file in home.glob(pattern):
                if file.is_file() and not file.is_symlink():
                    file.chmod(FILE_MODE)


def create_private_file(file: Path) -> None:
    """Create an empty file for this user alone, if it is missing; raises OSError."""
    file.touch(FILE_MODE)
