"""Every error the program raises on purpose, and the problems a definition can have.

No I/O and no imports from the project: everything else may import this. Replay-sensitive.

    OrchestratorError                message, where, hint; `code` for programs
    ├── DefinitionInvalid            the definition has errors: all of its problems
    ├── ExpressionError              a template or an expression, with line and column
    │   ├── TemplateSyntaxError      it cannot be parsed; found at validation
    │   └── EvaluationError          it cannot be evaluated on the data of a run
    ├── ConditionError               a condition cannot be evaluated
    ├── StepFailed                   a step failed: becomes its error document, or is handled by `on_error`
    ├── RunNotFound                  no run has that id
    ├── OperationRefused             the state of the run does not allow the operation
    ├── BadCursor                    a pagination or stream cursor is invalid
    ├── SettingsError                a setting is invalid
    └── ServerUnavailable            the Temporal server does not answer

Packages that are not replay-sensitive add subclasses of OrchestratorError beside the code that raises them, such as
`WorkflowNotFound` in the store and `SignatureRefused` in the service. The API maps classes to HTTP statuses, the
command line to exit codes. A class's docstring is its default message.
"""

import copyreg
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

ErrorType = Literal[
    "validation_error",
    "execution_error",
    "action_error",
    "condition_error",
    "timeout_error",
    "retry_exhausted",
    "cancelled",
    "unknown",
]
ERROR_TYPES: tuple[str, ...] = get_args(ErrorType)


def parse_error_type(name: object) -> ErrorType:
    """Return an error type of SPEC §6; every other name is `unknown`."""
    return cast(ErrorType, name) if name in ERROR_TYPES else "unknown"


Severity = Literal["error", "warning"]

ProblemCode = Literal[
    "wrong_type",
    "too_many_problems",
    "missing_name",
    "unknown_status",
    "no_nodes",
    "too_many_nodes",
    "too_large",
    "too_many_callees",
    "other_id",
    "reserved_name",
    "unknown_key",
    "unused_key",
    "duplicate_id",
    "missing_id",
    "bad_id",
    "missing_type",
    "unknown_type",
    "no_effect",
    "missing_trigger",
    "unknown_trigger",
    "bad_schedule",
    "never_fires",
    "schedule_ended",
    "bad_cron",
    "wide_step",
    "clock_change",
    "bad_timezone",
    "bad_overlap",
    "bad_event",
    "missing_webhook_path",
    "bad_webhook_path",
    "bad_method",
    "bad_respond",
    "bad_charset",
    "bad_header",
    "forbidden_header",
    "bad_signed",
    "bad_secret",
    "weak_secret",
    "open_webhook",
    "bad_resume",
    "unknown_node",
    "missing_end",
    "missing_port",
    "unknown_port",
    "no_start",
    "unreachable",
    "orphan",
    "region_overlap",
    "empty_region",
    "too_deep",
    "missing_action",
    "unknown_action",
    "missing_parameter",
    "unknown_parameter",
    "bad_parameter",
    "template_in_code",
    "long_local",
    "missing_condition",
    "when_without_next",
    "missing_cases",
    "missing_collection",
    "bad_collection",
    "bad_max_failures",
    "bad_name",
    "bad_join",
    "missing_delay",
    "bad_delay",
    "bad_seconds",
    "bad_time",
    "missing_event",
    "missing_workflow",
    "unknown_workflow",
    "unknown_version",
    "invalid_workflow",
    "workflow_cycle",
    "bad_approval",
    "unknown_choice",
    "out_of_bounds",
    "bad_schema",
    "large_schema",
    "schema_mismatch",
    "bad_on_error",
    "bad_checkpoint",
    "on_error_without_next",
    "unknown_error_type",
    "duplicate_key",
    "template_syntax",
    "secret_outside_action",
    "bad_link",
    "piped_secret",
    "missing_secret",
    "forbidden_secret",
    "unknown_connection",
    "bad_task_queue",
    "unknown_variable",
    "maybe_missing",
    "wrong_operand",
    "from_outside",
    "never_holds",
    "set_later",
    "step_not_run",
    "set_reads_itself",
    "unknown_step",
    "unknown_field",
    "unknown_input",
    "variable_conflict",
    "shared_variable",
    "busy_cycle",
    "condition_structure",
    "unknown_operator",
    "unknown_preset",
    "value_type",
    "bad_pattern",
    "secret_in_condition",
    "regression",
]
"""The rules of a definition, by name; `planner.problem_codes` says what each means."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One error or warning about a definition (SPEC §8)."""

    severity: Severity
    code: ProblemCode
    """Stable name of the rule, for programs: `unknown_action`."""
    path: str
    """JSON Pointer (RFC 6901) into the definition; `""` is the definition as a whole."""
    message: str
    hint: str | None = None
    """What was likely meant, or what to do."""

    def to_json(self) -> dict[str, Any]:
        """Return the problem as a JSON object of SPEC §8."""
        return {
            "severity": self.severity,
            "code": self.code,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        }


class OrchestratorError(Exception):
    """Something went wrong."""

    code = "error"

    def __init__(self, message: str | None = None, *, where: str | None = None, hint: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.where = where
        self.hint = hint
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to copy the error into another process: without `__init__`, whose arguments differ by class."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    def __str__(self) -> str:
        at = f"{self.where}: " if self.where else ""
        tail = f" ({self.hint})" if self.hint else ""
        return f"{at}{self.message}{tail}"


class DefinitionInvalid(OrchestratorError):
    """The definition has problems."""

    code = "definition_invalid"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        errors = [problem for problem in self.problems if problem.severity == "error"]
        shown = (errors or self.problems)[:3]
        super().__init__("; ".join(f"{p.path or '/'}: {p.message}" for p in shown) or None)


class ExpressionError(OrchestratorError):
    """The expression is invalid."""

    code = "expression_error"

    def __init__(
        self, message: str, *, source: str = "", line: int = 1, column: int = 1, hint: str | None = None
    ) -> None:
        self.source = source
        self.line = line
        """1-based line in the template."""
        self.column = column
        """1-based column in that line."""
        super().__init__(message, where=f"{line}:{column}", hint=hint)


class TemplateSyntaxError(ExpressionError):
    """The template cannot be parsed."""

    code = "template_syntax"


class EvaluationError(ExpressionError):
    """The expression cannot be evaluated on this data."""

    code = "execution_error"


class ConditionError(OrchestratorError):
    """The condition cannot be evaluated."""

    code = "condition_error"


class StepFailed(OrchestratorError):
    """A step failed."""

    code = "step_failed"

    def __init__(
        self,
        message: str,
        *,
        error_type: ErrorType = "execution_error",
        details: dict[str, Any] | None = None,
        recoverable: bool = True,
        attempts: int = 1,
        node_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.node_id = node_id
        """The innermost node that failed."""
        self.error_type: ErrorType = error_type
        self.details = details or {}
        self.recoverable = recoverable
        self.attempts = attempts
        """Number of attempts, including the failed one."""


class RunNotFound(OrchestratorError):
    """There is no such run."""

    code = "run_not_found"


class OperationRefused(OrchestratorError):
    """The state of the run does not allow this operation."""

    code = "operation_refused"


class BadCursor(OrchestratorError):
    """Invalid cursor."""

    code = "bad_cursor"


class SettingsError(OrchestratorError):
    """A setting is invalid, or names something that does not exist."""

    code = "bad_settings"


class ServerUnavailable(OrchestratorError):
    """The Temporal server does not answer."""

    code = "server_unavailable"
