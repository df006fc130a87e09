"""Report errors: a message with its hint on stderr, and an exit code (SPEC §11)."""

from collections.abc import Sequence
from typing import Any

import typer

from orchestrator.cli.output import print_json, print_note
from orchestrator.errors import DefinitionInvalid, OrchestratorError, Problem
from orchestrator.jsontools.positions import MAX_SHOWN
from orchestrator.jsontools.source import JsonSyntaxError

FAILED, USAGE, NO_SERVER, INTERRUPTED, PIPE_CLOSED = 1, 2, 3, 130, 141

CODES = {
    **dict.fromkeys(
        ("error", "lease_lost", "step_failed", "execution_error", "condition_error", "simulation_stuck"), FAILED
    ),
    **dict.fromkeys(
        (
            "address_in_use",
            "api_error",
            "bad_cron",
            "bad_cursor",
            "bad_settings",
            "bad_usage",
            "bulk_job_not_found",
            "definition_invalid",
            "delivery_not_found",
            "edit_conflict",
            "expression_error",
            "filter_too_wide",
            "history_unreadable",
            "home_in_use",
            "json_syntax",
            "key_not_found",
            "operation_refused",
            "history_gone",
            "run_not_found",
            "secret_missing",
            "template_syntax",
            "too_costly",
            "too_large",
            "value_refused",
            "webhook_taken",
            "workflow_exists",
            "workflow_not_found",
            "yaml_syntax",
        ),
        USAGE,
    ),
    **dict.fromkeys(
        ("busy", "no_server", "secrets_unavailable", "server_unavailable", "store_outdated", "store_unavailable"),
        NO_SERVER,
    ),
}
"""Exit code by error code: FAILED where a run failed, USAGE where a request is refused."""

ADMIN_HINT = "create a key for keys in the database, with `orchestrator keys create NAME --scopes admin --database`"


class UsageError(OrchestratorError):
    """The command line is invalid."""

    code = "bad_usage"


class NoServerError(OrchestratorError):
    """No API answers."""

    code = "no_server"


class ApiError(OrchestratorError):
    """The API refused the request."""

    code = "api_error"

    def __init__(
        self, code: str, message: str, *, status: int, problems: Sequence[Problem] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status
        """The HTTP status."""
        self.problems = list(problems)


def get_exit_code(error: OrchestratorError) -> int:
    """Return the exit code of an error; a code of the API that commands do not know is judged by its HTTP status."""
    if isinstance(error, ApiError):
        return CODES.get(error.code, USAGE if error.status < 500 else NO_SERVER)
    return CODES.get(error.code, FAILED)


def describe_error(error: OrchestratorError) -> dict[str, Any]:
    """Return an error as commands print it with --json."""
    problems = error.problems if isinstance(error, DefinitionInvalid | ApiError) else ()
    found = [problem.to_json() for problem in problems] or list(getattr(error, "found", ()))
    return {
        "error": {
            "code": error.code, "message": error.message, "where": error.where, "hint": error.hint, "problems": found,
        }
    }  # fmt: skip


def report(error: OrchestratorError, *, as_json: bool = False) -> int:
    """Print an error and return its exit code."""
    if as_json:
        print_json(describe_error(error))
        return get_exit_code(error)
    where = f"{error.where}: " if error.where else ""
    print_note(f"{where}error: {error.message}", "bold red")
    for extra in format_excerpt(error):
        print_note(extra)
    if isinstance(error, DefinitionInvalid | ApiError):
        for problem in error.problems:
            hint = f" ({problem.hint})" if problem.hint else ""
            print_note(f"  {problem.path or '/'}: {problem.severity} {problem.code}: {problem.message}{hint}")
    if error.hint:
        print_note(f"hint: {error.hint}")
    return get_exit_code(error)


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
