"""Read the test cases beside a definition, and run them on the simulator."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from orchestrator.cli import mocks
from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import LoadedFile, read_json, read_value
from orchestrator.cli.mocks import MockedRegistry
from orchestrator.cli.planning import check_definition, index_definitions

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.model.plan import Plan
    from orchestrator.planner.policies import Catalogue
    from orchestrator.simulator.simulate import Trace

SUFFIX = ".tests.yaml"
CASE_KEYS = {
    *("name", "input", "trigger", "start", "actions", "results", "events", "resolutions", "repairs", "with", "expect"),
}
EVENT_KEYS = {"at", "name", "payload", "key", "by"}
RESOLUTION_KEYS = {"node_id", "action", "parameters", "value", "target"}
REPAIR_KEYS = {"at", "kind", "step_id", "node_id", "path", "variables", "parameters", "result"}
UNLIMITED = 1_000_000
"""Steps of a run that a case can look at, whatever the `step_log_limit` of the definition is."""


def get_cases_file(name: str) -> Path:
    """Return the file of the test cases of a definition."""
    return Path(name).with_suffix(SUFFIX)


def read_cases(name: str) -> list[dict[str, Any]]:
    """Read the test cases next to a definition; raises UsageError."""
    path = get_cases_file(name)
    if not path.exists():
        hint = "with a list of {name, input, actions, expect}; see docs/cli.md"
        raise UsageError(f"{name} has no test cases", hint=f"create {path} {hint}")
    cases = read_value(str(path))
    if not isinstance(cases, list) or not cases:
        raise UsageError("the file must hold a list of test cases", where=str(path))
    return [parse_case(case, f"{path}: case {index}", path.parent) for index, case in enumerate(cases, 1)]


def parse_case(case: Any, where: str, folder: Path) -> dict[str, Any]:
    """Return a well-formed case, with the files that it names; raises UsageError."""
    if not isinstance(case, Mapping):
        raise UsageError("a case must be an object", where=where)
    expect = case.get("expect")
    if not isinstance(case.get("name"), str) or not isinstance(expect, Mapping) or not expect:
        raise UsageError("a case needs a `name` and a non-empty `expect`", where=where)
    _require_known_keys(case, CASE_KEYS, where)
    _check_expectations(expect, f"{where}: expect")
    _require_objects(case.get("events"), EVENT_KEYS, {"name"}, f"{where}: events")
    for index, event in enumerate(case.get("events") or (), 1):
        _require_seconds(event.get("at", 0), f"{where}: events: {index}")
    _require_objects(case.get("resolutions"), RESOLUTION_KEYS, {"node_id", "action"}, f"{where}: resolutions")
    _check_repairs(case.get("repairs"), f"{where}: repairs")
    callees = case.get("with") or []
    if not isinstance(callees, list) or not all(isinstance(name, str) for name in callees):
        raise UsageError("`with` must be a list of files", where=where)
    read = {**case, "input": _read_reference(case.get("input"), folder)}
    read["actions"] = mocks.check_mocks(_read_reference(case.get("actions"), folder) or {}, where)
    read["results"] = mocks.check_mocks(case.get("results") or {}, f"{where}: results")
    read["start"] = _parse_start(case.get("start"), f"{where}: start")
    read["with"] = [read_json(str(folder / name)) for name in callees]
    return read


def _check_repairs(repairs: Any, where: str) -> None:
    from orchestrator.model.run import RepairKind

    _require_objects(repairs, REPAIR_KEYS, {"kind"}, where)
    for index, repair in enumerate(repairs or (), 1):
        _require_seconds(repair.get("at", 0), f"{where}: {index}")
        if repair["kind"] not in get_args(RepairKind):
            hint = f"use one of: {', '.join(get_args(RepairKind))}"
            raise UsageError(f"unknown kind {repair['kind']!r}", where=f"{where}: {index}", hint=hint)


def _check_expectations(expect: Mapping[str, Any], where: str) -> None:
    from orchestrator.simulator.expectations import EXPECT_KEYS, STEP_KEYS

    _require_known_keys(expect, EXPECT_KEYS, where)
    for key, kind in (("steps", "steps and their status"), ("calls", "actions and how often they are called")):
        if not isinstance(expect.get(key) or {}, Mapping):
            raise UsageError(f"`{key}` must be an object of {kind}", where=where)
    for step_id, wanted in (expect.get("steps") or {}).items():
        if isinstance(wanted, Mapping):
            _require_known_keys(wanted, STEP_KEYS, f"{where}: steps: {step_id}")
            _check_time(wanted, "at", f"{where}: steps: {step_id}")
            _check_time(wanted, "seconds", f"{where}: steps: {step_id}")
    for action, wanted in (expect.get("calls") or {}).items():
        if isinstance(wanted, bool) or not isinstance(wanted, int | list):
            message = "must be the number of its calls, or a list of their parameters"
            raise UsageError(message, where=f"{where}: calls: {action}")
    _check_time(expect, "seconds", where)


def _check_time(expect: Mapping[str, Any], key: str, where: str) -> None:
    """Raise UsageError unless a time is a number of seconds, or has bounds that are."""
    if key not in expect:
        return
    wanted = expect[key]
    if isinstance(wanted, Mapping):
        _require_known_keys(wanted, {"min", "max"}, f"{where}: {key}")
    for value in wanted.values() if isinstance(wanted, Mapping) else [wanted]:
        _require_seconds(value, where, key)


def _parse_start(value: Any, where: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise UsageError(f"{value!r} is not a time", where=where, hint="write 2026-03-01T08:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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


def _require_seconds(value: Any, where: str, key: str = "at") -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise UsageError(f"`{key}` must be a number of seconds, 0 or more", where=where)


def _require_known_keys(value: Mapping[Any, Any], known: Collection[str], where: str) -> None:
    from orchestrator.jsontools.suggestions import did_you_mean

    for key in value:
        if key not in known:
            hint = did_you_mean(str(key), known) or f"keys are {', '.join(sorted(known))}"
            raise UsageError(f"unknown key {key!r}", where=where, hint=hint)


def _read_reference(value: Any, folder: Path) -> Any:
    """Return a value, or the content of the file that it names as `@file`."""
    return read_value(str(folder / value[1:])) if isinstance(value, str) and value.startswith("@") else value


def plan_case(file: LoadedFile, case: Mapping[str, Any], known: "Registry") -> "tuple[Plan | None, list[str]]":
    """Return the plan of a definition with the mocks of a case, or its errors."""
    mocked = {*case["actions"], *_list_actions(file.value, case["results"])}
    verdict = check_definition(file, MockedRegistry(known, mocked), index_definitions(case["with"]))
    if verdict.plan is None:
        return None, [file.format_problem(problem) for problem in verdict.problems if problem.severity == "error"]
    return verdict.plan.model_copy(update={"step_log_limit": UNLIMITED}), []


def _list_actions(definition: Any, step_ids: Iterable[str]) -> Iterator[str]:
    """Yield the actions of the steps that have an answer of their own."""
    answered = {step_id.removesuffix("/compensate").rpartition("/")[2].partition("#")[0] for step_id in step_ids}
    nodes = definition.get("nodes") if isinstance(definition, Mapping) else None
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, Mapping) and node.get("id") in answered:
            for call in (node, node.get("compensate")):
                if isinstance(call, Mapping) and isinstance(call.get("action"), str):
                    yield call["action"]


def run_case(plan: "Plan", case: Mapping[str, Any], known: "Registry") -> "Trace":
    """Run a case; raises DefinitionInvalid where its input is not valid."""
    from orchestrator.simulator.effects import Simulation
    from orchestrator.simulator.simulate import EPOCH, trace_simulation

    simulation = Simulation(
        case["start"] or EPOCH,
        case["actions"],
        list(case.get("resolutions") or ()),
        cast("Catalogue", known),
        results=case["results"],
        repairs=case.get("repairs") or (),
    )
    return trace_simulation(
        plan, simulation, input=case["input"], trigger=case.get("trigger"), events=case.get("events") or ()
    )
