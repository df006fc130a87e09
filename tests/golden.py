"""Golden cases: small definitions and the expected results of their runs, on the simulator and on Temporal.

A file in `tests/cases` is a list of cases. A case is called `<pattern>: <name>`: `pattern` is a workflow pattern
(workflowpatterns.com) or the subject, `name` is a sentence. Beside these it holds:

    nodes       {id: action name | node of SPEC §1 without its id}
    edges       ["a -> b", "check -true-> c"]: the port is written in the arrow; several targets: "a -> b, c"
    variables, settings, trigger        as in SPEC §1; the default trigger is manual
    definition_file                     instead of all these: a definition, relative to the project
    input       of the run; `input_file` for a file
    actions     mocks in the form of SPEC §11; `actions_file` for a file.
                An action without a mock returns {"node": <node id>}.
    workflows   {id: {nodes, edges, variables, settings}}: what `workflow` nodes call;
                `workflow_files` {id: file} for definitions in files
    events      [{at: seconds since the start, name, payload, key}]: sent to the run
    resolutions [{node_id, action, value | parameters | target}]: resolutions by an operator, each as soon
                as that node waits
    repairs     [{at, kind, step_id | node_id | path, …}]: what an operator changes in the run; on Temporal it
                is asked for again until it is accepted
    batch       iterations of one batch where the loops of the case are spread over child workflows (2)
    move        {at, nodes, edges, variables, settings, map}: another version, to which the run moves at that time in
                seconds, on Temporal once it waits; `map` has new node ids by old ones
    temporal    false: simulator only. time_skipping: true: needs a server that skips time (long delays)
    why         the reason a case exists, where the name does not say it

and `expect`, where only the keys that are present are checked:

    refused     codes of the errors that reject the definition; nothing else is checked
    status      of the run (default: completed)
    output      of the run
    error_type, error_node, message     of `failure`; message is a part of it
    order       ids of all steps but compensations, checked scope by scope: branches may interleave
    steps       {step id: status | {status, output, input, error, error_type, retry_count,
                warnings (how many), port (of the decision)}}
    absent      ids of nodes that never ran
    variables   some of the variables at the end
    compensated node ids, in the order their compensations ran
    interventions   what operators have done, each as [kind, step id or node id]
    version     of the definition that the run has at the end; that of `move` is 2
    seconds     virtual time the run took (simulator: exactly; Temporal: at least)
    at_most     virtual seconds at most (simulator)

Dictionaries under `output`, `input` and `error` of a step are compared by the keys that the case names;
everything else must be equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from orchestrator.jsontools.documents import parse_document
from orchestrator.model.plan import Plan
from orchestrator.planner.planner import check

ROOT = Path(__file__).parent.parent
CASES = ROOT / "tests" / "cases"
DEFAULT_MOCK = {"output": {"node": "{{ node_id }}"}}
EXPECT_KEYS = frozenset(
    (
        *("refused", "status", "output", "error_type", "error_node", "message", "order", "steps", "absent"),
        *("variables", "compensated", "interventions", "version", "seconds", "at_most"),
    )
)
CASE_KEYS = frozenset(
    (
        *("name", "pattern", "why", "nodes", "edges", "variables", "settings", "trigger", "definition_file"),
        *("input", "input_file", "actions", "actions_file", "workflows", "workflow_files", "events"),
        *("resolutions", "repairs", "move", "batch", "temporal", "time_skipping", "expect"),
    )
)


@dataclass(frozen=True, slots=True)
class Case:
    """A definition, what happens to its run, and the expected result."""

    name: str
    definition: dict[str, Any]
    actions: dict[str, Any]
    expect: dict[str, Any]
    input: Any = None
    workflows: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    resolutions: list[dict[str, Any]] = field(default_factory=list)
    repairs: list[dict[str, Any]] = field(default_factory=list)
    move: dict[str, Any] | None = None
    """`{at, definition, map}`"""
    temporal: bool = True
    time_skipping: bool = False
    batch: int = 2
    is_spread: bool = False
    """Its concurrent loops run in batches of `batch`, instead of hundreds."""

    def plan(self, **changes: Any) -> Plan:
        """Return the plan of the definition, with its loops in batches where it is spread."""
        plan = check({**self.definition, **changes}, workflows=self.workflows).require()
        return limit_batches(plan, self.batch) if self.is_spread else plan


@cache
def load_cases(pattern: str = "*.yaml") -> tuple[Case, ...]:
    """Read all cases in order of file and position."""
    return tuple(
        read_case(raw, f"{path.stem}-{place}")
        for path in sorted(CASES.glob(pattern))
        for place, raw in enumerate(yaml.safe_load(path.read_text()))
    )


def read_case(raw: Mapping[str, Any], key: str) -> Case:
    """Expand one case from its short form."""
    unknown = (raw.keys() - CASE_KEYS) | (raw["expect"].keys() - EXPECT_KEYS)
    if unknown:
        raise ValueError(f"{raw['name']}: unknown keys {sorted(unknown)}")
    definition = read_definition(raw, key, raw["name"])
    workflows = {
        **{name: read_definition(part, name, name) for name, part in raw.get("workflows", {}).items()},
        **{name: load_file(file) for name, file in raw.get("workflow_files", {}).items()},
    }
    mocks = load_file(raw["actions_file"]) if "actions_file" in raw else dict(raw.get("actions", {}))
    move = _read_move(raw, key)
    for part in (definition, *workflows.values(), *([move["definition"]] if move else [])):
        for name in list_actions(part):
            mocks.setdefault(name, DEFAULT_MOCK)
    return Case(
        name=f"{raw['pattern']}: {raw['name']}",
        definition=definition,
        actions=mocks,
        expect=dict(raw["expect"]),
        input=load_file(raw["input_file"]) if "input_file" in raw else raw.get("input"),
        workflows=workflows,
        events=raw.get("events", []),
        resolutions=raw.get("resolutions", []),
        repairs=raw.get("repairs", []),
        move=move,
        temporal=raw.get("temporal", True),
        time_skipping=raw.get("time_skipping", False),
        batch=raw.get("batch", 2),
    )


def limit_batches(plan: Plan, size: int) -> Plan:
    """Return a plan whose wide loops have batches of that many iterations."""
    return Plan.model_validate(_limit_parts(plan.to_json(), size))


def _limit_parts(part: Any, size: int) -> Any:
    """Return a part of a plan, as JSON, with batches of that size."""
    if isinstance(part, list):
        return [_limit_parts(each, size) for each in part]
    if not isinstance(part, dict):
        return part
    limited = {name: _limit_parts(value, size) for name, value in part.items()}
    return {**limited, "spread": {**limited["spread"], "size": size}} if limited.get("spread") else limited


def spread_loops(case: Case) -> Case | None:
    """Return a case whose concurrent loops run in batches, which must change nothing; `None` without any."""
    loops = [node for node in case.definition["nodes"] if node["type"] == "loop"]
    if "refused" in case.expect or all((node.get("config") or {}).get("max_concurrency", 1) == 1 for node in loops):
        return None
    return replace(case, name=f"{case.name} (batches)", is_spread=True)


def _read_move(raw: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    if "move" not in raw:
        return None
    move = raw["move"]
    definition = read_definition({**raw, **move}, key, raw["name"]) | {"version": 2}
    return {"at": move.get("at", 0), "definition": definition, "map": move.get("map", {})}


def inline_branches(case: Case) -> Case | None:
    """Return a case with the branches of its parallels inline, which must not change anything; `None` without any."""
    nodes = case.definition["nodes"]
    if not any(node["type"] == "parallel" and _read_mode(node) != "inline" for node in nodes):
        return None
    inlined = [
        {**node, "config": {**(node.get("config") or {}), "mode": "inline"}} if node["type"] == "parallel" else node
        for node in nodes
    ]
    return replace(case, name=f"{case.name} (inline)", definition={**case.definition, "nodes": inlined})


def fuse_actions(case: Case) -> Case | None:
    """Return a case whose actions are local and fused, which must not change anything; `None` without any."""
    if not list_actions(case.definition):
        return None
    settings = {**(case.definition.get("settings") or {}), "execution": "local"}
    workflows = {
        name: {**part, "settings": {**(part.get("settings") or {}), "execution": "local"}}
        for name, part in case.workflows.items()
    }
    definition = {**case.definition, "settings": settings}
    return replace(case, name=f"{case.name} (fused)", definition=definition, workflows=workflows)


def _read_mode(node: Mapping[str, Any]) -> str:
    return str((node.get("config") or {}).get("mode", "child"))


def load_file(name: str) -> Any:
    """Read a JSON or YAML file of the project."""
    return parse_document((ROOT / name).read_text(), name).value


def read_definition(raw: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    """Expand the short form of a case into a definition."""
    if "definition_file" in raw:
        return dict(load_file(raw["definition_file"]))
    nodes = [
        {"id": node_id, "type": "action", "action": node}
        if isinstance(node, str)
        else {"id": node_id, "name": node_id, **node}
        for node_id, node in raw["nodes"].items()
    ]
    edges = [edge for line in raw.get("edges", []) for edge in read_edges(line)]
    return {
        "id": key,
        "name": name,
        "customer_id": "golden",
        "trigger": raw.get("trigger", {"type": "manual"}),
        "variables": raw.get("variables", {}),
        "settings": raw.get("settings", {}),
        "nodes": nodes,
        "edges": [{"id": f"e{place}", **edge} for place, edge in enumerate(edges, 1)],
    }


def read_edges(line: str) -> list[dict[str, Any]]:
    """Read `a -> b, c` or `a -port-> b`."""
    left, targets = line.split("->")
    source, _, port = left.strip().partition(" -")
    return [
        {"source": source.strip(), "target": target.strip(), "condition": port.strip() or None}
        for target in targets.split(",")
    ]


def list_actions(definition: Mapping[str, Any]) -> list[str]:
    """Return the names of the actions that a definition calls."""
    calls = [definition.get("settings", {}).get("notify")]
    for node in definition["nodes"]:
        calls += [node, node.get("compensate")]
    return [call["action"] for call in calls if call and call.get("action")]


def list_differences(case: Case, run: Mapping[str, Any], *, virtual: bool) -> list[str]:
    """Return where a run document (as JSON) differs from the case; `virtual` compares times exactly."""
    expect = case.expect
    found: list[str] = []

    def compare(what: str, wanted: Any, got: Any) -> None:
        if wanted != got:
            found.append(f"{what}: expected {wanted!r}, got {got!r}")

    steps = {step["id"]: step for step in run["steps"]}
    compare("status", expect.get("status", "completed"), run["status"])
    if "output" in expect:
        compare("output", expect["output"], run["output"])
    failure = run.get("failure") or {}
    for key, name in (("error_type", "error_type"), ("error_node", "node_id")):
        if key in expect:
            compare(key, expect[key], failure.get(name))
    if "message" in expect and expect["message"] not in (failure.get("message") or ""):
        found.append(f"message: {expect['message']!r} is not in {failure.get('message')!r}")
    found += list_order_differences(case, run)
    for step_id, wanted in expect.get("steps", {}).items():
        if step_id not in steps:
            found.append(f"no step {step_id!r} in {list(steps)}")
        else:
            found += list_step_differences(step_id, wanted, steps[step_id])
    if "interventions" in expect:
        done = [[each["kind"], each["step_id"] or each["node_id"]] for each in run["interventions"]]
        compare("interventions", expect["interventions"], done)
    if "version" in expect:
        compare("version", expect["version"], run["workflow_version"])
    ran = {step["node_id"] for step in run["steps"]}
    found += [f"{node_id!r} ran" for node_id in expect.get("absent", []) if node_id in ran]
    for name, value in expect.get("variables", {}).items():
        compare(f"variable {name}", value, run["context"].get(name))
    return found + list_time_differences(expect, run, virtual=virtual)


def list_order_differences(case: Case, run: Mapping[str, Any]) -> list[str]:
    """Compare the order of steps, scope by scope, and of compensations."""
    expect = case.expect
    found = []
    normal = [step for step in run["steps"] if not is_compensation(step)]
    if "order" in expect:
        wanted, got = group_by_scope(expect["order"]), group_by_scope([step["id"] for step in normal])
        found += [
            f"order in {scope or 'the run'}: expected {wanted.get(scope)}, got {got.get(scope)}"
            for scope in {**wanted, **got}
            if wanted.get(scope) != got.get(scope)
        ]
    if "compensated" in expect:
        undone = [step["node_id"] for step in run["steps"] if is_compensation(step)]
        if undone != expect["compensated"]:
            found.append(f"compensated: expected {expect['compensated']}, got {undone}")
    return found


def is_compensation(step: Mapping[str, Any]) -> bool:
    """Return whether a step is a compensation: `<step>/compensate` outside an iteration or branch."""
    parent, _, name = str(step["id"]).rpartition("/")
    return name == "compensate" and parent != "" and not parent.endswith("]")


def group_by_scope(step_ids: list[str]) -> dict[str, list[str]]:
    """Group step ids by their iteration or branch."""
    groups: dict[str, list[str]] = {}
    for step_id in step_ids:
        groups.setdefault(step_id.rpartition("/")[0], []).append(step_id)
    return groups


def list_step_differences(step_id: str, wanted: Any, step: Mapping[str, Any]) -> list[str]:
    """Compare one step with its expectation."""
    wanted = {"status": wanted} if isinstance(wanted, str) else wanted
    got = {
        "status": step["status"],
        "output": step["output_data"],
        "input": step["input_data"],
        "error": step["error"],
        "error_type": (step["error"] or {}).get("error_type"),
        "retry_count": step["retry_count"],
        "warnings": len(step["warnings"]),
        "port": (step["decision"] or {}).get("port"),
    }
    return [
        f"step {step_id}, {key}: expected {value!r}, got {got[key]!r}"
        for key, value in wanted.items()
        if not (contains(got[key], value) if key in ("output", "input", "error") else got[key] == value)
    ]


def contains(got: Any, wanted: Any) -> bool:
    """Compare dictionaries by the expected keys, everything else by equality."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return all(key in got and contains(got[key], value) for key, value in wanted.items())
    return bool(got == wanted)


def list_time_differences(expect: Mapping[str, Any], run: Mapping[str, Any], *, virtual: bool) -> list[str]:
    """Compare how long the run took."""
    took = (run["duration_ms"] or 0) / 1000
    found = []
    if "seconds" in expect and (took != expect["seconds"] if virtual else took < expect["seconds"] * 0.98):
        found.append(f"took {took} s, expected {expect['seconds']} s")
    if virtual and took > expect.get("at_most", took):
        found.append(f"took {took} s, expected at most {expect['at_most']} s")
    return found
