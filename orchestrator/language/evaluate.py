"""Compile nodes from the parser into closures, so that each evaluation is cheap. Replay-sensitive."""

from collections.abc import Callable, Iterable
from typing import Any, assert_never

from orchestrator.errors import EvaluationError
from orchestrator.jsontools.json_types import describe_type
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.language.arithmetic import INFIX, find_child_key, negate_number
from orchestrator.language.costs import (
    ARITHMETIC,
    CHARACTER,
    FUNCTION_COSTS,
    INDEX,
    LITERAL_ITEM,
    LOGIC,
    NESTED_ITEM,
    PATH,
    PIPE_COSTS,
    RESULT_ITEM,
)
from orchestrator.language.env import Env
from orchestrator.language.functions import FUNCTIONS
from orchestrator.language.lexer import locate
from orchestrator.language.nodes import (
    Binary,
    Call,
    Index,
    List,
    Literal,
    Node,
    Object,
    Path,
    Piped,
    Unary,
    is_path,
    mark_optional,
)
from orchestrator.language.operators import OPERATORS, compare
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
        case Index():
            return _compile_index(node, source)
        case Binary():
            return _compile_binary(node, source)
        case Unary():
            return _compile_unary(node, source)
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
        case Index(subject=subject, keys=keys):
            own = sum(PATH if isinstance(key, Literal) else INDEX + measure_cost(key) for key in keys)
            return own + measure_cost(subject)
        case Binary(left=left, right=right):
            infix = INFIX[node.operator]
            own = ARITHMETIC if infix.compute else 0 if infix.condition else LOGIC
            return own + measure_cost(left) + measure_cost(right)
        case Unary(operator=operator, operand=operand):
            return (ARITHMETIC if operator == "-" else LOGIC) + measure_cost(operand)
        case _:
            assert_never(node)


def _compile_list(node: List, source: str) -> Evaluate:
    items = tuple(compile_node(item, source) for item in node.items)
    return lambda env: [item(env) for item in items]


def _compile_object(node: Object, source: str) -> Evaluate:
    entries = tuple((key, compile_node(item, source)) for key, item in node.entries)
    return lambda env: {key: item(env) for key, item in entries}


def compile_lookup(node: Node, source: str) -> Evaluate | None:
    """Return a function that returns the value at a path, or `MISSING`; `None` if the node is not a path."""
    if isinstance(node, Path):
        return _compile_path_lookup(node)
    if not isinstance(node, Index) or not is_path(node):
        return None
    subject = compile_lookup(node.subject, source)
    return None if subject is None else _compile_descent(node, subject, source)


def _compile_descent(node: Index, subject: Evaluate, source: str) -> Evaluate:
    """Return a function that returns the value under computed keys, or `MISSING`."""
    keys = tuple(compile_node(key, source) for key in node.keys)

    def find(env: Env) -> Any:
        value = subject(env)
        for key in keys:
            part = find_child_key(key(env), env)
            value = MISSING if part is None else get_child(value, part)
            if value is MISSING:
                return MISSING
        return value

    return find


def _compile_path_lookup(node: Path) -> Evaluate:
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
    find = _compile_path_lookup(node)
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
            hint = suggest_minus(part, keys) or did_you_mean(part, keys, prefix) or "mark it with `?` if it is optional"
            name = f"{prefix}{part}"
            return EvaluationError(f"`{name}` is missing", source=source, line=line, column=column, hint=hint)
        value, prefix = below, f"{prefix}{part}."
    return EvaluationError("the path is missing", source=source, line=line, column=column)


def suggest_minus(part: object, known: Iterable[str]) -> str | None:
    """Return a hint for a name with a hyphen that was likely meant as a subtraction: `total-discount`."""
    left, hyphen, right = str(part).partition("-")
    if hyphen and right and left in known:
        return f"to subtract, put spaces on both sides of the minus: `{left} - {right}`"
    return None


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
        subject_node = mark_optional(subject_node)
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


def _compile_index(node: Index, source: str) -> Evaluate:
    subject = compile_node(node.subject, source)
    find, optional = _compile_descent(node, subject, source), node.optional

    def get(env: Env) -> Any:
        value = find(env)
        if value is MISSING:
            if env.strict and not optional:
                hint = "mark it with `?` if it is optional"
                error = EvaluationError("the computed key leads to nothing", hint=hint)
                raise _locate_error(error, node.offset, source)
            return None
        return value

    return get


def _compile_binary(node: Binary, source: str) -> Evaluate:
    infix = INFIX[node.operator]
    left_node = mark_optional(node.left) if node.operator == "??" else node.left
    left, right = compile_node(left_node, source), compile_node(node.right, source)
    if infix.condition:
        operator, name = OPERATORS[infix.condition], _name_operand(node.left)
        return lambda env: compare(operator, name, left(env), right(env), env)
    if infix.compute is not None:
        return _compile_arithmetic(infix.compute, left, right, node.offset, source)
    match node.operator:
        case "and":
            return lambda env: left(env) and right(env)
        case "or":
            return lambda env: left(env) or right(env)
        case _:

            def coalesce(env: Env) -> Any:
                value = left(env)
                return right(env) if value is None else value

            return coalesce


def _compile_arithmetic(
    compute: Callable[[Env, Any, Any], Any], left: Evaluate, right: Evaluate, offset: int, source: str
) -> Evaluate:
    def call(env: Env) -> Any:
        one, other = left(env), right(env)
        try:
            return compute(env, one, other)
        except EvaluationError as error:
            raise _locate_error(error, offset, source) from None

    return call


def _name_operand(node: Node) -> str:
    """Return the name of a compared value in warnings."""
    return ".".join((node.root, *map(str, node.parts))) if isinstance(node, Path) else "the left side"


def _compile_unary(node: Unary, source: str) -> Evaluate:
    operand = compile_node(node.operand, source)
    if node.operator == "not":
        return lambda env: not operand(env)

    def negate(env: Env) -> Any:
        value = operand(env)
        try:
            return negate_number(env, value)
        except EvaluationError as error:
            raise _locate_error(error, node.offset, source) from None

    return negate


def _locate_error(error: EvaluationError, offset: int, source: str) -> EvaluationError:
    """Add the position to an error that has none yet."""
    if error.source:
        return error
    line, column = locate(source, offset)
    return EvaluationError(error.message, source=source, line=line, column=column, hint=error.hint)
