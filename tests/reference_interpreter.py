"""A second, slow implementation of control flow (docs/flow.md), to compare the real one with.

It reads the raw JSON and shares no code with the planner, the interpreter or the simulator. Branches
and concurrent iterations run one after the other.

It supports trigger, action (mocked), condition and switch on one variable, loop, parallel, delay,
wait (always times out), set with plain values or one variable, end; `when`, error edges, `on_error: skip`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.reference_graph import Graph, Scope


class FlowFailedError(Exception):
    """A step failed and nothing in its scope handled it."""

    def __init__(self, node_id: str) -> None:
        super().__init__(node_id)
        self.node_id = node_id


class StepLimitError(Exception):
    """More steps than `settings.max_steps`."""


@dataclass
class Outcome:
    """The result of a run."""

    status: str = "completed"
    output: Any = None
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Step id and status, in the order of starts."""
    variables: dict[str, Any] = field(default_factory=dict)
    limit_reached: bool = False


@dataclass
class View:
    """The variables of one scope, and which of them it has set."""

    values: dict[str, Any]
    named: dict[str, None] = field(default_factory=dict)

    def set(self, name: str, value: Any) -> None:
        """Set a variable."""
        self.values[name] = value
        self.named[name] = None

    def own(self) -> dict[str, Any]:
        """Return the variables that this scope has set."""
        return {name: self.values.get(name) for name in self.named}

    def beside(self) -> "View":
        """Return a copy for a concurrent scope."""
        return View(dict(self.values))


class Reference:
    """Runs a definition. `answers` has a list of outputs or `"fail"` per action; the last repeats."""

    def __init__(self, definition: Mapping[str, Any], answers: Mapping[str, list[Any]]) -> None:
        self.graph = Graph(definition)
        self.answers = answers
        self.calls: dict[str, int] = {}
        self.max_steps = (definition.get("settings") or {}).get("max_steps", 10_000_000)
        self.view = View(dict(definition.get("variables") or {}))
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Run the definition."""
        outcome = self.outcome
        try:
            closed = self.run_scope(None, "", self.view, [])
            outcome.output = closed["output"] if closed and "output" in closed else self.view.own()
        except FlowFailedError:
            outcome.status = "failed"
        except StepLimitError:
            outcome.status, outcome.limit_reached = "failed", True
        outcome.variables = self.view.values
        return outcome

    def run_scope(self, scope: Scope, path: str, view: View, left: list[str]) -> dict[str, Any] | None:
        """Run a scope to its end and return what closed it; nodes reached outside go to `left`."""
        graph = self.graph
        ranks = {node_id: rank for rank, node_id in enumerate(graph.rank_nodes(scope))}
        active = {node_id for node_id in graph.entries(scope) if node_id in ranks}
        left += [node_id for node_id in graph.entries(scope) if node_id not in ranks]
        visits: dict[str, int] = {}
        while active:
            node_id = min(active, key=ranks.__getitem__)
            active.remove(node_id)
            visits[node_id] = visits.get(node_id, 0) + 1
            name = node_id if visits[node_id] == 1 else f"{node_id}#{visits[node_id]}"
            port, inner = self.run_node(node_id, f"{path}/{name}" if path else name, view)
            if isinstance(port, dict):
                if port.get("outcome") == "failed":
                    raise FlowFailedError(node_id)
                return port
            own = [t for t in graph.targets[node_id].get(port, []) if not graph.ends_path(node_id, t)]
            for target in own + (inner if port == "next" else []):
                if target in ranks:
                    active.add(target)
                else:
                    left.append(target)
        return None

    def run_node(self, node_id: str, step_id: str, view: View) -> tuple[Any, list[str]]:
        """Run a node; return its port, or what closes the scope, and the outer nodes that were reached."""
        node = self.graph.nodes[node_id]
        if len(self.outcome.steps) >= self.max_steps:
            raise StepLimitError
        place = len(self.outcome.steps)
        self.outcome.steps.append((step_id, "completed"))
        if node.get("when") and not holds(node["when"], view):
            self.outcome.steps[place] = (step_id, "skipped")
            return "next", []
        try:
            return self.do(node, step_id, view)
        except FlowFailedError:
            self.outcome.steps[place] = (step_id, "failed")
            if node.get("on_error") == "skip":
                self.outcome.steps[place] = (step_id, "skipped")
                return "next", []
            if "error" in self.graph.targets[node_id]:
                return "error", []
            raise

    def do(self, node: Mapping[str, Any], step_id: str, view: View) -> tuple[Any, list[str]]:
        """Execute a node."""
        config = node.get("config") or {}
        match node["type"]:
            case "action":
                self.act(node, view)
                return "next", []
            case "condition":
                return ("true" if holds(node["condition"], view) else "false"), []
            case "switch":
                value = read(config["value"], view)
                return next((port for port, case in config["cases"].items() if case is value), "default"), []
            case "set":
                values = {name: read(value, view) for name, value in config.items()}
                for name, value in values.items():
                    view.set(name, value)
                return "next", []
            case "loop":
                return "next", self.loop(node, config, step_id, view)
            case "parallel":
                return "next", self.parallel(node, config, step_id, view)
            case "wait":
                return "timeout", []
            case "end":
                return config or "nowhere", []
            case _:
                return "next", []

    def act(self, node: Mapping[str, Any], view: View) -> None:
        """Apply the next answer of an action."""
        answers = self.answers[node["action"]]
        call = self.calls.get(node["action"], 0)
        self.calls[node["action"]] = call + 1
        answer = answers[min(call, len(answers) - 1)]
        if answer == "fail":
            raise FlowFailedError(node["id"])
        for name in node.get("outputs") or []:
            view.set(name, answer[name])

    def loop(self, node: Mapping[str, Any], config: Mapping[str, Any], step_id: str, view: View) -> list[str]:
        """Run the body for each item; concurrent iterations get a copy of the variables."""
        name = node.get("item_variable") or "item"
        hidden = {key: view.values[key] for key in (name, f"{name}_index") if key in view.values}
        beside = config.get("max_concurrency", 1) > 1
        views = []
        left: list[str] = []
        items = node["collection"]
        try:
            for index, item in enumerate(range(items) if isinstance(items, int) else items):
                inner = view.beside() if beside else view
                views.append(inner)
                inner.values.update({name: item, f"{name}_index": index})
                try:
                    self.run_inside((node["id"], "body"), f"{step_id}[{index}]", inner, left)
                except FlowFailedError:
                    if config.get("on_item_error") != "continue":
                        raise
                    continue
                if config.get("break_when") and holds(config["break_when"], inner):
                    break
        finally:
            for key in (name, f"{name}_index"):
                view.values.pop(key, None)
            view.values.update(hidden)
        if beside:
            for inner in views:
                for key, value in inner.own().items():
                    view.set(key, value)
        return left

    def run_inside(self, scope: Scope, path: str, view: View, left: list[str]) -> None:
        """Run one iteration or branch."""
        if scope in self.graph.regions:
            self.run_scope(scope, path, view, left)

    def parallel(self, node: Mapping[str, Any], config: Mapping[str, Any], step_id: str, view: View) -> list[str]:
        """Run the branches in turn, each from the initial variables."""
        views: list[View] = []
        left: list[str] = []
        failed: FlowFailedError | None = None
        start = view.beside()
        for index, scope in enumerate(self.graph.inside(node["id"])):
            inner = start.beside()
            views.append(inner)
            try:
                self.run_inside(scope, f"{step_id}[{index}]", inner, left)
            except FlowFailedError as failure:
                failed = failed or failure
        if failed and config.get("on_branch_error") != "ignore":
            raise failed
        for inner in views:
            for name, value in inner.own().items():
                view.set(name, value)
        return left


def holds(condition: Mapping[str, Any], view: View) -> bool:
    """Decide `{field: variable, value: …}`; in JSON, unlike Python, 0 is not false."""
    seen, value = view.values.get(condition["field"]), condition["value"]
    return bool(seen == value) and isinstance(seen, bool) == isinstance(value, bool)


def read(value: Any, view: View) -> Any:
    """Evaluate a plain value or `{{ variable }}`."""
    if isinstance(value, str) and value.startswith("{{ "):
        return view.values.get(value[3:-3])
    return value


def run_reference(definition: Mapping[str, Any], answers: Mapping[str, list[Any]]) -> Outcome:
    """Run a definition with the reference interpreter."""
    return Reference(definition, answers).run()
