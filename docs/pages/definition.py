"""Generate docs/definition.md from its template, the models and the tables.

Run `python -m docs.pages.definition > docs/definition.md`.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from docs.pages.markdown import fill_template, format_json, format_names, format_table
from orchestrator.errors import ERROR_TYPES
from orchestrator.model.definition import Definition, Edge, Node, Settings, Trigger
from orchestrator.model.node_types import COMMON_KEYS, KINDS, Kind
from orchestrator.model.plan import (
    DEFAULT_MAX_STEPS,
    DEFAULT_RETRY_ON,
    DEFAULT_STEP_LOG_LIMIT,
    DEFAULT_TIMEOUT_SECONDS,
    Retry,
)
from orchestrator.planner.approval_checks import APPROVAL_KEYS
from orchestrator.planner.policies import SYNONYMS
from orchestrator.planner.problem_codes import CODES
from orchestrator.planner.trigger_checks import CONFIG_KEYS, OWN_KEYS
from orchestrator.planner.webhook_checks import METHODS
from orchestrator.temporal.schedules.spec import DEFAULT_CATCHUP_SECONDS

TEMPLATE = Path(__file__).with_suffix(".md")

SMALLEST: dict[str, Any] = {
    "name": "Remind me",
    "trigger": {"type": "manual"},
    "nodes": [
        {"id": "wait", "type": "delay", "delay_seconds": 3600},
        {"id": "remind", "type": "action", "action": "log.message", "config": {"message": "{{ input.what }}"}},
    ],
    "edges": [{"source": "trigger", "target": "wait"}, {"source": "wait", "target": "remind"}],
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "trigger": {"id": "begin", "type": "trigger"},
    "action": {
        "id": "charge", "type": "action", "action": "http.request",
        "config": {"method": "POST", "url": "https://pay.example/charges", "json": {"amount": "{{ input.amount }}"}},
        "outputs": ["status"], "retry": {"maximum_attempts": 5}, "on_error": "pause",
        "compensate": {"action": "http.request", "config": {"method": "DELETE", "url": "https://pay.example/charges"}},
    },
    "condition": {
        "id": "large", "type": "condition",
        "condition": {"field": "input.amount", "operator": "greater_than", "value": 1000},
        "true_branch": ["review"], "false_branch": ["pay"],
    },
    "switch": {
        "id": "route", "type": "switch",
        "config": {"value": "{{ input.plan }}", "cases": {"free": "free", "paid": {"preset": "customer_enterprise"}}},
    },
    "loop": {
        "id": "each", "type": "loop", "collection": "{{ input.items }}", "item_variable": "line", "body": ["reserve"],
        "config": {"max_concurrency": 4, "on_item_error": "continue", "collect": "{{ steps.reserve.output.id }}"},
    },
    "parallel": {
        "id": "both", "type": "parallel", "branches": [["mail"], ["invoice", "archive"]],
        "config": {"join": "all", "on_branch_error": "wait"},
    },
    "delay": {"id": "night", "type": "delay", "delay_until": "{{ input.due | default('2030-01-01') }}"},
    "wait": {
        "id": "approval", "type": "wait",
        "config": {"event": "approved", "timeout_seconds": 86400, "schema": {"required": ["by"]}},
    },
    "set": {"id": "total", "type": "set", "config": {"sum": "{{ input.prices | sum }}"}},
    "workflow": {
        "id": "setup", "type": "workflow", "config": {"workflow_id": "provision", "input": {"user": "{{ input.user }}"}},
    },
    "end": {"id": "done", "type": "end", "config": {"output": {"paid": True}}},
}  # fmt: skip

OUTPUTS = {
    "action": "the result of the action; a result that is not an object becomes `{result}`",
    "condition": "`{branch: true | false}`",
    "switch": "`{case}`",
    "loop": "`{count, items, succeeded, failed, errors}`; `items` only with `collect`",
    "parallel": "`{branches: [{status, output, error}]}`",
    "delay": "`{until, slept_seconds}`",
    "wait": "`{event, payload}`, of an approval `{event, payload, by, via, decided_at}`, or `{timed_out: true}`",
    "set": "the variables that it set",
    "workflow": "`{run_id, status, output}`",
}
"""The output of a step, by node type."""


def generate_page() -> str:
    """Return the whole page."""
    parts = {
        "smallest": format_json(SMALLEST),
        "workflow_keys": _describe_keys(Definition, Definition.model_fields),
        "edge_keys": _describe_keys(Edge, Edge.model_fields),
        "settings_keys": _describe_keys(Settings, Settings.model_fields),
        "max_steps": f"{DEFAULT_MAX_STEPS:,}",
        "step_log_limit": f"{DEFAULT_STEP_LOG_LIMIT:,}",
        "trigger_keys": _describe_keys(Trigger, Trigger.model_fields),
        "trigger_types": format_table(
            ("type", "keys", "keys of `config`"),
            ((f"`{name}`", format_names(OWN_KEYS[name]), format_names(keys)) for name, keys in CONFIG_KEYS.items()),
        ),
        "methods": ", ".join(METHODS),
        "catchup_seconds": f"{DEFAULT_CATCHUP_SECONDS:,}",
        "node_keys": _describe_keys(Node, [name for name in Node.model_fields if name in COMMON_KEYS]),
        "timeout_seconds": f"{DEFAULT_TIMEOUT_SECONDS:g}",
        "nodes": "".join(_describe_node_type(name, kind) for name, kind in KINDS.items()),
        "retry_keys": format_table(("key", "default", "synonyms"), _iterate_retry_rows()),
        "error_types": format_names(ERROR_TYPES),
        "problem_codes": format_table(("code", "meaning"), ((f"`{code}`", text) for code, text in CODES.items())),
    }
    return fill_template(TEMPLATE, parts)


def _describe_node_type(name: str, kind: Kind) -> str:
    ports = ("one per case", *kind.ports) if name == "switch" else kind.ports
    port_names = ", ".join(port if " " in port else f"`{port}`" for port in ports) or "none"
    output = f" Output: {OUTPUTS[name]}." if name in OUTPUTS else ""
    paragraphs = [f"\n### {name}", f"{kind.summary} Ports: {port_names}.{output}"]
    if kind.keys:
        rows = ((f"`{key}`", _describe_own_key(key, name)) for key in kind.keys)
        paragraphs.append(format_table(("key", "description"), rows))
    if kind.config:
        rows = ((f"`{key}`", description) for key, description in kind.config.items())
        paragraphs.append(format_table(("key of `config`", "description"), rows))
    if name == "wait":
        rows = ((f"`{key}`", description) for key, description in APPROVAL_KEYS.items())
        paragraphs.append(format_table(("key of `approval`", "description"), rows))
    return "\n\n".join([*paragraphs, format_json(EXAMPLES[name])]) + "\n"


def _describe_keys(model: type[BaseModel], names: Iterable[str]) -> str:
    rows = ((f"`{model.model_fields[name].alias or name}`", _describe_key(model, name)) for name in names)
    return format_table(("key", "description"), rows)


def _describe_key(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    extra = field.json_schema_extra
    choices: Any = extra.get("enum") if isinstance(extra, dict) else None
    description = str(field.description)
    return f"{description.removesuffix('.')}: {format_names(choices)}." if choices else description


def _describe_own_key(key: str, node_type: str) -> str:
    """Return the description of a key without the node type in front of it."""
    description = _describe_key(Node, key).removeprefix(f"{node_type}: ")
    return description[:1].upper() + description[1:]


def _iterate_retry_rows() -> Iterator[tuple[str, str, str]]:
    defaults = Retry()
    for name in Retry.model_fields:
        value = ", ".join(DEFAULT_RETRY_ON) if name == "retry_on" else f"{getattr(defaults, name):g}"
        yield f"`{name}`", value, format_names(key for key, meaning in SYNONYMS.items() if meaning == name)


if __name__ == "__main__":
    sys.stdout.write(generate_page())
