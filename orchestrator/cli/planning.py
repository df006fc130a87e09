"""Definitions and actions as the commands need them: read, checked, planned."""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from orchestrator.cli.environment import registry
from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import Loaded, read_json
from orchestrator.cli.mocks import WithMocks
from orchestrator.cli.output import note
from orchestrator.errors import OrchestratorError, Problem

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.model.plan import Plan
    from orchestrator.planner.verdict import Verdict


class InvalidFileError(OrchestratorError):
    """The definition has problems: nothing was started."""

    code = "definition_invalid"


def workflows(files: Iterable[Loaded]) -> dict[str, Any]:
    """Give definitions by id, for `workflow` nodes."""
    found = {}
    for file in files:
        if isinstance(file.value, Mapping) and isinstance(file.value.get("id"), str):
            found[file.value["id"]] = file.value
    return found


def judged(file: Loaded, known: "Registry | WithMocks", others: Mapping[str, Any]) -> "Verdict":
    """Check a definition; keys given twice are problems too."""
    from orchestrator.planner.planner import check
    from orchestrator.planner.policies import Catalogue
    from orchestrator.planner.verdict import Verdict

    # The planner only reads what it is given; a frozen ActionSpec is narrower than its protocol says.
    catalogue = cast("Catalogue", known)
    verdict = check(file.value, registry=catalogue, workflows={**others, **workflows([file])})
    twice = file.source.duplicates()
    return Verdict(None if twice else verdict.plan, [*twice, *verdict.problems])


def planned(name: str, with_files: Iterable[str] | None, mocked: Collection[str] = ()) -> "tuple[Loaded, Plan]":
    """Read and plan a definition; shows its problems and raises InvalidFileError."""
    file = read_json(name)
    others = workflows(map(read_json, with_files or ()))
    verdict = judged(file, WithMocks(registry(), mocked), others)
    show(file, verdict.problems)
    if verdict.plan is None:
        errors = sum(problem.severity == "error" for problem in verdict.problems)
        raise InvalidFileError(f"{file.name} has {counted(errors, 'error')}: nothing was started")
    return file, verdict.plan


def check_given(plan: "Plan", given: Any) -> None:
    """Show where an input does not fit the definition's `input_schema`; raises UsageError."""
    from orchestrator.planner.planner import check_input

    problems = check_input(plan, given)
    for problem in problems:
        note(f"--input {problem.path or '/'}: {problem.severity} {problem.code}: {problem.message}", "red")
    if problems:
        hint = "give one with --input JSON or --input @file" if given is None else None
        raise UsageError(f"--input does not fit {plan.id}: nothing was started", hint=hint)


def show(file: Loaded, problems: Iterable[Problem]) -> None:
    """Print problems on stderr."""
    for problem in problems:
        note(file.line(problem), "red" if problem.severity == "error" else "yellow")


def counted(number: int, noun: str) -> str:
    """Say how many: `1 error`, `2 errors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
