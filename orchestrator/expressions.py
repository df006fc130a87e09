"""Render templates outside a run (SPEC §13): the only place with a real clock and real UUIDs."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.language.env import Env, Warnings
from orchestrator.language.template import compile_value


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
