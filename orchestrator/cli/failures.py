"""Report errors: a message with its hint on stderr, and an exit code (SPEC §11)."""

import typer

from orchestrator.cli.output import print_note
from orchestrator.errors import DefinitionInvalid, OrchestratorError
from orchestrator.jsontools.source import MAX_SHOWN, JsonSyntaxError

FAILED, USAGE, NO_SERVER, INTERRUPTED = 1, 2, 3, 130

CODES = {
    **dict.fromkeys(
        ("error", "lease_lost", "step_failed", "execution_error", "condition_error", "simulation_stuck"), FAILED
    ),
    **dict.fromkeys(
        (
            "address_in_use",
            "bad_cron",
            "bad_cursor",
            "bad_settings",
            "bad_usage",
            "definition_invalid",
            "delivery_not_found",
            "edit_conflict",
            "expression_error",
            "history_unreadable",
            "home_in_use",
            "json_syntax",
            "key_not_found",
            "operation_refused",
            "run_not_found",
            "secret_missing",
            "template_syntax",
            "too_costly",
            "too_large",
            "value_refused",
            "webhook_taken",
            "workflow_exists",
            "workflow_not_found",
        ),
        USAGE,
    ),
    **dict.fromkeys(
        ("busy", "secrets_unavailable", "server_unavailable", "store_outdated", "store_unavailable"), NO_SERVER
    ),
}
"""Exit code by error code: FAILED where a run failed, USAGE where a request is refused."""


class UsageError(OrchestratorError):
    """The command line is invalid."""

    code = "bad_usage"


def report(error: OrchestratorError) -> int:
    """Print an error and return its exit code."""
    where = f"{error.where}: " if error.where else ""
    print_note(f"{where}error: {error.message}", "bold red")
    for extra in format_excerpt(error):
        print_note(extra)
    if isinstance(error, DefinitionInvalid):
        for problem in error.problems:
            hint = f" ({problem.hint})" if problem.hint else ""
            print_note(f"  {problem.path or '/'}: {problem.severity} {problem.code}: {problem.message}{hint}")
    if error.hint:
        print_note(f"hint: {error.hint}")
    return CODES.get(error.code, FAILED)


def describe_bad_parameter(error: typer.BadParameter) -> str:
    """Return what is wrong with an argument or option: typer passes on the words of pydantic."""
    from pydantic import ValidationError

    from orchestrator.jsontools.validation_messages import describe_validation_error

    cause = error.__cause__
    return describe_validation_error(cause.errors()[0]) if isinstance(cause, ValidationError) else error.message


def format_excerpt(error: OrchestratorError) -> list[str]:
    """Return the line that is not valid JSON, with a caret under the position."""
    if not isinstance(error, JsonSyntaxError) or not error.line.strip():
        return []
    before = error.line[: error.position.column - 1]
    if len(before) == len(error.line) > MAX_SHOWN:
        return [f"    {error.line}"]
    return [f"    {error.line}", "    " + "".join("\t" if character == "\t" else " " for character in before) + "^"]
