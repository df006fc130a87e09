"""`test`: cases that stand beside a definition, run on the simulator."""

import json
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from orchestrator.cli import mocks, options
from orchestrator.cli.environment import registry
from orchestrator.cli.failures import FAILED, UsageError
from orchestrator.cli.files import Loaded, read_json, read_yaml
from orchestrator.cli.mocks import WithMocks
from orchestrator.cli.output import document, line, note, pretty
from orchestrator.cli.planning import counted, judged, workflows
from orchestrator.errors import DefinitionInvalid

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.model.run import Run

SUFFIX = ".tests.yaml"
CASE_KEYS = {"name", "input", "actions", "events", "resolutions", "with", "expect"}
EXPECT_KEYS = {"status", "output", "steps", "order", "error_type"}


def run_cases(files: options.DefinitionFiles, as_json: options.Json = False) -> None:
    """Run the cases of `NAME.tests.yaml` beside each `NAME.json` on a virtual clock."""
    known = registry()
    results = []
    for name in files:
        file = read_json(name)
        for case in read_cases(name):
            found = differences(file, case, known)
            results.append({"file": name, "name": case["name"], "passed": not found, "differences": found})
            if not as_json:
                _show(results[-1])
    failed = sum(not result["passed"] for result in results)
    if as_json:
        document(results)
    else:
        style = "bold red" if failed else "green"
        note(f"{counted(len(results) - failed, 'case')} passed, {failed} failed", style)
    if failed:
        raise typer.Exit(FAILED)


def _show(result: Mapping[str, Any]) -> None:
    line(
        f"{'pass' if result['passed'] else 'FAIL'}  {result['file']}: {result['name']}",
        None if result["passed"] else "red",
    )
    for difference in result["differences"]:
        for text in difference.splitlines():
            line(f"      {text}")


def read_cases(name: str) -> list[dict[str, Any]]:
    """Read the cases beside a definition; raises UsageError."""
    path = Path(name).with_suffix(SUFFIX)
    if not path.exists():
        hint = "a list of {name, input, actions, expect}; see docs/cli.md"
        raise UsageError(f"there are no cases beside {name}", hint=f"write {path}: {hint}")
    cases = read_yaml(str(path))
    if not isinstance(cases, list) or not cases:
        raise UsageError("the file is no list of cases", where=str(path))
    return [_case(case, f"{path}: case {place}", path.parent) for place, case in enumerate(cases, 1)]


def _case(case: Any, where: str, folder: Path) -> dict[str, Any]:
    if not isinstance(case, Mapping):
        raise UsageError("a case is an object", where=where)
    expect = case.get("expect")
    if not isinstance(case.get("name"), str) or not isinstance(expect, Mapping) or not expect:
        raise UsageError("a case has a `name` and says what to `expect`", where=where)
    unknown = sorted({*(case.keys() - CASE_KEYS), *(expect.keys() - EXPECT_KEYS)}, key=str)
    if unknown:
        raise UsageError(f"unknown key {unknown[0]!r}", where=where, hint=f"known are {', '.join(sorted(CASE_KEYS))}")
    read = {**case, "input": _given(case.get("input"), folder)}
    read["actions"] = mocks.checked_mocks(_given(case.get("actions"), folder) or {}, where)
    read["with"] = [read_json(str(folder / name)) for name in case.get("with") or ()]
    return read


def _given(value: Any, folder: Path) -> Any:
    """Give a value, or what the file says that it names as `@file`."""
    return read_yaml(str(folder / value[1:])) if isinstance(value, str) and value.startswith("@") else value


def differences(file: Loaded, case: Mapping[str, Any], known: "Registry") -> list[str]:
    """Run a case and say where the run is not as expected."""
    from orchestrator.simulator.simulate import simulate

    verdict = judged(file, WithMocks(known, case["actions"]), workflows(case["with"]))
    if verdict.plan is None:
        return [file.line(problem) for problem in verdict.problems if problem.severity == "error"]
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
        said = f": {failure['message']}" if failure else ""
        yield f"status: expected {wanted_status}, got {run.status}{said}"
    if "error_type" in expect and failure.get("error_type") != expect["error_type"]:
        yield f"error_type: expected {expect['error_type']}, got {failure.get('error_type')}"
    for step, wanted in (expect.get("steps") or {}).items():
        if statuses.get(step) != wanted:
            yield f"step {step}: expected {wanted or 'not to run'}, got {statuses.get(step) or 'no such step'}"
    if "order" in expect and list(statuses) != expect["order"]:
        yield diff("order", expect["order"], list(statuses))
    if "output" in expect and run.output != expect["output"]:
        yield diff("output", expect["output"], run.output)


def diff(what: str, wanted: Any, got: Any) -> str:
    """Show two JSON values beside each other, line by line."""
    one, other = (
        json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines() for value in (wanted, got)
    )
    told = list(unified_diff(one, other, "expected", "got", lineterm=""))
    return "\n".join([f"{what}:", *told] if told else [f"{what}: expected {pretty(wanted)}, got {pretty(got)}"])
