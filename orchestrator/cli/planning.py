"""Read, check and plan the definitions that commands name."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from orchestrator.cli.environment import load_actions, load_settings
from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import LoadedFile, read_json
from orchestrator.cli.mocks import MockedRegistry
from orchestrator.cli.output import print_note
from orchestrator.errors import OrchestratorError, Problem
from orchestrator.model.customers import DEFAULT_CUSTOMER

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.model.plan import Plan
    from orchestrator.planner.verdict import Verdict
    from orchestrator.service.permissions import PermissionReader
    from orchestrator.settings import Settings

LOCALLY = "with the actions of this environment"


class InvalidFileError(OrchestratorError):
    """The definition has errors."""

    code = "definition_invalid"

    def __init__(self, message: str, *, hint: str | None = None, found: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message, hint=hint)
        self.found = list(found)
        """The problems, with their files and positions."""


def index_definitions(files: Iterable[LoadedFile]) -> dict[str, Any]:
    """Return definitions by ID, for `workflow` nodes."""
    by_id = {}
    for file in files:
        if isinstance(file.value, Mapping) and isinstance(file.value.get("id"), str):
            by_id[file.value["id"]] = file.value
    return by_id


def check_definition(
    file: LoadedFile,
    known: "Registry | MockedRegistry",
    others: Mapping[str, Any],
    permissions: "PermissionReader | None" = None,
) -> "Verdict":
    """Check a definition; duplicate keys are problems too."""
    import asyncio

    from orchestrator.model.permissions import UNKNOWN
    from orchestrator.planner.planner import check
    from orchestrator.planner.policies import Catalogue
    from orchestrator.planner.verdict import Verdict

    customer = file.value.get("customer_id") if isinstance(file.value, Mapping) else None
    # The planner does not write to its catalogue; a frozen ActionSpec is narrower than the protocol.
    verdict = check(
        file.value,
        registry=cast("Catalogue", known),
        workflows={**others, **index_definitions([file])},
        permissions=UNKNOWN
        if permissions is None
        else asyncio.run(permissions.read(str(customer or DEFAULT_CUSTOMER))),
    )
    duplicates = file.source.find_duplicates()
    return Verdict(None if duplicates else verdict.plan, [*duplicates, *verdict.problems])


def read_permissions(settings: "Settings") -> "PermissionReader":
    """Return what tells the permissions of customers by the settings of this command; raises SettingsError."""
    from activities.secrets import open_secrets
    from orchestrator.service.permissions import PermissionReader

    return PermissionReader(settings, open_secrets(settings))


def plan_file(
    name: str, with_files: Iterable[str] | None, mocked: Collection[str] | None = None
) -> "tuple[LoadedFile, Plan]":
    """Read and plan a definition; prints its problems and raises InvalidFileError where it has errors."""
    file = read_json(name)
    others = index_definitions(map(read_json, with_files or ()))
    settings = load_settings()
    known = MockedRegistry(load_actions(settings), mocked or ())
    # A simulation needs no secrets, connections and task queues.
    permissions = read_permissions(settings) if mocked is None else None
    verdict = check_definition(file, known, others, permissions)
    checked = f", checked {LOCALLY}" if mocked is None else ""
    found = show_problems(file, verdict.problems)
    if verdict.plan is None:
        errors = sum(problem.severity == "error" for problem in verdict.problems)
        raise InvalidFileError(
            f"{file.name} has {format_count(errors, 'error')}{checked}; no run was started", found=found
        )
    if checked:
        print_note(f"1 file valid{checked}")
    return file, verdict.plan


def require_valid_input(plan: "Plan", run_input: Any) -> None:
    """Print where an input does not match the definition's `input_schema`; raises UsageError."""
    from orchestrator.planner.planner import check_input

    show_input_problems(
        [
            Problem(each.severity, each.code, f"/input{each.path}", each.message, each.hint)
            for each in check_input(plan, run_input)
        ],
        run_input,
    )


def show_input_problems(problems: Iterable[Problem], run_input: Any) -> None:
    """Print the problems of an input, whose paths begin with `/input`; raises UsageError if there are any."""
    found = [each for each in problems if f"{each.path}/".startswith("/input/")]
    for problem in found:
        path = problem.path.removeprefix("/input") or "/"
        print_note(f"--input {path}: {problem.severity} {problem.code}: {problem.message}", "red")
    if found:
        hint = "add --input JSON or --input @file" if run_input is None else None
        raise UsageError("--input does not match the input_schema of the definition; no run was started", hint=hint)


def show_problems(file: LoadedFile, problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Print problems on stderr, and return them with their positions."""
    shown = list(problems)
    for problem in shown:
        print_note(file.format_problem(problem), "red" if problem.severity == "error" else "yellow")
    return [{"file": file.name, **each.to_json(), **asdict(file.source.locate(each.path))} for each in shown]


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 error`, `2 errors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
