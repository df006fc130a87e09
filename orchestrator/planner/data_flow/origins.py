"""Say where a value from outside comes from: the path from its source to where it is used."""

from collections.abc import Iterator
from typing import Any, assert_never

from orchestrator.errors import TemplateSyntaxError
from orchestrator.language import compile_template
from orchestrator.language import walk as walk_texts
from orchestrator.language.nodes import Binary, Call, Index, List, Literal, Node, Object, Path, Piped, Unary
from orchestrator.planner.data_flow.expressions import Inference
from orchestrator.planner.data_flow.flow import Flow
from orchestrator.planner.data_flow.places import find_state
from orchestrator.planner.data_flow.types import State, holds_outside

MAX_STEPS = 5
"""Variables between a source and its use that are named."""


def explain_origin(node: Node, flow: Flow, state: State) -> str:
    """Return the path of a value: `trigger.body.url` → `target` (set by `pick`)."""
    return " → ".join(_Search(flow).find(node, state)) or "another path leads here"


class _Search:
    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.seen: set[str] = set()

    def find(self, node: Node, state: State) -> list[str]:
        """Return the way from the source to an expression; nothing where there is none."""
        inference = Inference(state, self.flow.fixed)
        for path in _list_paths(node):
            if holds_outside(inference.infer(path)):
                found = self._find_path(path)
                if found:
                    return found
        return []

    def _find_path(self, path: Path) -> list[str]:
        name = _write_path(path)
        if name in self.seen or len(self.seen) > MAX_STEPS:
            return []
        self.seen.add(name)
        if path.root == "trigger":
            return [f"`{name}`"]
        if path.root == "steps":
            return self._find_step(path, name)
        for number, node in enumerate(self.flow.nodes):
            shown = f"`{path.root}` (set by `{node.id}`)"
            if node.type == "set" and path.root in node.config:
                before = self._find_in(number, "/config", node.config[path.root])
                if before:
                    return [*before, shown]
            elif path.root in node.outputs and holds_outside(self.flow.infer_output(node)):
                return [f"the result of `{node.id}`", f"`{path.root}`"]
            elif node.type == "loop" and path.root == (node.item_variable or "item"):
                before = self._find_in(number, "/collection", node.collection)
                if before:
                    return [*before, f"`{path.root}` of the loop `{node.id}`"]
        return []

    def _find_step(self, path: Path, name: str) -> list[str]:
        number = self.flow.regions.graph.index.get(str(path.parts[0])) if path.parts else None
        if number is None:
            return []
        node = self.flow.nodes[number]
        if holds_outside(self.flow.infer_output(node)):
            return [f"`{name}`"]
        place, value = (
            ("/config", node.config) if node.type == "set" else ("/config/collect", node.config.get("collect"))
        )
        before = self._find_in(number, place, value)
        return [*before, f"`{name}`"] if before else []

    def _find_in(self, number: int, place: str, value: Any) -> list[str]:
        """Return the way to a value of a node that may hold templates."""
        state = find_state(self.flow, number, place)
        try:
            templates = [compile_template(text) for _, text in walk_texts(value, "") if "{{" in text]
        except TemplateSyntaxError:
            return []
        found = (self.find(node, state) for template in templates for node in template.expressions)
        return next(filter(None, found), [])


def _list_paths(node: Node) -> Iterator[Path]:
    """Yield the paths that an expression reads."""
    match node:
        case Path():
            yield node
        case Literal():
            return
        case List(items=parts) | Call(arguments=parts):
            for part in parts:
                yield from _list_paths(part)
        case Object(entries=entries):
            for _, part in entries:
                yield from _list_paths(part)
        case Index(subject=subject):
            yield from _list_paths(subject)
        case Piped(subject=subject, arguments=arguments):
            for part in (subject, *arguments):
                yield from _list_paths(part)
        case Binary(left=left, right=right):
            yield from _list_paths(left)
            yield from _list_paths(right)
        case Unary(operand=operand):
            yield from _list_paths(operand)
        case _:
            assert_never(node)


def _write_path(path: Path) -> str:
    name = path.root
    for part in path.parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}"
    return name
