"""`test`: run the test cases next to a definition on the simulator."""

import json
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from orchestrator.cli import mocks, options
from orchestrator.cli.environment import load_actions
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import LoadedFile, list_definition_files, read_json, read_value
from orchestrator.cli.mocks import MockedRegistry
from orchestrator.cli.output import format_json, print_json, print_line, print_note
from orchestrator.cli.planning import check_definition, format_count, index_definitions
from orchestrator.cli.watch import rerun_on_changes
from orchestrator.errors import DefinitionInvalid

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.model.run import Run
    from orchestrator.planner.policies import Catalogue

SUFFIX = ".tests.yaml"
CASE_KEYS = {"name", "input", "actions", "events", "resolutions", "with", "expect"}
EXPECT_KEYS = {"status", "output", "steps", "order", "error_type"}
EVENT_KEYS = {"at", "name", "payload"}
RESOLUTION_KEYS = {"node_id", "action", "parameters", "value", "target"}


def run_cases(
    context: typer.Context, files: options.DefinitionPaths, watch: options.Watch = False, as_json: options.Json = False
) -> None:
    """Run the test cases beside a definition on a virtual clock.

    They are in `NAME.tests.yaml` next to each `NAME.json`. For a folder, the cases of all definitions in it are run.
    """
    if watch:
        rerun_on_changes(context, files)
        return
    known = load_actions()
    results = []
    names = [name for name in list_definition_files(files) if name in files or _get_cases_file(name).exists()]
    if not names:
        raise UsageError(f"no definition in {', '.join(files)} has test cases")
    for name in names:
        file = read_json(name)
        for case in read_cases(name):
            failures = find_differences(file, case, known)
            results.append({"file": name, "name": case["name"], "passed": not failures, "differences": failures})
            if not as_json:
                _print_result(results[-1])
    failed = sum(not result["passed"] for result in results)
    if as_json:
        print_json(results)
    else:
        style = "bold red" if failed else "green"
        print_note(f"{format_count(len(results) - failed, 'case')} passed, {failed} failed", style)
    if failed:
        raise typer.Exit(FAILED)


def _print_result(result: Mapping[str, Any]) -> None:
    print_line(
        f"{'pass' if result['passed'] else 'FAIL'}  {result['file']}: {result['name']}",
        None if result["passed"] else "red",
    )
    for difference in result["differences"]:
        for text in difference.splitlines():
            print_line(f"      {text}")


def _get_cases_file(name: str) -> Path:
    return Path(name).with_suffix(SUFFIX)


def read_cases(name: str) -> list[dict[str, Any]]:
    """Read the test cases next to a definition; raises UsageError."""
    path = _get_cases_file(name)
    if not path.exists():
        hint = "with a list of {name, input, actions, expect}; see docs/cli.md"
        raise UsageError(f"{name} has no test cases", hint=f"create {path} {hint}")
    cases = read_value(str(path))
    if not isinstance(cases, list) or not cases:
        raise UsageError("the file must hold a list of test cases", where=str(path))
    return [_parse_case(case, f"{path}: case {index}", path.parent) for index, case in enumerate(cases, 1)]


def _parse_case(case: Any, where: str, folder: Path) -> dict[str, Any]:
    if not isinstance(case, Mapping):
        raise UsageError("a case must be an object", where=where)
    expect = case.get("expect")
    if not isinstance(case.get("name"), str) or not isinstance(expect, Mapping) or not expect:
        raise UsageError("a case needs a `name` and a non-empty `expect`", where=where)
    _require_known_keys(case, CASE_KEYS, where)
    _require_known_keys(expect, EXPECT_KEYS, f"{where}: expect")
    _require_objects(case.get("events"), EVENT_KEYS, {"name"}, f"{where}: events")
    for index, event in enumerate(case.get("events") or (), 1):
        _require_seconds(event.get("at", 0), f"{where}: events: {index}")
    _require_objects(case.get("resolutions"), RESOLUTION_KEYS, {"node_id", "action"}, f"{where}: resolutions")
    if not isinstance(expect.get("steps") or {}, Mapping):
        raise UsageError("`steps` must be an object of steps and their status", where=f"{where}: expect")
    callees = case.get("with") or []
    if not isinstance(callees, list) or not all(isinstance(name, str) for name in callees):
        raise UsageError("`with` must be a list of files", where=where)
    read = {**case, "input": _read_reference(case.get("input"), folder)}
    read["actions"] = mocks.check_mocks(_read_reference(case.get("actions"), folder) or {}, where)
    read["with"] = [read_json(str(folder / name)) for name in callees]
    return read


def _require_objects(value: Any, known: set[str], required: set[str], where: str) -> None:
    """Raise UsageError unless the value is empty or a list of objects with these keys."""
    if not isinstance(value or [], list):
        raise UsageError("must be a list", where=where)
    for index, item in enumerate(value or [], 1):
        at = f"{where}: {index}"
        if not isinstance(item, Mapping):
            raise UsageError("must be an object", where=at, hint=f"keys are {', '.join(sorted(known))}")
        _require_known_keys(item, known, at)
        for key in sorted(required):
            if not isinstance(item.get(key), str) or not item[key]:
                raise UsageError(f"`{key}` is missing, or not text", where=at)


def _require_seconds(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise UsageError("`at` must be a number of seconds, 0 or more", where=where)


def _require_known_keys(value: Mapping[Any, Any], known: set[str], where: str) -> None:
    from orchestrator.jsontools.suggestions import did_you_mean

    for key in value:
        if key not in known:
            hint = did_you_mean(str(key), known) or f"keys are {', '.join(sorted(known))}"
            raise UsageError(f"unknown key {key!r}", where=where, hint=hint)


def _read_reference(value: Any, folder: Path) -> Any:
    """Return a value, or the content of the file that it names as `@file`."""
    return read_value(str(folder / value[1:])) if isinstance(value, str) and value.startswith("@") else value


def find_differences(file: LoadedFile, case: Mapping[str, Any], known: "Registry") -> list[str]:
    """Run a case and return where the run differs from what it expects."""
    from orchestrator.simulator.simulate import simulate

    verdict = check_definition(file, MockedRegistry(known, case["actions"]), index_definitions(case["with"]))
    if verdict.plan is None:
        return [file.format_problem(problem) for problem in verdict.problems if problem.severity == "error"]
    try:
        run = simulate(
            verdict.plan,
            input=case["input"],
            actions=case["actions"],
            events=case.get("events") or (),
            resolutions=case.get("resolutions") or (),
            registry=cast("Catalogue", known),
        )
    except DefinitionInvalid as refusal:
        return [f"{problem.path or 'input'}: {problem.message}" for problem in refusal.problems]
    return list(compare(case["expect"], run))


def compare(expect: Mapping[str, Any], run: "Run") -> Iterator[str]:
    """Yield where a run differs from `expect`; only its keys are compared, and `status` is `completed` by default."""
    statuses = {step.id: step.status for step in run.steps}
    failure = run.failure or {}
    wanted_status = expect.get("status", "failed" if "error_type" in expect else "completed")
    if run.status != wanted_status:
        message = f": {failure['message']}" if failure else ""
        yield f"status: expected {wanted_status}, got {run.status}{message}"
    if "error_type" in expect and failure.get("error_type") != expect["error_type"]:
        yield f"error_type: expected {expect['error_type']}, got {failure.get('error_type')}"
    for step, wanted in (expect.get("steps") or {}).items():
        if statuses.get(step) != wanted:
            yield f"step {step}: expected {wanted or 'not to run'}, got {statuses.get(step) or 'no such step'}"
    if "order" in expect and list(statuses) != expect["order"]:
        yield format_diff("order", expect["order"], list(statuses))
    if "output" in expect and run.output != expect["output"]:
        yield format_diff("output", expect["output"], run.output)


def format_diff(what: str, wanted: Any, got: Any) -> str:
    """Return a unified diff of two JSON values."""
    one, other = (
        json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines() for value in (wanted, got)
    )
    changes = list(unified_diff(one, other, "expected", "got", lineterm=""))
    return "\n".join(
        [f"{what}:", *changes] if changes else [f"{what}: expected {format_json(wanted)}, got {format_json(got)}"]
    )
