"""Nodes that need nothing from outside and end at once. Replay-sensitive."""

from dataclasses import dataclass
from typing import Any

from orchestrator.errors import EvaluationError, StepFailed
from orchestrator.interpreter.compiled import Compiled
from orchestrator.interpreter.step_record import Step
from orchestrator.interpreter.variables import Data
from orchestrator.jsontools.json_types import describe_type
from orchestrator.jsontools.text import shorten
from orchestrator.language import Env
from orchestrator.language.values import json_equal, to_text
from orchestrator.model.plan import Case, Condition, End, Set, Start, Switch
from orchestrator.model.run import RESERVED_NAMES

Pure = Start | Condition | Switch | Set | End
PURE = (Start, Condition, Switch, Set, End)


@dataclass(frozen=True, slots=True)
class Exit:
    """A node was left by a port."""

    port: str
    reached: tuple[str, ...] = ()
    """Nodes outside the scopes that the node owns which their paths have reached, in order."""


NEXT = Exit("next")


@dataclass(frozen=True, slots=True)
class Closed:
    """A scope was closed by an `end`."""

    node_id: str
    output: Any
    has_output: bool
    failed: bool = False
    message: str = ""

    def to_failure(self) -> StepFailed:
        """Return the failure of an `end` with outcome `failed`."""
        return StepFailed(self.message, recoverable=False, node_id=self.node_id)


def raise_if_failed(closed: Closed | None) -> None:
    """Raise StepFailed when an `end` with outcome failed closed the scope."""
    if closed is not None and closed.failed:
        raise closed.to_failure()


def select_output(closed: Closed | None, variables: dict[str, Any]) -> Any:
    """Return a scope's output: that of its closing `end`, else the variables it set."""
    return closed.output if closed is not None and closed.has_output else variables


def run_pure(node: Pure, step: Step, data: Data, env: Env, compiled: Compiled) -> Exit | Closed | None:
    """Run a node: return how it was left, what closed the scope, or `None` where the path ends."""
    match node:
        case Condition():
            holds, seen = compiled.condition(node.condition).decide(env)
            port = "true" if holds else "false"
            step.output = {"branch": holds}
            step.decision = (seen, port)
            return Exit(port)
        case Set():
            step.output = _set(node, data, env, compiled)
            return NEXT
        case Switch():
            return _switch(node, step, env, compiled)
        case Start():
            return NEXT
        case End():
            return _end(node, env, compiled)


def _set(node: Set, data: Data, env: Env, compiled: Compiled) -> dict[str, Any]:
    """Set the variables; their values are all computed before the first one is set."""
    values: dict[str, Any] = {}
    for key, value in compiled.render_entries(node.values, env):
        name = _require_name(key, node, env)
        if name in values:
            raise EvaluationError(f"two keys of the set node are both {name!r:.60}")
        values[name] = value
    for name, value in values.items():
        data.set(name, value)
    return values


def _require_name(key: Any, node: Set, env: Env) -> str:
    """Return a key as the name of a variable; raises EvaluationError for one that no variable may have."""
    if key in (None, "") or isinstance(key, list | dict):
        kind = "empty text" if key == "" else describe_type(key)
        raise EvaluationError(f"a key of the set node is {kind}, not the name of a variable")
    name = to_text(key, env.spend)
    if name in RESERVED_NAMES or name in node.loop_variables:
        owner = "the loop around it" if name in node.loop_variables else "the run itself"
        raise EvaluationError(f"the set node cannot set {name!r}: that name belongs to {owner}")
    return name


def _switch(node: Switch, step: Step, env: Env, compiled: Compiled) -> Exit:
    value = compiled.render(node.value, env)
    port = next((case.port for case in node.cases if _matches(case, value, env, compiled)), "default")
    step.output = {"case": port}
    step.decision = {"value": _summarize(value), "port": port}
    return Exit(port)


def _matches(case: Case, value: Any, env: Env, compiled: Compiled) -> bool:
    if case.condition is not None:
        return compiled.condition(case.condition).test(env)
    return json_equal(value, compiled.render_part(case.value, env), env.spend)


def _summarize(value: Any) -> Any:
    """Return a value for a decision: 1 kB at most."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return shorten(value, 1000)
        case list():
            return f"list of {len(value)}"
        case dict():
            return f"object of {len(value)}"
        case _:
            return str(value)[:1000]


def _end(node: End, env: Env, compiled: Compiled) -> Closed | None:
    if not node.closes:
        return None
    output = compiled.render(node.output, env) if node.has_output else None
    if node.outcome == "completed":
        return Closed(node.id, output, node.has_output)
    message = compiled.render(node.message, env)
    text = str(message) if message not in (None, "") else f"{node.title} ended the flow as failed"
    return Closed(node.id, output, node.has_output, failed=True, message=text)
