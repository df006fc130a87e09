"""Build the JSON Schema of each type of node and trigger for editors: what it may have, and what it needs."""

from orchestrator.model.definition import Node
from orchestrator.model.node_types import COMMON_KEYS, KINDS
from orchestrator.model.plan import IN_FLIGHT_LIMIT, MAX_DELAY_SECONDS
from orchestrator.planner.approval_checks import APPROVAL_KEYS, MAX_REMINDERS
from orchestrator.planner.editor_vocabulary import (
    CRON,
    EMPTY,
    FILLED,
    NOT_EMPTY,
    NOT_RESERVED,
    NUMBER,
    TEMPLATE,
    Schema,
    choose,
    may_be_empty,
    refer,
)
from orchestrator.planner.node_checks import PERCENT
from orchestrator.planner.references import CONDITION_KEYS
from orchestrator.planner.trigger_checks import CONFIG_KEYS, EVENT_NAME, OWN_KEYS
from orchestrator.planner.webhook_checks import METHODS, WEBHOOK_PATH
from orchestrator.timing.schedule import OVERLAPS

CHOICES: dict[str, tuple[str, ...]] = {
    "on_item_error": ("fail", "continue"),
    "on_branch_error": ("fail_fast", "wait", "ignore"),
    "mode": ("child", "inline"),
    "outcome": ("completed", "failed"),
}
"""Keys of the `config` of nodes with fixed values."""


def build_trigger_type(name: str) -> Schema:
    """Return what a trigger of one type may have, and what it needs."""
    foreign = {key: EMPTY for keys in OWN_KEYS.values() for key in keys if key not in OWN_KEYS[name]}
    config: Schema = {"type": "object", "properties": {key: {} for key in CONFIG_KEYS[name]}}
    config["properties"] |= {key: schema for key, schema in TRIGGER_CONFIG.items() if key in CONFIG_KEYS[name]}
    config["additionalProperties"] = EMPTY
    then: Schema = {"properties": {**foreign, "config": may_be_empty(config)}}
    if name == "schedule":
        then["anyOf"] = [{"required": ["cron"]}, {"required": ["interval_seconds"]}]
    elif OWN_KEYS[name]:
        key = OWN_KEYS[name][0]
        then["required"] = [key]
        then["properties"][key] = {"type": "string", "minLength": 1, "pattern": TRIGGER_NAMES[key]}
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then}


TRIGGER_NAMES = {"event": f"^{EVENT_NAME.pattern}$", "webhook_path": f"^/*{WEBHOOK_PATH.pattern}/*$"}
TRIGGER_CONFIG: dict[str, Schema] = {
    "timezone": {"type": ["string", "null"]},
    "overlap": choose(OVERLAPS),
    "catchup_window_seconds": NUMBER,
    "jitter_seconds": NUMBER,
    "filter": may_be_empty(refer("condition")),
    "schema": {"type": ["object", "boolean", "null"]},
    "methods": may_be_empty(
        {"type": "array", "items": {"anyOf": [{"enum": list(METHODS)}, {"enum": [each.lower() for each in METHODS]}]}}
    ),
}


def build_node_type(name: str) -> Schema:
    """Return what a node of one type may have, and what it needs."""
    kind = KINDS[name]
    own = (*COMMON_KEYS, *kind.keys)
    properties: Schema = {key: EMPTY for key in Node.model_fields if key not in own}
    if name != "action":
        properties["retry"] = EMPTY
    if not kind.times_out:
        properties["timeout_seconds"] = EMPTY
    if kind.config is not None:
        described = {
            key: {**NODE_CONFIG.get((name, key), {}), "description": text} for key, text in kind.config.items()
        }
        config: Schema = {"type": "object", "properties": described, "additionalProperties": EMPTY}
        properties["config"] = may_be_empty(config)
        properties |= {key: EMPTY for key in kind.config if key not in Node.model_fields}
    then: Schema = {"properties": properties, **NEEDS.get(name, {})}
    if name == "action":
        then["allOf"] = [refer("call")]
    if name == "set":
        properties["config"] = may_be_empty({"type": "object", "propertyNames": NOT_RESERVED})
    if name in ("condition", "switch"):
        properties["when"] = EMPTY
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then}


COUNT: Schema = may_be_empty({"type": "integer", "minimum": 1})
CONCURRENCY: Schema = may_be_empty({"type": "integer", "minimum": 1, "maximum": IN_FLIGHT_LIMIT})
NAME: Schema = {"type": "string", "minLength": 1}
CASE: Schema = {
    "if": {"type": "object", "anyOf": [{"required": [key]} for key in sorted(CONDITION_KEYS)]},
    "then": refer("condition"),
}
REMINDER: Schema = {
    "type": "object",
    "required": ["every_seconds", "action"],
    "properties": {
        "every_seconds": {"type": "number", "minimum": 1, "maximum": MAX_DELAY_SECONDS},
        "at_most": {"type": "integer", "minimum": 1, "maximum": MAX_REMINDERS},
        "action": NAME,
        "config": may_be_empty({"type": "object"}),
        "retry": may_be_empty(refer("retry")),
        "timeout_seconds": {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DELAY_SECONDS}, EMPTY]},
    },
    "additionalProperties": False,
    "allOf": [refer("call")],
}
APPROVAL: Schema = may_be_empty(
    {
        "type": "object",
        "required": ["title", "assignees"],
        "properties": {
            "title": {"type": "string", "pattern": r"\S", "description": APPROVAL_KEYS["title"]},
            "assignees": {
                "anyOf": [{"type": "array", "items": NAME, "minItems": 1}, TEMPLATE],
                "description": APPROVAL_KEYS["assignees"],
            },
            "form": {"type": ["object", "null"], "description": APPROVAL_KEYS["form"]},
            "reminder": {**may_be_empty(REMINDER), "description": APPROVAL_KEYS["reminder"]},
        },
        "additionalProperties": EMPTY,
    }
)
NODE_CONFIG: dict[tuple[str, str], Schema] = {
    ("switch", "cases"): {
        "type": "object", "minProperties": 1, "properties": {"default": False}, "additionalProperties": CASE
    },
    ("loop", "while"): may_be_empty(refer("condition")),
    ("loop", "break_when"): may_be_empty(refer("condition")),
    ("loop", "batch_size"): COUNT,
    ("loop", "max_concurrency"): CONCURRENCY,
    ("loop", "max_iterations"): COUNT,
    ("loop", "interval_seconds"): {
        "anyOf": [{"type": "number", "minimum": 0, "maximum": MAX_DELAY_SECONDS}, TEMPLATE, EMPTY]
    },
    ("loop", "max_failures"): {
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": PERCENT.pattern}, TEMPLATE, EMPTY]
    },
    ("loop", "on_item_error"): choose(CHOICES["on_item_error"]),
    ("parallel", "join"): {
        "anyOf": [{"enum": ["all", "any"]}, {"type": "integer", "minimum": 1}, TEMPLATE, EMPTY]
    },
    ("parallel", "on_branch_error"): choose(CHOICES["on_branch_error"]),
    ("parallel", "mode"): choose(CHOICES["mode"]),
    ("parallel", "max_concurrency"): CONCURRENCY,
    ("delay", "cron"): may_be_empty(CRON),
    ("delay", "timezone"): {"type": ["string", "null"]},
    ("wait", "event"): {"anyOf": [NAME, {"type": "array", "items": NAME, "minItems": 1}]},
    ("wait", "key"): {"type": ["string", "number", "null"]},
    ("wait", "timeout_seconds"): {"type": ["number", "string", "null"], "minimum": 0, "maximum": MAX_DELAY_SECONDS},
    ("wait", "approval"): APPROVAL,
    ("wait", "schema"): {"type": ["object", "boolean", "null"]},
    ("workflow", "workflow_id"): {"type": "string", "minLength": 1},
    ("workflow", "version"): {"anyOf": [COUNT, {"const": "latest"}]},
    ("workflow", "wait"): {"type": ["boolean", "null"]},
    ("end", "outcome"): choose(CHOICES["outcome"]),
}  # fmt: skip
"""The schema of a key of the `config` of a node."""


def _need_config(key: str) -> Schema:
    return {"required": ["config"], "allOf": [{"properties": {"config": {"type": "object", "required": [key]}}}]}


NEEDS: dict[str, Schema] = {
    "action": {"required": ["action"]},
    "condition": {"required": ["condition"], "allOf": [{"properties": {"condition": {"type": "object"}}}]},
    "switch": _need_config("cases"),
    "loop": {
        "anyOf": [
            {"required": ["collection"], "properties": {"collection": FILLED}},
            {"required": ["config"], "properties": {"config": {"type": "object", "required": ["while"]}}},
        ]
    },
    "delay": {
        "anyOf": [
            {"required": ["delay_seconds"], "properties": {"delay_seconds": FILLED}},
            {"required": ["delay_until"], "properties": {"delay_until": FILLED}},
            {
                "required": ["config"],
                "properties": {"config": {"type": "object", "required": ["cron"], "properties": {"cron": FILLED}}},
            },
        ],
        "not": {
            "required": ["delay_seconds", "delay_until"],
            "properties": {"delay_seconds": NOT_EMPTY, "delay_until": NOT_EMPTY},
        },
    },
    "wait": {"anyOf": [_need_config("event"), _need_config("approval")]},
    "workflow": _need_config("workflow_id"),
}
"""What a type of node cannot do without."""
