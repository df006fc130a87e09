"""Check the literal parameters of an action call; what contains templates is checked when the step runs."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from orchestrator.jsontools.parameters import Keys, follow_location, validate_parameters
from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.schema import find_problems
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.jsontools.validation_messages import (
    EXPECTED_TYPES,
    describe_validation_error,
    suggest_choice,
    suggest_pipe,
)
from orchestrator.model.described_action import DescribedAction
from orchestrator.planner.policies import ActionLike
from orchestrator.planner.report import Report

TEMPLATES = "x-templates"
"""Key of a parameter's JSON Schema: `refused` or `discouraged`, as `activities.registry` declares it."""


def check_parameters(action: ActionLike, config: Mapping[str, Any], pointer: str, report: Report) -> None:
    """Report each literal value of `config` that does not fit the action's parameters."""
    if isinstance(action, DescribedAction):
        _check_by_schema(action, action.parameter_schema, config, pointer, report)
        return
    _check_code(action, config, pointer, report)
    try:
        validate_parameters(action.parameters, config)
    except ValidationError as error:
        alternatives: dict[Keys, list[Mapping[str, Any]]] = {}
        for invalid in error.errors(include_url=False):
            keys, value = follow_location(config, invalid["loc"])
            if invalid["type"] == "missing" and len(invalid["loc"]) == len(keys) + 1:
                if isinstance(value, Mapping) or not has_template(value):
                    _report_missing(action, str(invalid["loc"][-1]), keys, pointer, report)
            elif invalid["type"] == "extra_forbidden" and invalid["loc"] == keys:
                _report_unknown(action, keys, pointer, report)
            elif has_template(value):
                continue
            elif len(keys) < len(invalid["loc"]):
                alternatives.setdefault(keys, []).append(invalid)
            else:
                message = f"`{_name(keys)}` of {action.name} {describe_validation_error(invalid)}"
                path = pointer + format_pointer(keys)
                report.add_error("bad_parameter", path, message, suggest_choice(invalid) or suggest_pipe(invalid))
        for keys, errors in alternatives.items():
            _report_alternatives(action, keys, errors, pointer, report)


def _check_by_schema(
    action: ActionLike, schema: Mapping[str, Any], config: Mapping[str, Any], pointer: str, report: Report
) -> None:
    """Report what does not fit the JSON Schema of an action that a worker elsewhere serves."""
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in config:
            _report_missing(action, name, (), pointer, report)
    for name, value in config.items():
        if name not in properties:
            if schema.get("additionalProperties") is False and not has_template(name):
                _report_unknown(action, (name,), pointer, report)
        elif not has_template(value):
            for problem in find_problems({"$defs": schema.get("$defs", {}), "allOf": [properties[name]]}, value):
                path = pointer + format_pointer([name]) + problem.path
                report.add_error("bad_parameter", path, f"`{name}` of {action.name} {problem.message}", problem.hint)


def _get_schema(action: ActionLike) -> Mapping[str, Any]:
    """Return the JSON Schema of an action's parameters."""
    schema: Mapping[str, Any] = (
        action.parameter_schema if isinstance(action, DescribedAction) else action.parameters.model_json_schema()
    )
    return schema


def _check_code(action: ActionLike, config: Mapping[str, Any], pointer: str, report: Report) -> None:
    """Report templates in parameters that are code (`x-templates` in their schema)."""
    properties = _get_schema(action).get("properties", {})
    rules = {name: schema[TEMPLATES] for name, schema in properties.items() if TEMPLATES in schema}
    for name, rule in rules.items():
        if name in config and has_template(config[name]):
            message = f"`{name}` of {action.name} is code: what a template puts into it would become code too"
            hint = "write `:name`, and pass the value in `parameters`"
            path = pointer + format_pointer([name])
            if rule == "refused":
                report.add_error("template_in_code", path, message, hint)
            else:
                report.add_warning(
                    "template_in_code", path, message, "pass the value through `data`, and read it there"
                )
    for key in config if "refused" in rules.values() else ():
        if has_template(key):
            message = f"the names of the parameters of {action.name} cannot be templates"
            report.add_error("template_in_code", pointer + format_pointer([key]), message)


def _report_missing(action: ActionLike, name: str, keys: Keys, pointer: str, report: Report) -> None:
    where = f"`{_name(keys)}` of {action.name}" if keys else action.name
    message = f"{where} requires the {'field' if keys else 'parameter'} `{name}`"
    hint = None if keys else _describe_parameter(action, name)
    report.add_error("missing_parameter", pointer + format_pointer(keys), message, hint)


def _report_unknown(action: ActionLike, keys: Keys, pointer: str, report: Report) -> None:
    if len(keys) == 1:
        names = list(_get_schema(action).get("properties", {}))
        hint = did_you_mean(keys[0], names) or f"parameters: {join_names(names) or 'none'}"
        message = f"{action.name} has no parameter {keys[0]!r:.60}"
    else:
        hint, message = None, f"`{_name(keys[:-1])}` of {action.name} has no field {keys[-1]!r:.60}"
    report.add_error("unknown_parameter", pointer + format_pointer(keys), message, hint)


def _report_alternatives(
    action: ActionLike, keys: Keys, errors: list[Mapping[str, Any]], pointer: str, report: Report
) -> None:
    """Report a value that fits none of several types: pydantic has one error for each, with a location of its own."""
    expected = [EXPECTED_TYPES.get(each["type"]) for each in errors if len(each["loc"]) == len(keys) + 1]
    types = list(dict.fromkeys(each for each in expected if each))
    message = "does not have an accepted form"
    if types and all(expected):
        message = f"must be {' or '.join([', '.join(types[:-1]), types[-1]]) if len(types) > 1 else types[0]}"
    hint = _describe_parameter(action, str(keys[0])) if len(keys) == 1 else None
    report.add_error(
        "bad_parameter", pointer + format_pointer(keys), f"`{_name(keys)}` of {action.name} {message}", hint
    )


def _describe_parameter(action: ActionLike, name: str) -> str | None:
    schema = _get_schema(action).get("properties", {}).get(name, {})
    description = schema.get("description")
    return f"{name}: {description}" if description else None


def _name(keys: Keys) -> str:
    return ".".join(map(str, keys)) or "config"


def has_template(value: Any) -> bool:
    """Return whether a value contains a template anywhere."""
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, Mapping):
        return any(has_template(key) or has_template(item) for key, item in value.items())
    return isinstance(value, list) and any(map(has_template, value))
