"""The nodes that need nothing from outside: each decides at once. Replay-sensitive."""

from dataclasses import dataclass
from typing import Any

from orchestrator.errors import StepFailed
from orchestrator.interpreter.compiled import Compiled
from orchestrator.interpreter.frames import Step
from orchestrator.interpreter.variables import Data
from orchestrator.jsontools.text import shorten
from orchestrator.language import Env
from orchestrator.language.condition_reader import json_equal
from orchestrator.model.plan import Case, Condition, End, Set, Start, Switch

Pure = Start | Condition | Switch | Set | End
PURE = (Start, Condition, Switch, Set, End)


@dataclass(frozen=True, slots=True)
class Closed:
    """A scope was closed by an `end`."""

    node_id: str
    output: Any
    has_output: bool
    failed: bool = False
    message: str = ""


def run_pure(node: Pure, step: Step, data: Data, env: Env, compiled: Compiled) -> str | Closed | None:
    """Run a node of these kinds: the port to leave by, what closed the scope, or `None` where the path ends."""
    match node:
        case Condition():
            holds, seen = compiled.condition(node.condition).decide(env)
            port = "true" if holds else "false"
            step.output = {"branch": holds}
            step.decision = (seen, port)
            return port
        case Set():
            values = compiled.render(node.values, env)
            for name, value in values.items():
                data.set(name, value)
            step.output = values
            return "next"
        case Switch():
            return _switch(node, step, env, compiled)
        case Start():
            return "next"
        case End():
            return _end(node, env, compiled)


def _switch(node: Switch, step: Step, env: Env, compiled: Compiled) -> str:
    value = compiled.render(node.value, env)
    port = next((case.port for case in node.cases if _fits(case, value, env, compiled)), "default")
    step.output = {"case": port}
    step.decision = {"value": _shortened(value), "port": port}
    return port


def _fits(case: Case, value: Any, env: Env, compiled: Compiled) -> bool:
    if case.condition is not None:
        return compiled.condition(case.condition).evaluate(env)
    return json_equal(value, compiled.render(case.value, env))


def _shortened(value: Any) -> Any:
    """Keep a decision small: 1 kB at most."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return shorten(value, 1000)
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, list | dict) else str(value)[:1000]


def _end(node: End, env: Env, compiled: Compiled) -> Closed | None:
    if not node.closes:
        return None
    output = compiled.render(node.output, env) if node.has_output else None
    if node.outcome == "completed":
        return Closed(node.id, output, node.has_output)
    message = compiled.render(node.message, env)
    text = str(message) if message not in (None, "") else f"ended as failed at {node.title}"
    return Closed(node.id, output, node.has_output, failed=True, message=text)


def failure_from_end(closed: Closed) -> StepFailed:
    """Give the failure that an `end` with outcome failed stands for."""
    return StepFailed(closed.message, recoverable=False, node_id=closed.node_id)
