"""Build the JSON Schema of a definition for editors: what `validate` finds without the graph, while one writes.

Draft 7, which VS Code and the YAML language server support in full. Each type of node, trigger and condition and each
action has an `if` and a `then`, so that a message names what is wrong and not that "no alternative matches". Empty keys
are allowed wherever exporters write them, and templates wherever a run computes the value. Whether an edge leads
anywhere, which ports a node has and what a template reads is beyond a schema: `validate` says it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.language.condition_reader import NOTES, SHAPES
from orchestrator.language.operators import OPERATORS
from orchestrator.language.presets import PRESETS
from orchestrator.model.definition import (
    STATUSES,
    TRIGGER,
    TRIGGER_TYPES,
    Definition,
    Edge,
    Node,
    Part,
    Settings,
    Trigger,
)
from orchestrator.model.node_types import COMMON_KEYS, KINDS
from orchestrator.model.plan import IN_FLIGHT_LIMIT, MAX_DELAY_SECONDS
from orchestrator.model.run import RESERVED_NAMES
from orchestrator.planner.action_schemas import build_parameter_schema, list_definitions
from orchestrator.planner.policies import BOUNDS, RETRYABLE, SIDE_CALL_KEYS, SYNONYMS
from orchestrator.planner.references import CONDITION_KEYS
from orchestrator.planner.trigger_checks import CONFIG_KEYS, EVENT_NAME, OWN_KEYS
from orchestrator.planner.webhook_checks import METHODS, WEBHOOK_PATH
from orchestrator.timing.cron import ALIASES
from orchestrator.timing.schedule import OVERLAPS

Schema = dict[str, Any]
DIALECT = "http://json-schema.org/draft-07/schema#"
EMPTY: Schema = {"enum": [None, "", 0, [], {}], "doNotSuggest": True}
"""A key that exporters write for every node. VS Code suggests none of these values."""
TEMPLATE: Schema = {"type": "string", "pattern": r"\{\{", "doNotSuggest": True}
FILLED: Schema = {"not": {"enum": [None, "", {}]}}
NOT_EMPTY: Schema = {"not": EMPTY}
STARTS: list[Schema] = [
    {
        "required": ["edges"],
        "properties": {"edges": {"contains": {"required": ["source"], "properties": {"source": {"const": TRIGGER}}}}},
    },
    {"properties": {"nodes": {"contains": {"required": ["type"], "properties": {"type": {"const": "trigger"}}}}}},
]
"""How a graph starts: by an edge from `trigger`, or by a node of that type."""
NUMBER: Schema = {"type": ["number", "string"]}
"""A number, also as text or a template."""
PARTS: dict[str, type[Part]] = {
    "workflow": Definition, "trigger": Trigger, "node": Node, "edge": Edge, "settings": Settings
}  # fmt: skip
PORTS = ("next", *dict.fromkeys(port for kind in KINDS.values() for port in kind.ports if port != "next"))
EXECUTIONS = ("activity", "local")
CHOICES: dict[str, tuple[str, ...]] = {
    "on_item_error": ("fail", "continue"),
    "on_branch_error": ("fail_fast", "wait", "ignore"),
    "mode": ("child", "inline"),
    "outcome": ("completed", "failed"),
}
"""Keys of the `config` of nodes with fixed values."""
TAKES: dict[str, Schema] = {
    "none": EMPTY,
    "list": {"anyOf": [{"type": "array"}, TEMPLATE]},
    "text": {"type": ["string", "number"]},
    "pattern": {"type": "string"},
    "order": NUMBER,
    "date": {"type": "string"},
    "dates": {"anyOf": [{"type": "array", "minItems": 2, "maxItems": 2}, TEMPLATE]},
    "size": NUMBER,
}
"""The schema of the value of a condition, by what its operator takes; any value for others."""


def build_editor_schema(actions: Iterable[Mapping[str, Any]] | None = None) -> Schema:
    """Return the schema of a definition; `actions` are the descriptions of all that may be named, if that is known."""
    described = None if actions is None else list(actions)
    parts: dict[str, type[Part]] = {
        "workflow": Definition,
        "trigger": Trigger,
        "node": Node,
        "edge": Edge,
        "settings": Settings,
    }
    definitions = {name: _describe_part(model) for name, model in parts.items()}
    definitions["trigger"] |= {"required": ["type"], "allOf": [_build_trigger_type(name) for name in TRIGGER_TYPES]}
    definitions["node"] |= {"required": ["id", "type"], "allOf": [_build_node_type(name) for name in KINDS]}
    definitions |= {
        "condition": _build_condition(),
        "retry": _build_retry(),
        "on_error": _build_on_error(),
        "side_call": _build_side_call(),
        "call": _build_call(described or []),
        **list_definitions(described or []),
    }
    schema = definitions.pop("workflow")
    schema |= {"$schema": DIALECT, "title": "Workflow", "required": ["name", "trigger", "nodes"], "anyOf": STARTS}
    if described is not None:
        schema["allOf"] = [_require_known_actions(described)]
        known = {"properties": {"action": {"enum": [each["name"] for each in described]}}}
        definitions["side_call"]["allOf"] += [known]
    return {**schema, "definitions": definitions}


def _describe_part(model: type[Part]) -> Schema:
    """Return the properties of a model; one that is not listed is none of ours."""
    properties = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        known = PROPERTIES.get((model.__name__, key)) or PROPERTIES.get(("", key)) or {}
        properties[key] = {**known, "description": field.description or ""}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _refer(name: str) -> Schema:
    # Draft 7 ignores what stands beside a `$ref`.
    return {"allOf": [{"$ref": f"#/definitions/{name}"}]}


def _may_be_empty(schema: Schema) -> Schema:
    return {"anyOf": [schema, EMPTY]}


def _may_be_template(schema: Schema) -> Schema:
    return {"anyOf": [schema, TEMPLATE, EMPTY]}


def _choose(values: Iterable[str]) -> Schema:
    return _may_be_empty({"enum": list(values)})


CRON: Schema = {
    "type": "string", "pattern": rf"^\s*({'|'.join(ALIASES)}|\S+(\s+\S+){{4}})\s*$|^$",
}  # fmt: skip
ID_LIST: Schema = _may_be_empty({"type": "array", "items": {"type": "string"}})
NOT_RESERVED: Schema = {"not": {"enum": sorted(RESERVED_NAMES)}}
TIMEOUT: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DELAY_SECONDS}
ON_ERROR = _may_be_empty(_refer("on_error"))
RETRY = _may_be_empty(_refer("retry"))
PROPERTIES: dict[tuple[str, str], Schema] = {
    ("", "id"): {"type": ["string", "null"]},
    ("", "name"): {"type": ["string", "null"]},
    ("", "description"): {"type": ["string", "null"]},
    ("", "config"): {"type": ["object", "null", "string", "number", "array"]},
    ("", "retry"): RETRY,
    ("", "on_error"): ON_ERROR,
    ("", "timeout_seconds"): _may_be_empty(TIMEOUT),
    ("", "task_queue"): {"type": ["string", "null"]},
    ("", "execution"): _choose(EXECUTIONS),
    ("Definition", "name"): {"type": "string", "pattern": r"\S"},
    ("Definition", "status"): _choose(STATUSES),
    ("Definition", "trigger"): _refer("trigger"),
    ("Definition", "nodes"): {"type": "array", "minItems": 1, "items": _refer("node")},
    ("Definition", "edges"): _may_be_empty({"type": "array", "items": _refer("edge")}),
    ("Definition", "variables"): _may_be_empty({"type": "object", "propertyNames": NOT_RESERVED}),
    ("Definition", "settings"): _may_be_empty(_refer("settings")),
    ("Trigger", "type"): {"enum": list(TRIGGER_TYPES)},
    ("Trigger", "cron"): _may_be_empty(CRON),
    ("Trigger", "interval_seconds"): _may_be_empty({"type": "number", "minimum": 1, "multipleOf": 1}),
    ("Trigger", "event"): {"type": ["string", "null"]},
    ("Trigger", "webhook_path"): {"type": ["string", "null"]},
    ("Trigger", "config"): _may_be_empty({"type": "object"}),
    ("Edge", "source"): {"type": "string", "minLength": 1},
    ("Edge", "target"): {"type": "string", "minLength": 1},
    ("Edge", "label"): {"type": ["string", "null"]},
    ("Edge", "condition"): {"anyOf": [{"enum": list(PORTS)}, {"type": ["string", "boolean", "null"]}]},
    ("Node", "id"): {"type": "string", "minLength": 1, "pattern": r"^[^/#\[\]\x00-\x1f]*$"},
    ("Node", "type"): {"enum": list(KINDS)},
    ("Node", "outputs"): ID_LIST,
    ("Node", "when"): _may_be_empty(_refer("condition")),
    ("Node", "action"): {"type": ["string", "null"]},
    ("Node", "condition"): _may_be_empty(_refer("condition")),
    ("Node", "true_branch"): ID_LIST,
    ("Node", "false_branch"): ID_LIST,
    ("Node", "body"): ID_LIST,
    ("Node", "branches"): _may_be_empty({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}),
    ("Node", "item_variable"): _may_be_empty({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}),
    ("Node", "collection"): {
        "anyOf": [{"type": "array"}, {"type": "number", "minimum": 0, "multipleOf": 1}, TEMPLATE, EMPTY]
    },
    ("Node", "delay_seconds"): _may_be_empty(
        {"type": ["number", "string"], "minimum": 0, "maximum": MAX_DELAY_SECONDS}
    ),
    ("Node", "delay_until"): {"type": ["string", "null"]},
    ("Node", "compensate"): _may_be_empty(_refer("side_call")),
    ("Settings", "notify"): _may_be_empty(_refer("side_call")),
    ("Settings", "strict"): {"type": ["boolean", "null"]},
    ("Settings", "max_steps"): _may_be_empty({"type": "number", "minimum": 1}),
    ("Settings", "step_log_limit"): _may_be_empty({"type": "number", "minimum": 1}),
    ("Settings", "compensate"): _choose(("on_failure", "on_cancel", "both", "never")),
    ("Settings", "input_schema"): {"type": ["object", "boolean", "null"]},
}
"""The schema of a key, by model; the model `""` is any."""


def _build_trigger_type(name: str) -> Schema:
    """Return what a trigger of one type may have, and what it needs."""
    foreign = {key: EMPTY for keys in OWN_KEYS.values() for key in keys if key not in OWN_KEYS[name]}
    config: Schema = {"type": "object", "properties": {key: {} for key in CONFIG_KEYS[name]}}
    config["properties"] |= {key: schema for key, schema in TRIGGER_CONFIG.items() if key in CONFIG_KEYS[name]}
    config["additionalProperties"] = EMPTY
    then: Schema = {"properties": {**foreign, "config": _may_be_empty(config)}}
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
    "overlap": _choose(OVERLAPS),
    "catchup_window_seconds": NUMBER,
    "jitter_seconds": NUMBER,
    "filter": _may_be_empty(_refer("condition")),
    "methods": _may_be_empty(
        {"type": "array", "items": {"anyOf": [{"enum": list(METHODS)}, {"enum": [each.lower() for each in METHODS]}]}}
    ),
}


def _build_node_type(name: str) -> Schema:
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
        properties["config"] = _may_be_empty(config)
    then: Schema = {"properties": properties, **NEEDS.get(name, {})}
    if name == "action":
        then["allOf"] = [_refer("call")]
    if name == "set":
        properties["config"] = _may_be_empty({"type": "object", "propertyNames": NOT_RESERVED})
    if name in ("condition", "switch"):
        properties["when"] = EMPTY
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then}


COUNT: Schema = _may_be_empty({"type": "integer", "minimum": 1})
CONCURRENCY: Schema = _may_be_empty({"type": "integer", "minimum": 1, "maximum": IN_FLIGHT_LIMIT})
CASE: Schema = {
    "if": {"type": "object", "anyOf": [{"required": [key]} for key in sorted(CONDITION_KEYS)]},
    "then": _refer("condition"),
}
NODE_CONFIG: dict[tuple[str, str], Schema] = {
    ("switch", "cases"): {
        "type": "object", "minProperties": 1, "properties": {"default": False}, "additionalProperties": CASE
    },
    ("loop", "while"): _may_be_empty(_refer("condition")),
    ("loop", "break_when"): _may_be_empty(_refer("condition")),
    ("loop", "max_concurrency"): CONCURRENCY,
    ("loop", "max_iterations"): COUNT,
    ("loop", "on_item_error"): _choose(CHOICES["on_item_error"]),
    ("parallel", "join"): {
        "anyOf": [{"enum": ["all", "any"]}, {"type": "integer", "minimum": 1}, TEMPLATE, EMPTY]
    },
    ("parallel", "on_branch_error"): _choose(CHOICES["on_branch_error"]),
    ("parallel", "mode"): _choose(CHOICES["mode"]),
    ("parallel", "max_concurrency"): CONCURRENCY,
    ("delay", "cron"): _may_be_empty(CRON),
    ("delay", "timezone"): {"type": ["string", "null"]},
    ("wait", "event"): {"type": "string", "minLength": 1},
    ("wait", "timeout_seconds"): {"type": ["number", "string", "null"], "minimum": 0, "maximum": MAX_DELAY_SECONDS},
    ("wait", "schema"): {"type": ["object", "boolean", "null"]},
    ("workflow", "workflow_id"): {"type": "string", "minLength": 1},
    ("workflow", "version"): COUNT,
    ("workflow", "wait"): {"type": ["boolean", "null"]},
    ("end", "outcome"): _choose(CHOICES["outcome"]),
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
    "wait": _need_config("event"),
    "workflow": _need_config("workflow_id"),
}
"""What a type of node cannot do without."""


def _build_condition() -> Schema:
    keys = {key for shape in SHAPES.values() for key in shape}
    properties: Schema = {key: {} for key in sorted(keys)}
    properties |= {
        "type": _choose(SHAPES),
        "field": {"type": ["string", "null"]},
        "operator": {"anyOf": [{"enum": list(OPERATORS)}, EMPTY]},
        "conditions": _may_be_empty({"type": "array", "items": _refer("condition")}),
        "condition": _may_be_empty(_refer("condition")),
        "preset": _choose(PRESETS),
        "expression": _may_be_empty({"type": "string", "pattern": r"^\s*\{\{[\s\S]*\}\}\s*$"}),
        **{key: {} for key in NOTES},
    }
    shapes = [
        {"required": ["field"]},
        {"required": ["preset"]},
        {"required": ["expression"]},
        {"required": ["type", "conditions"], "properties": {"type": {"enum": ["and", "or"]}}},
        {"required": ["type", "condition"], "properties": {"type": {"const": "not"}}},
    ]
    values = [
        {
            "if": {"properties": {"operator": {"enum": names}}, "required": ["operator"]},
            "then": {"properties": {"value": TAKES[takes]}},
        }
        for takes in TAKES
        if (names := [operator.name for operator in OPERATORS.values() if operator.takes == takes])
    ]
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": EMPTY,
        "anyOf": shapes,
        "allOf": values,
    }


def _build_retry() -> Schema:
    bounds = {
        name: {"anyOf": [{"type": "number", "minimum": least, "maximum": most}, {"type": "null"}]}
        for name, (least, most) in BOUNDS.items()
    }
    properties = {**bounds, **{synonym: bounds[name] for synonym, name in SYNONYMS.items()}}
    retryable = {"enum": list(RETRYABLE)}
    properties["retry_on"] = {"anyOf": [retryable, {"type": "array", "items": retryable}]}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _build_on_error() -> Schema:
    fallback = {
        "type": "object", "required": ["fallback"], "properties": {"fallback": {}}, "additionalProperties": False
    }  # fmt: skip
    again = {
        "type": "object",
        "required": ["retry_from"],
        "properties": {"retry_from": {"type": "string"}, "max": {"type": "integer", "minimum": 1}},
        "additionalProperties": False,
    }
    return {"anyOf": [{"enum": ["fail", "skip", "pause"]}, fallback, again]}


def _build_side_call() -> Schema:
    properties: Schema = {key: {} for key in SIDE_CALL_KEYS}
    properties |= {
        "action": {"type": "string", "minLength": 1},
        "config": _may_be_empty({"type": "object"}),
        "retry": RETRY,
        "timeout_seconds": {"anyOf": [TIMEOUT, {"type": "null"}]},
    }
    return {
        "type": "object",
        "required": ["action"],
        "properties": properties,
        "additionalProperties": False,
        "allOf": [_refer("call")],
    }


def _build_call(actions: Iterable[Mapping[str, Any]]) -> Schema:
    """Return what `config` holds for each action that `action` may name."""
    return {
        "allOf": [
            {
                "if": {"properties": {"action": {"const": each["name"]}}, "required": ["action"]},
                "then": build_parameter_schema(each),
            }
            for each in actions
        ]
    }


def _require_known_actions(actions: Iterable[Mapping[str, Any]]) -> Schema:
    """Return that actions have to be known unless a task queue names a worker elsewhere."""
    known = {"enum": [each["name"] for each in actions]}
    queue = {"required": ["task_queue"], "properties": {"task_queue": {"type": "string", "minLength": 1}}}
    is_action = {"properties": {"type": {"const": "action"}}, "required": ["type", "action"]}
    node = {"if": {"allOf": [is_action, {"not": queue}]}, "then": {"properties": {"action": known}}}
    return {
        "if": {"required": ["settings"], "properties": {"settings": {"type": "object", **queue}}},
        "else": {"properties": {"nodes": {"items": node}}},
    }
