"""The state folder is private, also one that an older process or a copy left open."""

from pathlib import Path

import pytest

from orchestrator.store.home import secure_home


def read_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_access_of_others_is_taken_from_our_files_only(tmp_path: Path) -> None:
    """The folder may be a checkout: its scripts stay executable."""
    tmp_path.chmod(0o755)
    ours, script = tmp_path / "temporal.db", tmp_path / "build.sh"
    for file in (ours, script):
        file.touch()
        file.chmod(0o755)
    secure_home(tmp_path)

    assert (read_mode(tmp_path), read_mode(ours), read_mode(script)) == (0o755, 0o600, 0o755)


def test_an_open_folder_of_our_files_becomes_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "temporal.db").touch()
    secure_home(tmp_path)

    assert read_mode(tmp_path) == 0o700


@pytest.mark.parametrize("names", [(), ("temporal.db", "other")], ids=str)
def test_a_folder_that_all_users_share_is_refused_and_stays_open(tmp_path: Path, names: tuple[str, ...]) -> None:
    """ORCHESTRATOR_HOME=/tmp, set by root, closed /tmp to everybody."""
    for name in names:
        (tmp_path / name).touch()
    tmp_path.chmod(0o1777)
    with pytest.raises(PermissionError, match="every user can write to it"):
        secure_home(tmp_path)

    assert read_mode(tmp_path) == 0o777


def test_an_empty_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    secure_home(tmp_path)

    assert read_mode(tmp_path) == 0o755


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    secure_home(tmp_path / "new")

    assert read_mode(tmp_path / "new") == 0o700
