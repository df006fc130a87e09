"""`test`: cases that stand beside a definition, run on the simulator."""

import json
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from orchestrator.cli import mocks, options
from orchestrator.cli.environment import load_actions
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import LoadedFile, read_json, read_yaml
from orchestrator.cli.mocks import MockedRegistry
from orchestrator.cli.output import format_json, print_json, print_line, print_note
from orchestrator.cli.planning import check_definition, format_count, index_definitions
from orchestrator.errors import DefinitionInvalid

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.model.run import Run

SUFFIX = ".tests.yaml"
CASE_KEYS = {"name", "input", "actions", "events", "resolutions", "with", "expect"}
EXPECT_KEYS = {"status", "output", "steps", "order", "error_type"}


def run_cases(files: options.DefinitionFiles, as_json: options.Json = False) -> None:
    """Run the cases of `NAME.tests.yaml` beside each `NAME.json` on a virtual clock."""
    known = load_actions()
    results = []
    for name in files:
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


def read_cases(name: str) -> list[dict[str, Any]]:
    """Read the cases beside a definition; raises UsageError."""
    path = Path(name).with_suffix(SUFFIX)
    if not path.exists():
        hint = "a list of {name, input, actions, expect}; see docs/cli.md"
        raise UsageError(f"there are no cases beside {name}", hint=f"write {path}: {hint}")
    cases = read_yaml(str(path))
    if not isinstance(cases, list) or not cases:
        raise UsageError("the file is no list of cases", where=str(path))
    return [_parse_case(case, f"{path}: case {index}", path.parent) for index, case in enumerate(cases, 1)]


def _parse_case(case: Any, where: str, folder: Path) -> dict[str, Any]:
    if not isinstance(case, Mapping):
        raise UsageError("a case is an object", where=where)
    expect = case.get("expect")
    if not isinstance(case.get("name"), str) or not isinstance(expect, Mapping) or not expect:
        raise UsageError("a case has a `name` and says what to `expect`", where=where)
    unknown = sorted({*(case.keys() - CASE_KEYS), *(expect.keys() - EXPECT_KEYS)}, key=str)
    if unknown:
        raise UsageError(f"unknown key {unknown[0]!r}", where=where, hint=f"known are {', '.join(sorted(CASE_KEYS))}")
    read = {**case, "input": _read_reference(case.get("input"), folder)}
    read["actions"] = mocks.check_mocks(_read_reference(case.get("actions"), folder) or {}, where)
    read["with"] = [read_json(str(folder / name)) for name in case.get("with") or ()]
    return read


def _read_reference(value: Any, folder: Path) -> Any:
    """Give a value, or what the file says that it names as `@file`."""
    return read_yaml(str(folder / value[1:])) if isinstance(value, str) and value.startswith("@") else value


def find_differences(file: LoadedFile, case: Mapping[str, Any], known: "Registry") -> list[str]:
    """Run a case and say where the run is not as expected."""
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
        )
    except DefinitionInvalid as refusal:
        return [f"{problem.path or 'input'}: {problem.message}" for problem in refusal.problems]
    return list(compare(case["expect"], run))


def compare(expect: Mapping[str, Any], run: "Run") -> Iterator[str]:
    """Say where a run is not as expected; only what is named counts, but the run must have completed."""
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
    """Show two JSON values beside each other, line by line."""
    one, other = (
        json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines() for value in (wanted, got)
    )
    changes = list(unified_diff(one, other, "expected", "got", lineterm=""))
    return "\n".join(
        [f"{what}:", *changes] if changes else [f"{what}: expected {format_json(wanted)}, got {format_json(got)}"]
    )
