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
from orchestrator.model.node_types import KINDS
from orchestrator.model.plan import MAX_DELAY_SECONDS
from orchestrator.planner.action_schemas import build_parameter_schema, list_definitions
from orchestrator.planner.editor_types import build_node_type, build_trigger_type
from orchestrator.planner.editor_vocabulary import (
    CRON,
    EMPTY,
    NOT_RESERVED,
    NUMBER,
    TEMPLATE,
    Schema,
    choose,
    may_be_empty,
    refer,
)
from orchestrator.planner.key_checks import KEY_NAME, MAX_KEYS
from orchestrator.planner.policies import BOUNDS, RETRYABLE, SIDE_CALL_KEYS, SYNONYMS

DIALECT = "http://json-schema.org/draft-07/schema#"
STARTS: list[Schema] = [
    {
        "required": ["edges"],
        "properties": {"edges": {"contains": {"required": ["source"], "properties": {"source": {"const": TRIGGER}}}}},
    },
    {"properties": {"nodes": {"contains": {"required": ["type"], "properties": {"type": {"const": "trigger"}}}}}},
]
"""How a graph starts: by an edge from `trigger`, or by a node of that type."""
PARTS: dict[str, type[Part]] = {
    "workflow": Definition, "trigger": Trigger, "node": Node, "edge": Edge, "settings": Settings
}  # fmt: skip
PORTS = ("next", *dict.fromkeys(port for kind in KINDS.values() for port in kind.ports if port != "next"))
EXECUTIONS = ("activity", "local")
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
    definitions = {name: _describe_part(model) for name, model in PARTS.items()}
    definitions["trigger"] |= {"required": ["type"], "allOf": [build_trigger_type(name) for name in TRIGGER_TYPES]}
    definitions["node"] |= {"required": ["id", "type"], "allOf": [build_node_type(name) for name in KINDS]}
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


ID_LIST: Schema = may_be_empty({"type": "array", "items": {"type": "string"}})
TIMEOUT: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DELAY_SECONDS}
ON_ERROR = may_be_empty(refer("on_error"))
RETRY = may_be_empty(refer("retry"))
PROPERTIES: dict[tuple[str, str], Schema] = {
    ("", "id"): {"type": ["string", "null"]},
    ("", "name"): {"type": ["string", "null"]},
    ("", "description"): {"type": ["string", "null"]},
    ("", "config"): {"type": ["object", "null", "string", "number", "array"]},
    ("", "retry"): RETRY,
    ("", "on_error"): ON_ERROR,
    ("", "timeout_seconds"): may_be_empty(TIMEOUT),
    ("", "task_queue"): {"type": ["string", "null"]},
    ("", "execution"): choose(EXECUTIONS),
    ("Definition", "name"): {"type": "string", "pattern": r"\S"},
    ("Definition", "status"): choose(STATUSES),
    ("Definition", "trigger"): refer("trigger"),
    ("Definition", "nodes"): {"type": "array", "minItems": 1, "items": refer("node")},
    ("Definition", "edges"): may_be_empty({"type": "array", "items": refer("edge")}),
    ("Definition", "variables"): may_be_empty({"type": "object", "propertyNames": NOT_RESERVED}),
    ("Definition", "settings"): may_be_empty(refer("settings")),
    ("Trigger", "type"): {"enum": list(TRIGGER_TYPES)},
    ("Trigger", "cron"): may_be_empty(CRON),
    ("Trigger", "interval_seconds"): may_be_empty({"type": "number", "minimum": 1, "multipleOf": 1}),
    ("Trigger", "event"): {"type": ["string", "null"]},
    ("Trigger", "webhook_path"): {"type": ["string", "null"]},
    ("Trigger", "config"): may_be_empty({"type": "object"}),
    ("Edge", "source"): {"type": "string", "minLength": 1},
    ("Edge", "target"): {"type": "string", "minLength": 1},
    ("Edge", "label"): {"type": ["string", "null"]},
    ("Edge", "condition"): {"anyOf": [{"enum": list(PORTS)}, {"type": ["string", "boolean", "null"]}]},
    ("Node", "id"): {"type": "string", "minLength": 1, "pattern": r"^[^/#\[\]\x00-\x1f]*$"},
    ("Node", "type"): {"enum": list(KINDS)},
    ("Node", "outputs"): ID_LIST,
    ("Node", "when"): may_be_empty(refer("condition")),
    ("Node", "action"): {"type": ["string", "null"]},
    ("Node", "condition"): may_be_empty(refer("condition")),
    ("Node", "true_branch"): ID_LIST,
    ("Node", "false_branch"): ID_LIST,
    ("Node", "body"): ID_LIST,
    ("Node", "branches"): may_be_empty({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}),
    ("Node", "item_variable"): may_be_empty({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}),
    ("Node", "collection"): {
        "anyOf": [{"type": "array"}, {"type": "number", "minimum": 0, "multipleOf": 1}, TEMPLATE, EMPTY]
    },
    ("Node", "delay_seconds"): may_be_empty({"type": ["number", "string"], "minimum": 0, "maximum": MAX_DELAY_SECONDS}),
    ("Node", "delay_until"): {"type": ["string", "null"]},
    ("Node", "compensate"): may_be_empty(refer("side_call")),
    ("Settings", "notify"): may_be_empty(refer("side_call")),
    ("Settings", "strict"): {"type": ["boolean", "null"]},
    ("Settings", "fuse"): {"type": ["boolean", "null"]},
    ("Settings", "max_steps"): may_be_empty({"type": "number", "minimum": 1}),
    ("Settings", "step_log_limit"): may_be_empty({"type": "number", "minimum": 1}),
    ("Settings", "compensate"): choose(("on_failure", "on_cancel", "both", "never")),
    ("Settings", "keys"): may_be_empty(
        {
            "type": "object",
            "maxProperties": MAX_KEYS,
            "propertyNames": {"pattern": f"^{KEY_NAME.pattern}$"},
            "additionalProperties": {"type": ["string", "number"]},
        }
    ),
    ("Settings", "input_schema"): {"type": ["object", "boolean", "null"]},
}
"""The schema of a key, by model; the model `""` is any."""


def _build_condition() -> Schema:
    keys = {key for shape in SHAPES.values() for key in shape}
    properties: Schema = {key: {} for key in sorted(keys)}
    properties |= {
        "type": choose(SHAPES),
        "field": {"type": ["string", "null"]},
        "operator": {"anyOf": [{"enum": list(OPERATORS)}, EMPTY]},
        "conditions": may_be_empty({"type": "array", "items": refer("condition")}),
        "condition": may_be_empty(refer("condition")),
        "preset": choose(PRESETS),
        "expression": may_be_empty({"type": "string", "pattern": r"^\s*\{\{[\s\S]*\}\}\s*$"}),
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
        "config": may_be_empty({"type": "object"}),
        "retry": RETRY,
        "timeout_seconds": {"anyOf": [TIMEOUT, {"type": "null"}]},
    }
    return {
        "type": "object",
        "required": ["action"],
        "properties": properties,
        "additionalProperties": False,
        "allOf": [refer("call")],
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
