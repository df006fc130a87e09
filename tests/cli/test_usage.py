"""What the shell around all commands answers to bad usage, bad settings and `--help`."""

import pytest

from tests.cli.commands import invoke, list_commands


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
