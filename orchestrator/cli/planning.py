"""Definitions and actions as the commands need them: read, checked, planned."""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from orchestrator.cli.environment import load_actions
from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import LoadedFile, read_json
from orchestrator.cli.mocks import MockedRegistry
from orchestrator.cli.output import print_note
from orchestrator.errors import OrchestratorError, Problem

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.model.plan import Plan
    from orchestrator.planner.verdict import Verdict


class InvalidFileError(OrchestratorError):
    """The definition has problems: nothing was started."""

    code = "definition_invalid"


def index_definitions(files: Iterable[LoadedFile]) -> dict[str, Any]:
    """Give definitions by id, for `workflow` nodes."""
    by_id = {}
    for file in files:
        if isinstance(file.value, Mapping) and isinstance(file.value.get("id"), str):
            by_id[file.value["id"]] = file.value
    return by_id


def check_definition(file: LoadedFile, known: "Registry | MockedRegistry", others: Mapping[str, Any]) -> "Verdict":
    """Check a definition; keys given twice are problems too."""
    from orchestrator.planner.planner import check
    from orchestrator.planner.policies import Catalogue
    from orchestrator.planner.verdict import Verdict

    # The planner only reads what it is given; a frozen ActionSpec is narrower than its protocol says.
    catalogue = cast("Catalogue", known)
    verdict = check(file.value, registry=catalogue, workflows={**others, **index_definitions([file])})
    duplicates = file.source.find_duplicates()
    return Verdict(None if duplicates else verdict.plan, [*duplicates, *verdict.problems])


def plan_file(name: str, with_files: Iterable[str] | None, mocked: Collection[str] = ()) -> "tuple[LoadedFile, Plan]":
    """Read and plan a definition; shows its problems and raises InvalidFileError."""
    file = read_json(name)
    others = index_definitions(map(read_json, with_files or ()))
    verdict = check_definition(file, MockedRegistry(load_actions(), mocked), others)
    show_problems(file, verdict.problems)
    if verdict.plan is None:
        errors = sum(problem.severity == "error" for problem in verdict.problems)
        raise InvalidFileError(f"{file.name} has {format_count(errors, 'error')}: nothing was started")
    return file, verdict.plan


def require_valid_input(plan: "Plan", run_input: Any) -> None:
    """Show where an input does not fit the definition's `input_schema`; raises UsageError."""
    from orchestrator.planner.planner import check_input

    problems = check_input(plan, run_input)
    for problem in problems:
        print_note(f"--input {problem.path or '/'}: {problem.severity} {problem.code}: {problem.message}", "red")
    if problems:
        hint = "give one with --input JSON or --input @file" if run_input is None else None
        raise UsageError(f"--input does not fit {plan.id}: nothing was started", hint=hint)


def show_problems(file: LoadedFile, problems: Iterable[Problem]) -> None:
    """Print problems on stderr."""
    for problem in problems:
        print_note(file.format_problem(problem), "red" if problem.severity == "error" else "yellow")


def format_count(number: int, noun: str) -> str:
    """Say how many: `1 error`, `2 errors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
