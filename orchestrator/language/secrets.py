"""Render the parameters of an action without its secrets, and insert the secrets in the worker."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.errors import EvaluationError, ExpressionError
from orchestrator.jsontools.pointer import escape, split_pointer
from orchestrator.language.env import Env
from orchestrator.language.evaluate import describe_no_secret
from orchestrator.language.functions import APPROVAL_LINK
from orchestrator.language.nodes import Name
from orchestrator.language.template import Template, compile_expression, compile_template
from orchestrator.language.values import MISSING, get_child, read_index, to_text


def render_parameters(value: Any, env: Env) -> tuple[Any, dict[str, list[Any]]]:
    """Render parameters; a string with a secret becomes null, and its parts are returned by JSON Pointer."""
    deferred: dict[str, list[Any]] = {}
    env.meter.start_value()
    return _defer_secrets(value, env, "", deferred), deferred


def _defer_secrets(value: Any, env: Env, pointer: str, deferred: dict[str, list[Any]]) -> Any:
    if isinstance(value, str):
        template = compile_template(value)
        env.spend(template.cost)
        if not template.uses_secrets:
            return template.render(env)
        deferred[pointer] = template.render_deferred(env)
        return None
    if isinstance(value, dict):
        rendered = {}
        for key, item in value.items():
            name = to_text(compile_template(str(key)).render(env), env.spend)
            rendered[name] = _defer_secrets(item, env, f"{pointer}/{escape(name)}", deferred)
        return rendered
    if isinstance(value, list | tuple):
        return [_defer_secrets(item, env, f"{pointer}/{index}", deferred) for index, item in enumerate(value)]
    return value


def reveal(parameters: Any, deferred: Mapping[str, list[Any]], env: Env) -> Any:
    """Insert the secrets of `env` into rendered parameters; raises EvaluationError that names a missing secret."""
    holder = {"": parameters}
    copies: dict[int, Any] = {}
    for pointer, parts in deferred.items():
        values = [part if isinstance(part, str) else resolve_part(part, env) for part in parts]
        value = values[0] if len(values) == 1 else "".join(to_text(value, env.spend) for value in values)
        _set_at(holder, split_pointer(pointer), value, copies)
    return holder[""]


def resolve_part(part: Mapping[str, Any], env: Env) -> Any:
    """Return the value of a part that is not text; raises EvaluationError that names a missing secret."""
    if "secret" not in part:
        return render_secret(compile_expression(part["expression"]), env)
    name = str(part["secret"])
    secrets: Mapping[str, Any] = env.context.get("secrets") or {}
    if name not in secrets:
        raise EvaluationError(describe_no_secret(name))
    return secrets[name]


def render_secret(template: Template, env: Env) -> Any:
    """Render a template; an error over a secret shows nothing of it, except for the name of a missing one."""
    try:
        return template.render(env)
    except ExpressionError:
        if not template.uses_secrets or any(_is_missing(name, env) for name in template.names):
            raise
    raise EvaluationError("a pipe cannot take this secret")


def _is_missing(name: Name, env: Env) -> bool:
    value: Any = env.context
    for part in (name.root, *name.path):
        value = get_child(value, part)
    return value is MISSING


def map_links(deferred: Mapping[str, list[Any]], convert: Callable[[Mapping[str, Any]], Any]) -> dict[str, list[Any]]:
    """Return deferred parts with each approval link as `convert` makes it."""

    def convert_part(part: Any) -> Any:
        return convert(part[APPROVAL_LINK]) if isinstance(part, Mapping) and APPROVAL_LINK in part else part

    return {pointer: [convert_part(part) for part in parts] for pointer, parts in deferred.items()}


def find_secret_names(deferred: Mapping[str, list[Any]]) -> list[str]:
    """Return the names of the secrets that deferred parts need; raises TemplateSyntaxError."""
    names: dict[str, None] = {}
    for part in (part for parts in deferred.values() for part in parts if isinstance(part, Mapping)):
        if APPROVAL_LINK in part:
            continue
        if "secret" in part:
            names[str(part["secret"])] = None
        else:
            paths = compile_expression(part["expression"]).names
            names |= dict.fromkeys(sorted(str(name.path[0]) for name in paths if name.root == "secrets"))
    return list(names)


def _set_at(holder: dict[str, Any], keys: list[str], value: Any, copies: dict[int, Any]) -> None:
    """Set the value at the path, in a copy of each list and object on the path; `copies` are those made before."""
    container: Any = holder
    position: Any = ""
    for key in keys:
        inner = container[position] if isinstance(container, list) else container.get(position)
        if isinstance(inner, dict | list) and id(inner) not in copies:
            inner = container[position] = inner.copy()
            copies[id(inner)] = inner
        container, position = inner, _find_position(inner, key)
    container[position] = value


def _find_position(container: Any, key: str) -> str | int:
    if isinstance(container, dict):
        return key
    index = read_index(key) if isinstance(container, list) else None
    if index is None or not 0 <= index < len(container):
        raise EvaluationError(f"the parameters have no {key!r:.60} to hold a secret")
    return index
