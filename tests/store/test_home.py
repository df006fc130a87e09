"""The state folder is private, also one that an older process or a copy left open."""

from pathlib import Path

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

    assert (read_mode(tmp_path), read_mode(ours), read_mode(script)) == (0o700, 0o600, 0o755)


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    secure_home(tmp_path / "new")

    assert read_mode(tmp_path / "new") == 0o700
