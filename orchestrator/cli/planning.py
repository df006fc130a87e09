"""Definitions and actions as the commands need them: read, checked, planned."""

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import Loaded, read_json
from orchestrator.cli.output import note
from orchestrator.errors import OrchestratorError, Problem, SettingsError

if TYPE_CHECKING:
    from activities.registry import ActionSpec, Registry
    from orchestrator.model.plan import Plan
    from orchestrator.planner import Verdict
    from orchestrator.settings import Settings


class InvalidFileError(OrchestratorError):
    """The definition has problems: nothing was started."""

    code = "definition_invalid"


def settings() -> "Settings":
    """Read the settings; raises SettingsError, and warns of variables that mean nothing."""
    from pydantic import ValidationError

    from orchestrator.settings import PREFIX, Settings, unknown_variables

    for text in unknown_variables():
        note(f"warning: {text}", "yellow")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg']}") from None


def registry(given: "Settings | None" = None) -> "Registry":
    """Give the actions that a worker with these settings serves."""
    from activities import load_registry
    from activities.registry import ActionError

    try:
        return load_registry(given or settings())
    except ActionError as error:
        raise SettingsError(str(error)) from error


DEV_FILE = "dev.json"
"""In the home of a running `dev`: where it listens."""


def client_settings(server: str | None = None) -> "Settings":
    """Read the settings to talk to a server with; a `dev` on this machine and its Web UI are found by its home."""
    given = settings()
    if server is not None:
        given = given.model_copy(update={"temporal_address": server})
    try:
        running = json.loads((given.home / DEV_FILE).read_text())
        address, ui = str(running["temporal_address"]), str(running["ui"])
        os.kill(running["pids"]["dev"], 0)  # one that was killed leaves its file
    except (OSError, ValueError, LookupError, TypeError):
        return given
    if given.database_url is None and "temporal_address" not in given.model_fields_set:
        given = given.model_copy(update={"temporal_address": address})
    same = address == given.temporal_address.replace("localhost", "127.0.0.1")
    return given.model_copy(update={"ui_url": ui}) if same and given.ui_url is None else given


class WithMocks:
    """A registry in which every mocked action is known, whatever its parameters (SPEC §11)."""

    def __init__(self, registered: "Registry", mocked: Collection[str]) -> None:
        self.registered = registered
        self.mocked = mocked

    def get(self, name: str) -> "ActionSpec | MockedAction | None":
        """Find an action."""
        found = self.registered.get(name)
        return MockedAction(name) if found is None and name in self.mocked else found

    def names(self) -> list[str]:
        """Name all actions."""
        return sorted({*self.registered.names(), *self.mocked})


def any_parameters() -> Any:
    """Give a model that takes every parameter."""
    from pydantic import ConfigDict, create_model

    return create_model("AnyParameters", __config__=ConfigDict(extra="allow"))


@dataclass(frozen=True, slots=True)
class MockedAction:
    """An action that only a mock answers."""

    name: str
    retry: None = None
    timeout_seconds: None = None
    heartbeat_seconds: None = None
    execution: str = "activity"

    @property
    def parameters(self) -> Any:
        """Give a model that takes every parameter."""
        return any_parameters()


def workflows(files: Iterable[Loaded]) -> dict[str, Any]:
    """Give definitions by id, for `workflow` nodes."""
    found = {}
    for file in files:
        if isinstance(file.value, Mapping) and isinstance(file.value.get("id"), str):
            found[file.value["id"]] = file.value
    return found


def judged(file: Loaded, known: "Registry | WithMocks", others: Mapping[str, Any]) -> "Verdict":
    """Check a definition; keys given twice are problems too."""
    from orchestrator.planner import Catalogue, Verdict, check

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
    from orchestrator.planner import check_input

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
