"""Try templates and conditions on data that a builder sends. Called in a process of their own."""

from collections.abc import Mapping
from typing import Any

from orchestrator.expressions import default_env, extract_variables, validate_variables
from orchestrator.language.condition_reader import build_evidence, compile_condition


def list_variables(template: Any, context: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the paths that a template reads, and those that are null or missing where there is a context."""
    missing = [] if context is None else validate_variables(template, context)
    return {"variables": extract_variables(template), "missing": missing}


def try_condition(condition: Any, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a condition, the comparisons behind it and the warnings."""
    env = default_env(context)
    result, seen = compile_condition(condition).decide(env)
    port = "true" if result else "false"
    return {"result": result, "decision": build_evidence(seen, port), "warnings": env.warnings.messages}
