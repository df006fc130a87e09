"""Bad usage, bad settings and `--help`, for all commands."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from orchestrator.cli.commands import GROUPS, app
from orchestrator.cli.examples import EXAMPLES
from orchestrator.cli.failures import UsageError
from orchestrator.cli.serve import Announcement
from tests.cli.commands import invoke, list_commands

PROCESSES = ("dev", "server", "api", "worker", "init", "fmt", "graph", "schema", "store", "replay")
"""Commands that run until a signal, that write files, or whose result is text or JSON anyway."""


@pytest.mark.parametrize(
    "args",
    [
        ("nothing",),
        ("validate",),
        ("validate", "--colour", "a.json"),
        ("runs", "shw"),
        ("schedule", "next"),
        ("--bogus",),
    ],
)
def test_unknown_commands_and_options_are_bad_usage(args: tuple[str, ...]) -> None:
    result = invoke(*args)

    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("schedule", "next", "@daily", "--count", "many"), "Invalid value for '--count': must be a whole number"),
        (("schedule", "next", "@daily", "--count", "0"), "Invalid value for '--count': must be at least 1"),
        (("dev", "--port", "99999"), "Invalid value for '--port': must be at most 65535"),
        (("keys", "rotate", "key", "--grace-hours", "x"), "Invalid value for '--grace-hours': must be a number"),
        (("runs", "list", "--status", "open"), "Invalid value for '--status': 'open' is not one of 'pending', "),
    ],
)
def test_a_wrong_value_is_described(args: tuple[str, ...], message: str) -> None:
    result = invoke(*args)

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"ORCHESTRATOR_SMTP_PORT": "many"}, "error: ORCHESTRATOR_SMTP_PORT must be a whole number"),
        (
            {"ORCHESTRATOR_ACTION_MODULES": "no.such.module"},
            "cannot import 'no.such.module', named in ORCHESTRATOR_ACTION_MODULES",
        ),
    ],
)
def test_invalid_settings_are_bad_usage(env: dict[str, str], message: str) -> None:
    result = invoke("actions", "list", env=env)

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_misspelt_setting_is_a_warning() -> None:
    result = invoke("actions", "list", env={"ORCHESTRATOR_SMTP_PROT": "25"})

    assert result.exit_code == 0
    assert "warning: ORCHESTRATOR_SMTP_PROT is not a setting: did you mean `ORCHESTRATOR_SMTP_PORT`?" in result.stderr


@pytest.mark.parametrize("command", list_commands(), ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    result = invoke(*command, "--help")

    assert result.exit_code == 0
    assert f"orchestrator {' '.join(command)}" in result.stdout
    assert not re.search(r"\[\[|\]\]|\.\.\.[}\]]", result.stdout.split("\n\n")[0]), "brackets and dots are added"


@pytest.mark.parametrize("text", ["{name}", "{name}/no/such/folder/history.json"])
def test_a_history_cannot_be_saved_to_a_wrong_path(tmp_path: Path, text: str) -> None:
    # Both ended in a traceback, after the history had been read.
    result = invoke("replay", "a-run", "--save", text.format(name=tmp_path))

    assert result.exit_code == 2
    assert "--save" in result.stderr


def test_a_folder_is_not_a_ready_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"), Announcement(tmp_path, tmp_path):
        pass


def test_addresses_are_not_written_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a ready file may be one where others write, such as /tmp."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    target, ready = tmp_path / "target", tmp_path / "ready.json"
    (tmp_path / f"ready.json.{os.getpid()}").symlink_to(target)
    announcement = Announcement(tmp_path, ready)
    announcement.addresses = {"pids": {}}
    announcement.write(dev=1)

    assert not target.exists()
    assert json.loads(ready.read_text()) == {"pids": {"dev": 1}}
    assert ready.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "orchestrator").stat().st_mode & 0o777 == 0o700, "profiles with keys are there"


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (("same", "same"), "a.json and {folder}/b.json have the same id 'same'"),  # the last one was stored, silently
        (("a", [1]), "b.json: the id must be text"),  # a traceback
        (("a", None), "b.json has no id"),
    ],
)
def test_files_to_push_need_distinct_ids(tmp_path: Path, ids: tuple[object, ...], message: str) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file, workflow_id in zip(files, ids, strict=True):
        file.write_text(json.dumps({"id": workflow_id}))

    result = invoke("workflows", "push", *map(str, files))

    assert result.exit_code == 2
    assert message.format(folder=tmp_path) in " ".join(result.stderr.split())


@pytest.mark.parametrize("command", list_commands(), ids=" ".join)
def test_every_command_has_examples_that_parse(command: tuple[str, ...]) -> None:
    examples = EXAMPLES[" ".join(command)]
    lines = invoke(*command, "--help", env={"COLUMNS": "80"}).stdout.splitlines()

    assert [parse_example(each) for each in examples] == [command] * len(examples)
    assert lines[-len(examples) - 1 :] == ["  Examples:", *(f"    {each}" for each in examples)]
    assert [line for line in lines if len(line) > 80] == []


def parse_example(line: str) -> tuple[str, ...]:
    """Parse a line of the shell with all options and arguments. Return its command, which is not run."""
    program, *args = shlex.split(line.partition(" > ")[0])
    assert program == "orchestrator"
    command, names = get_command(app), ()
    context = command.make_context(program, args)
    while isinstance(command, TyperGroup):
        name, command, args = command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context, names = command.make_context(name, args, parent=context), (*names, str(name))
    return names


def test_examples_are_of_commands() -> None:
    assert sorted(EXAMPLES) == sorted(map(" ".join, list_commands()))


def test_the_help_groups_all_commands_and_shows_examples() -> None:
    help_text = invoke("--help").stdout

    assert [name for name, *_ in list_commands() if f"\n  {name} " not in help_text] == []
    assert all(f"\n{title}:\n" in help_text for title in GROUPS)
    assert "orchestrator workflows push order.json --activate  publish it" in help_text


@pytest.mark.parametrize("group", [(), *sorted({(name,) for name, *rest in list_commands() if rest})], ids=" ".join)
def test_the_first_line_of_each_command_fits(group: tuple[str, ...]) -> None:
    lines = invoke(*group, "--help", env={"COLUMNS": "80"}).stdout.splitlines()

    assert [line for line in lines if line.endswith("...") and not line.startswith("Usage:")] == []


def test_errors_are_json_too(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path), "ORCHESTRATOR_HOME": str(tmp_path)}
    done = invoke("runs", "list", "--json", env=env)
    error = json.loads(done.stdout)["error"]

    assert (done.exit_code, done.stderr) == (3, "")
    assert (error["code"], error["problems"]) == ("no_server", [])
    assert error["message"].startswith("no API to talk to: ")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("runs", "list", "--limit", "0"), "Invalid value for '--limit': must be at least 1"),
        (("runs", "list", "--lmit", "7"), "No such option: --lmit"),
        (("runs", "show"), "Missing argument 'RUN'"),
        (("runs", "shw"), "No such command 'shw'"),
    ],
)
def test_bad_usage_is_json_too(args: tuple[str, ...], message: str) -> None:
    done = invoke(*args, "--json")
    error = json.loads(done.stdout)["error"]

    assert (done.exit_code, done.stderr, error["code"]) == (2, "", "bad_usage")
    assert error["message"].startswith(message)


@pytest.mark.parametrize(
    "args",
    [
        ("--json", "schedule", "next", "@daily", "--count", "1"),
        ("schedule", "--json", "next", "@daily", "--count", "1"),
        ("--json", "schedule", "next", "--count", "1", "--", "@daily"),
    ],
)
def test_json_may_be_asked_for_before_the_command(args: tuple[str, ...]) -> None:
    """`orchestrator --json runs list` was "No such option"."""
    done = invoke(*args)

    assert (done.exit_code, len(json.loads(done.stdout))) == (0, 1)


def test_a_command_without_json_refuses_it_before_the_command_too() -> None:
    done = invoke("--json", "dev")

    assert (done.exit_code, json.loads(done.stdout)["error"]["message"]) == (2, "No such option: --json")


@pytest.mark.parametrize("args", [("runs", "show"), ("workflows", "show"), ("keys", "revoke"), ("runs", "send", "r")])
def test_an_empty_id_is_bad_usage(args: tuple[str, ...]) -> None:
    """An unset variable of a shell: `runs show ""` asked for the list of all runs."""
    done = invoke(*args, "", "--url", "http://127.0.0.1:1")

    assert done.exit_code == 2
    assert "error: an ID is empty" in done.stderr


def test_every_command_that_prints_a_result_can_print_json() -> None:
    without = [
        command
        for command in list_commands()
        if "--json" not in invoke(*command, "--help").stdout and command[0] not in PROCESSES
    ]

    assert without == []


def test_the_version_is_printed() -> None:
    done = invoke("--version")

    assert (done.exit_code, done.stdout.startswith("orchestrator")) == (0, True)


@pytest.mark.parametrize("command", list_commands(), ids=" ".join)
def test_no_two_options_of_a_command_have_one_name(command: tuple[str, ...]) -> None:
    """Of two, one takes what is meant for the other: the key of an event was sent as the API key."""
    found = get_command(app)
    for name in command:
        assert isinstance(found, TyperGroup)
        found = found.commands[name]
    names = [name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)]

    assert sorted(names) == sorted(set(names))
