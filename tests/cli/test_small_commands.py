"""`actions`, `schedule` and the shell around all commands."""

import json
import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from activities import BUILTIN, builtin_registry
from orchestrator.cli import app


def orchestrator(*args: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, list(args), env=env)


def test_actions_are_listed_with_what_they_do() -> None:
    lines = [line.split("\t") for line in orchestrator("actions", "list").stdout.splitlines()]

    assert [name for name, _ in lines] == builtin_registry().names()
    assert all(does.endswith(".") for _, does in lines)


def test_actions_as_json_carry_their_schemas() -> None:
    listed = json.loads(orchestrator("actions", "list", "--json").stdout)

    assert len(listed) >= len(BUILTIN)
    assert all(entry["parameters"]["type"] == "object" for entry in listed)


def test_an_action_is_shown_with_its_parameters() -> None:
    result = orchestrator("actions", "show", "http.request")

    assert result.exit_code == 0
    assert re.search(r"^url\tstring\trequired\t", result.stdout, re.MULTILINE)
    assert re.search(r'^method\t.*\t"GET"\t', result.stdout, re.MULTILINE)


def test_a_misspelt_action_gets_a_suggestion() -> None:
    result = orchestrator("actions", "show", "email.sent")

    assert result.exit_code == 2
    assert result.stderr == "error: there is no action 'email.sent'\nhint: did you mean 'email.send'?\n"


@pytest.mark.parametrize(
    ("args", "times"),
    [
        (
            ("0 8 * * mon", "--timezone", "Europe/Vienna", "--after", "2026-03-20T00:00Z", "--count", "2"),
            ["2026-03-23T07:00:00Z", "2026-03-30T06:00:00Z"],  # summer time begins on the 29th
        ),
        (("@daily", "--after", "2026-02-27", "--count", "2"), ["2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"]),
    ],
)
def test_the_next_times_of_a_schedule(args: tuple[str, ...], times: list[str]) -> None:
    lines = orchestrator("schedule", "next", *args).stdout.splitlines()

    assert [line.split("\t")[1] for line in lines] == times
    assert json.loads(orchestrator("schedule", "next", *args, "--json").stdout) == times


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("0 8 * *",), "five fields are needed"),
        (("61 * * * *",), "cannot be read"),
        (("@daily", "--timezone", "Mars/Base"), "there is no time zone 'Mars/Base'"),
        (("@daily", "--after", "soon"), "--after 'soon' is no ISO 8601 time"),
        (("@daily", "--after", "9999-12-31T23:59"), "--after '9999-12-31T23:59' is not between 1970 and 2100"),
        (("@daily", "--after", "2101-01-01"), "is not between 1970 and 2100"),
        (("@daily", "--after", "0001-01-01", "--timezone", "America/New_York"), "is not between 1970 and 2100"),
        (("@daily", "--after", "0001-01-01T00:00+14:00"), "is not between 1970 and 2100"),
        (("@daily", "--timezone", "localtime"), "there is no time zone 'localtime'"),
        (("@daily", "--count", "0"), "Invalid value for '--count': "),
        (("@daily", "--count", "many"), "Invalid value for '--count': "),
    ],
)
def test_a_schedule_that_cannot_be_read_is_bad_usage(args: tuple[str, ...], message: str) -> None:
    result = orchestrator("schedule", "next", *args)

    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_the_last_time_of_a_schedule_is_said_to_be_the_last() -> None:
    result = orchestrator("schedule", "next", "@daily", "--after", "2100-12-30T12:00Z", "--count", "2")
    none = orchestrator("schedule", "next", "@daily", "--after", "2100-12-31T00:00Z", "--json")

    assert result.stdout.splitlines() == ["Fri 2100-12-31 00:00 UTC\t2100-12-31T00:00:00Z"]
    assert (none.exit_code, none.stdout) == (0, "[]\n")
    assert result.stderr == none.stderr == "there is no further time: schedules fire to the end of 2100\n"


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
    result = orchestrator(*args)

    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"ORCHESTRATOR_SMTP_PORT": "many"}, "error: ORCHESTRATOR_SMTP_PORT: "),
        ({"ORCHESTRATOR_ACTION_MODULES": "no.such.module"}, "'no.such.module', which cannot be imported"),
    ],
)
def test_settings_that_cannot_be_read_are_bad_usage(env: dict[str, str], message: str) -> None:
    result = orchestrator("actions", "list", env=env)

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_misspelt_setting_is_a_warning() -> None:
    result = orchestrator("actions", "list", env={"ORCHESTRATOR_SMTP_PROT": "25"})

    assert result.exit_code == 0
    assert "warning: ORCHESTRATOR_SMTP_PROT is not a setting: did you mean ORCHESTRATOR_SMTP_PORT?" in result.stderr


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]  # the top is a group
        inner = getattr(command, "commands", None)
        found += [(name, sub) for sub in inner] if inner else [(name,)]
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    result = orchestrator(*command, "--help")

    assert result.exit_code == 0
    assert f"orchestrator {' '.join(command)}" in result.stdout
