"""Render templates outside a run (SPEC §13), and list what they read: the only place with a real clock and UUIDs."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.language import MISSING, Name, compile_template, walk
from orchestrator.language.env import Env, Warnings
from orchestrator.language.lexer import NAME
from orchestrator.language.template import compile_value
from orchestrator.language.values import get_child


def default_env(
    context: Mapping[str, Any],
    *,
    now: Callable[[], datetime] | None = None,
    uuid: Callable[[], str] | None = None,
    strict: bool = False,
    warnings: Warnings | None = None,
) -> Env:
    """Return an environment to evaluate in, by default with the real clock and random UUIDs."""
    clock = now or (lambda: datetime.now(UTC))
    collected = Warnings() if warnings is None else warnings
    return Env(context, clock, uuid or (lambda: str(uuid4())), strict, collected)


def render(
    template: Any,
    context: Mapping[str, Any],
    *,
    now: Callable[[], datetime] | None = None,
    uuid: Callable[[], str] | None = None,
    strict: bool = False,
    warnings: Warnings | None = None,
) -> Any:
    """Render the templates in a JSON value, by default with the real clock.

    Raises TemplateSyntaxError and EvaluationError.
    """
    return compile_value(template).render(default_env(context, now=now, uuid=uuid, strict=strict, warnings=warnings))


def extract_variables(template: Any) -> list[str]:
    """Return the paths that the templates in a JSON value read, without pipes and functions, each once, in order.

    `"Dear {{ customer.name | title }}"` reads `customer.name`. Raises TemplateSyntaxError.
    """
    return list(dict.fromkeys(_format_path(name) for name in _iterate_names(template)))


def validate_variables(template: Any, context: Mapping[str, Any]) -> list[str]:
    """Return the paths of `extract_variables` that are null or missing in a context.

    Secrets are left out: only the worker that runs an action has them. Raises TemplateSyntaxError.
    """
    names = (name for name in _iterate_names(template) if name.root != "secrets")
    return list(dict.fromkeys(_format_path(name) for name in names if _find(name, context) is None))


def _iterate_names(template: Any) -> Iterator[Name]:
    for _, text in walk(template):
        yield from sorted(compile_template(text).names, key=lambda name: (name.line, name.column))


def _find(name: Name, context: Mapping[str, Any]) -> Any:
    value: Any = context
    for part in (name.root, *name.path):
        value = get_child(value, part)
        if value is MISSING:
            return None
    return value


def _format_path(name: Name) -> str:
    """Return a path as templates write it: `items[0].name`, `a["odd key"]`."""
    return name.root + "".join(map(_format_part, name.path))


def _format_part(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if NAME.fullmatch(part) or part.isdecimal() else f"[{json.dumps(part, ensure_ascii=False)}]"
