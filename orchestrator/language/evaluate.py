"""Compile nodes from the parser into closures, so that each evaluation is cheap. Replay-sensitive."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, assert_never

from orchestrator.errors import EvaluationError
from orchestrator.jsontools.json_types import describe_type
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.language.costs import (
    CHARACTER,
    FUNCTION_COSTS,
    LITERAL_ITEM,
    NESTED_ITEM,
    PATH,
    PIPE_COSTS,
    RESULT_ITEM,
)
from orchestrator.language.env import Env
from orchestrator.language.functions import FUNCTIONS
from orchestrator.language.lexer import locate
from orchestrator.language.nodes import Call, List, Literal, Node, Object, Path, Piped
from orchestrator.language.pipes import PIPES
from orchestrator.language.values import MISSING, CannotTake, get_child

Evaluate = Callable[[Env], Any]


def compile_node(node: Node, source: str) -> Evaluate:
    """Return a function that evaluates a node."""
    match node:
        case Literal(value):
            return lambda env: value
        case List():
            return _compile_list(node, source)
        case Object():
            return _compile_object(node, source)
        case Path():
            return _compile_path(node, source)
        case Call():
            return _compile_call(node, source)
        case Piped():
            return _compile_pipe(node, source)
        case _:
            assert_never(node)


def measure_cost(node: Node) -> int:
    """Return what a node costs each time, whatever its data."""
    match node:
        case Literal():
            return 0
        case Path(parts=parts):
            return PATH * (1 + len(parts))
        case List(items=items):
            return sum(LITERAL_ITEM + measure_cost(item) for item in items)
        case Object(entries=entries):
            return sum(LITERAL_ITEM + measure_cost(item) for _, item in entries)
        case Call(name=name, arguments=arguments):
            return FUNCTION_COSTS[name] + sum(map(measure_cost, arguments))
        case Piped(subject=subject, name=name, arguments=arguments):
            return PIPE_COSTS[name].call + measure_cost(subject) + sum(map(measure_cost, arguments))
        case _:
            assert_never(node)


def _compile_list(node: List, source: str) -> Evaluate:
    items = tuple(compile_node(item, source) for item in node.items)
    return lambda env: [item(env) for item in items]


def _compile_object(node: Object, source: str) -> Evaluate:
    entries = tuple((key, compile_node(item, source)) for key, item in node.entries)
    return lambda env: {key: item(env) for key, item in entries}


def compile_lookup(node: Path) -> Evaluate:
    """Return a function that returns the value at a path, or `MISSING`."""
    root, parts = node.root, node.parts

    def find(env: Env) -> Any:
        value = env.context.get(root, MISSING)
        for part in parts:
            value = get_child(value, part)
            if value is MISSING:
                return MISSING
        return value

    return find


def _compile_path(node: Path, source: str) -> Evaluate:
    find = compile_lookup(node)
    root, optional, secret = node.root, node.optional, node.root == "secrets"
    plain_root = not node.parts

    def get(env: Env) -> Any:
        value = env.context.get(root, MISSING) if plain_root else find(env)
        if value is MISSING:
            if secret or (env.strict and not optional):
                raise describe_missing(node, source, env)
            return None
        return value

    if root == "steps" and plain_root:
        return _copy_steps(get)
    if len(node.parts) == 1 and isinstance(node.parts[0], str) and not secret:
        return _compile_member(node, root, node.parts[0], get)
    return get


def _copy_steps(get: Evaluate) -> Evaluate:
    """Return a snapshot of `steps`, the one container that a run changes in place."""

    def snapshot(env: Env) -> Any:
        steps = get(env)
        if not isinstance(steps, dict):
            return steps
        env.spend(NESTED_ITEM * len(steps))
        return dict(steps)

    return snapshot


def _compile_member(node: Path, root: str, key: str, general: Evaluate) -> Evaluate:
    """Evaluate `a.b`, the most common path, with two lookups."""

    def get(env: Env) -> Any:
        holder = env.context.get(root)
        if type(holder) is dict and key in holder:
            return holder[key]
        return general(env)

    return get


def describe_missing(node: Path, source: str, env: Env) -> EvaluationError:
    """Return the error for a missing path, with the closest name as its hint."""
    line, column = locate(source, node.offset)
    if node.root == "secrets":
        if "secrets" not in env.context:
            text = "secrets can be used in the parameters of actions only"
        else:
            text = describe_no_secret(".".join(map(str, node.parts)))
        return EvaluationError(text, source=source, line=line, column=column)
    value: Any = env.context
    prefix = ""
    for part in (node.root, *node.parts):
        below = get_child(value, part)
        if below is MISSING:
            keys = [str(key) for key in value] if isinstance(value, dict) else []
            hint = did_you_mean(part, keys, prefix) or "mark it with `?` if it is optional"
            name = f"{prefix}{part}"
            return EvaluationError(f"`{name}` is missing", source=source, line=line, column=column, hint=hint)
        value, prefix = below, f"{prefix}{part}."
    return EvaluationError("the path is missing", source=source, line=line, column=column)


def describe_no_secret(name: str) -> str:
    """Return the message for a secret that does not exist or is another customer's: the same, so it reveals neither."""
    return f"there is no secret {name!r:.60}"


def _compile_call(node: Call, source: str) -> Evaluate:
    function = FUNCTIONS[node.name].call
    arguments = tuple(compile_node(argument, source) for argument in node.arguments)

    def call(env: Env) -> Any:
        try:
            return function(env, *[argument(env) for argument in arguments])
        except EvaluationError as error:
            raise _locate_error(error, node.offset, source) from None

    return call


def _compile_pipe(node: Piped, source: str) -> Evaluate:
    subject_node = node.subject
    if node.name == "default":
        subject_node = _mark_optional(subject_node)
    subject = compile_node(subject_node, source)
    name, pipe, cost = node.name, PIPES[node.name].call, PIPE_COSTS[node.name]
    arguments = tuple(compile_node(argument, source) for argument in node.arguments)

    def apply(env: Env) -> Any:
        value = subject(env)
        if cost.character and isinstance(value, str):
            env.spend(cost.character * len(value))
        elif cost.item and isinstance(value, list | dict):
            env.spend(cost.item * len(value))
        try:
            result = pipe(env, value, *[argument(env) for argument in arguments])
        except CannotTake as refusal:
            kind = describe_type(value)
            hint = f": {refusal.hint}" if refusal.hint else ""
            env.warnings.add(f"`{name}` takes {refusal.reason}; the value ({kind}) is left unchanged{hint}")
            return value
        except EvaluationError as error:
            raise _locate_error(error, node.offset, source) from None
        if isinstance(result, str):
            env.spend(CHARACTER * len(result))
        elif isinstance(result, list):
            env.spend(RESULT_ITEM * len(result))
        return result

    return apply


def _mark_optional(node: Node) -> Node:
    """Mark the path at the start of a chain of pipes as optional: the chain has a `default` for it."""
    match node:
        case Path():
            return replace(node, optional=True)
        case Piped():
            return replace(node, subject=_mark_optional(node.subject))
        case Literal() | List() | Object() | Call():
            return node
        case _:
            assert_never(node)


def _locate_error(error: EvaluationError, offset: int, source: str) -> EvaluationError:
    """Add the position to an error that has none yet."""
    if error.source:
        return error
    line, column = locate(source, offset)
    return EvaluationError(error.message, source=source, line=line, column=column, hint=error.hint)
