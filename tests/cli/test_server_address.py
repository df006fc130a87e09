"""Which API a command talks to, and with which key."""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli.failures import NoServerError, UsageError
from orchestrator.cli.server_address import Server, ServerOptions, _warn_if_readable, find_server, require_server
from tests.cli.commands import invoke
from tests.cli.support import write_definition

PROFILES = """
[profiles.default]
url = "https://default.example/"
key = "ork_default"

[profiles.staging]
url = "https://staging.example/api/v1"
key = "ork_staging"
"""
STATE = Path("state")
ENDED = 4_194_304
"""A process ID above the limit of Linux."""


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a user, in whose working folder nothing runs."""
    for name in ("ORCHESTRATOR_API_URL", "ORCHESTRATOR_API_KEY", "ORCHESTRATOR_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    folder = tmp_path / "config" / "orchestrator"
    (folder / "running").mkdir(parents=True)
    STATE.mkdir()
    with (STATE / "dev.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def write_dev(file: Path, port: int, pid: int = os.getpid(), **more: object) -> None:
    """Write the file of a `dev` whose state folder is locked."""
    file.parent.mkdir(parents=True, exist_ok=True)
    addresses = {"api": f"http://127.0.0.1:{port}", "temporal_address": "127.0.0.1:1", "ui": "http://127.0.0.1:2"}
    file.write_text(json.dumps({**addresses, "pids": {"dev": pid}, "home": str(STATE.resolve()), **more}))


def describe(server: Server | None) -> tuple[str, str | None] | None:
    return None if server is None else (server.url, server.key)


def test_an_option_comes_before_a_setting_a_dev_and_a_profile(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [describe(find_server(ServerOptions()))]
    write_dev(user / "running" / "1.json", 8001)
    found.append(describe(find_server(ServerOptions())))
    (user / "config.toml").write_text(PROFILES)
    found.append(describe(find_server(ServerOptions())))
    write_dev(STATE / "dev.json", 8002)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(STATE))
    found.append(describe(find_server(ServerOptions())))
    monkeypatch.setenv("ORCHESTRATOR_API_URL", "http://set.example:8080")
    monkeypatch.setenv("ORCHESTRATOR_API_KEY", "ork_set")
    found.append(describe(find_server(ServerOptions())))
    found.append(describe(find_server(ServerOptions(profile="staging"))))
    found.append(describe(find_server(ServerOptions(url="http://named.example", key="ork_named", profile="staging"))))

    assert found == [
        None,
        ("http://127.0.0.1:8001", None),
        ("https://default.example", "ork_default"),
        ("http://127.0.0.1:8002", None),
        ("http://set.example:8080", "ork_set"),
        ("https://staging.example", "ork_staging"),
        ("http://named.example", "ork_named"),
    ]


def test_the_env_file_is_read(user: Path) -> None:
    Path(".env").write_text("ORCHESTRATOR_API_URL=http://from.env\nORCHESTRATOR_API_KEY=ork_env\n")

    assert describe(find_server(ServerOptions())) == ("http://from.env", "ork_env")


def test_of_several_running_ones_none_is_guessed(user: Path) -> None:
    write_dev(user / "running" / "1.json", 8001)
    write_dev(user / "running" / "2.json", 8002)
    with pytest.raises(UsageError, match=r"2 `orchestrator dev` are running: .*:8001 with /.*/state; "):
        find_server(ServerOptions())


def test_definitions_are_checked_locally_where_several_run(user: Path) -> None:
    write_dev(user / "running" / "1.json", 8001)
    write_dev(user / "running" / "2.json", 8002)
    done = invoke("validate", str(write_definition(Path.cwd(), "hello")))

    assert done.exit_code == 0
    assert "checked with the actions of this environment: 2 `orchestrator dev` are running: " in done.stderr
    assert done.stderr.endswith("; choose one with --url\n")


def test_one_that_was_killed_is_not_found(user: Path) -> None:
    write_dev(user / "running" / "1.json", 8001, ENDED)

    with pytest.raises(NoServerError, match=f"no `orchestrator dev` runs on {Path.cwd()}/.orchestrator or elsewhere"):
        require_server(ServerOptions())


@pytest.mark.parametrize("pid", [0, -1, -os.getpid()], ids=["own group", "all", "a group"])
def test_a_group_of_processes_is_not_a_dev(user: Path, pid: int) -> None:
    # The file came with a checkout: `kill(0, 0)` always succeeds, and the key was sent.
    write_dev(user / "running" / "1.json", 8001, pid)

    assert find_server(ServerOptions()) is None


@pytest.mark.parametrize(
    "address",
    [
        {"api": "http://evil.example"},
        {"api": "http://127.0.0.1.evil.example:80"},
        {"api": "http://user@127.0.0.1:80"},
        {"api": "127.0.0.1:80"},
        {"temporal_address": "evil.example:7233"},
    ],
    ids=str,
)
def test_a_dev_of_another_machine_is_not_believed(user: Path, address: dict[str, str]) -> None:
    write_dev(user / "running" / "1.json", 8001, **address)

    assert find_server(ServerOptions()) is None


def test_a_dev_that_listens_on_all_interfaces_is_found(user: Path) -> None:
    write_dev(user / "running" / "1.json", 8001, api="http://0.0.0.0:8001")

    assert describe(find_server(ServerOptions())) == ("http://0.0.0.0:8001", None)


def test_the_file_of_another_user_is_not_believed(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dev(user / "running" / "1.json", 8001)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    assert find_server(ServerOptions()) is None


def test_a_process_that_has_the_id_of_a_killed_dev_is_not_one(user: Path) -> None:
    """The lock of the state folder ends with the process, its ID may be given again."""
    (STATE / "dev.lock").rename(STATE / "held.lock")
    (STATE / "dev.lock").touch()
    write_dev(user / "running" / "1.json", 8001)

    assert find_server(ServerOptions()) is None


@pytest.mark.parametrize(
    "url", ["localhost:8080", "http://", "ftp://a", "http://a:b", "http://a/?x=1", "http://a\x7fb", ""]
)
def test_a_url_that_cannot_be_one_is_refused(user: Path, url: str) -> None:
    with pytest.raises(UsageError, match="--url must be a URL such as"):
        find_server(ServerOptions(url=url))


@pytest.mark.parametrize("url", ["http://user:pass@host", "http://user:pass@[", "user:pass@host"])
def test_a_password_in_a_url_is_refused_and_not_shown(user: Path, url: str) -> None:
    with pytest.raises(UsageError, match="--url must have no user and password") as raised:
        find_server(ServerOptions(url=url))

    assert "pass@" not in f"{raised.value.message}{raised.value.hint}"


def test_a_note_says_that_others_can_read_the_keys_of_profiles(user: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = user / "config.toml"
    notes = []
    for mode, name in ((0o600, "staging"), (0o644, "staging"), (0o644, "default")):
        file.write_text(PROFILES)
        file.chmod(mode)
        find_server(ServerOptions(profile=name))
        notes.append(capsys.readouterr().err)
        _warn_if_readable.cache_clear()

    note = f"note: other users can read the keys in {file}: run `chmod 600 {file}`\n"
    assert notes == ["", note, note]


@pytest.mark.parametrize("key", ["ork_a\nork_b", "ork_ä", "ork_a b", "ork_\x00"])
def test_a_key_that_cannot_be_one_is_refused_and_not_shown(
    user: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A line break ended in an error of the transport that had the key in it, `ä` in a traceback."""
    (user / "config.toml").write_text(f'[profiles.prod]\nurl = "http://a"\nkey = {json.dumps(key)}')
    for options in (ServerOptions(url="http://a", key=key), ServerOptions(profile="prod")):
        with pytest.raises(UsageError, match="the key has characters that no key has") as raised:
            find_server(options)
        assert key not in f"{raised.value.message}{raised.value.hint}"


def test_spaces_around_a_key_are_no_part_of_it(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_API_KEY", " ork_set\r\n")

    assert describe(find_server(ServerOptions(url="http://a"))) == ("http://a", "ork_set")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[profiles.prod]", r"profile 'prod' needs url"),
        ("[profiles.prod]\nurl = 7", r"profile 'prod' needs url"),
        ('[profiles.prod]\nurl = "https://a"\ntoken = "x"', r"unknown entry 'token' in profile 'prod'"),
        ('[profiles.prd]\nurl = "https://a"', r"no profile 'prod'"),
        ("[profiles", r"cannot read .*config\.toml"),
        ("profiles = 7", r"write each profile as a table"),
    ],
)
def test_a_mistake_in_a_profile_names_the_file(user: Path, text: str, message: str) -> None:
    (user / "config.toml").write_text(text)

    with pytest.raises(UsageError, match=message) as raised:
        find_server(ServerOptions(profile="prod"))
    assert str(user / "config.toml") in raised.value.message
