"""Where types come from: the run, its trigger and its input, and the results of nodes."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.model.approval_forms import build_answer_schema
from orchestrator.model.definition import Definition, Node, Trigger
from orchestrator.planner.callee_keys import make_callee_key
from orchestrator.planner.data_flow.schema_types import read_schema
from orchestrator.planner.data_flow.types import (
    ANY,
    BOOLEAN,
    MISSING,
    NULL,
    NUMBER,
    OBJECT,
    OUTSIDE,
    TEXT,
    Type,
    add_kinds,
    get_child,
    get_field,
    get_items,
    holds_outside,
    join,
    join_all,
    make_list,
    make_object,
    make_text,
    mark_outside,
    read_value,
    replace_fields,
    type_of,
    widen,
)
from orchestrator.planner.policies import Catalogue

ERROR = make_object(
    {
        "message": TEXT,
        "error_type": TEXT,
        "details": OBJECT,
        "node_id": add_kinds(TEXT, "null"),
        "recoverable": BOOLEAN,
        "timestamp": add_kinds(TEXT, "null"),
    }
)
"""The error document of SPEC §6."""
ERROR_FROM_OUTSIDE = replace_fields(ERROR, {**ERROR.fields, "details": mark_outside(OBJECT)})
"""That of what gets answers from outside: its details quote them, such as the body of an HTTP answer."""
SKIPPED = make_object({"skipped": BOOLEAN})


def list_fixed_types(definition: Definition) -> dict[str, Type]:
    """Return the types of the names that a run sets itself."""
    schema = definition.settings.input_schema
    return {
        "workflow": make_object({"id": TEXT, "name": TEXT, "version": NUMBER}),
        "run": make_object({"id": TEXT, "started_at": TEXT, "attempt": NUMBER}),
        "trigger": add_kinds(infer_trigger(definition.trigger), "null"),  # null in a run that was started by hand
        "input": ANY if schema is None else read_schema(schema),
    }


def infer_trigger(trigger: Trigger) -> Type:
    """Return the type of what starts a run by its trigger."""
    match trigger.type:
        case "schedule":
            return make_object({"type": TEXT, "scheduled_at": add_kinds(TEXT, "missing")})
        case "event":
            schema = trigger.config.get("schema")
            return make_object({"id": TEXT, "name": TEXT, "data": mark_outside(read_schema(schema) if schema else ANY)})
        case "webhook":
            encoding = add_kinds(make_text(("json", "form", "text", "base64")), "null")
            sent = mark_outside(OBJECT)
            values = {"body": OUTSIDE, "body_encoding": encoding, "headers": sent, "query": sent}
            return make_object({**values, "method": TEXT, "path": TEXT})
        case _:
            return ANY


def list_filter_names(trigger: Trigger) -> dict[str, Type]:
    """Return the types of the names that the filter of a trigger reads: what was received, and each part of it."""
    received = infer_trigger(trigger)
    return {**received.fields, "trigger": received}


def declare_variable(value: Any) -> Type:
    """Return the type of a declared variable; installations, reruns and operators give it other values."""
    return widen(type_of(value))


def make_step(status: str, output: Type, error: Type = NULL) -> Type:
    """Return the type of `steps.<id>`."""
    return make_object({"status": make_text((status,)), "output": output, "error": error})


def infer_output(node: Node, registry: Catalogue | None, called: Mapping[str, Type]) -> Type:
    """Return the type of the output of a node that has ended well, where its type or what it calls decides it."""
    match node.type:
        case "action":
            return _read_result(node, registry)
        case "condition":
            return make_object({"branch": BOOLEAN})
        case "switch":
            cases = node.config.get("cases")
            return make_object({"case": make_text((*(cases if isinstance(cases, dict) else ()), "default"))})
        case "delay":
            return make_object({"until": TEXT, "slept_seconds": NUMBER})
        case "wait":
            approval = node.config.get("approval")
            if isinstance(approval, Mapping) and approval:
                form = approval.get("form")
                answer = read_schema(build_answer_schema(form if isinstance(form, Mapping) else None))
                return make_object({"event": TEXT, "payload": answer, "by": TEXT, "via": TEXT, "decided_at": TEXT})
            schema = node.config.get("schema")
            payload = read_schema(schema) if isinstance(schema, Mapping) and schema else ANY
            return make_object({"event": TEXT, "payload": mark_outside(payload)})
        case "workflow":
            return _infer_call(node, called)
        case "loop":
            return make_object({"count": NUMBER, "succeeded": NUMBER, "failed": NUMBER, "errors": make_list(OBJECT)})
        case "parallel":
            entry = make_object({"status": TEXT, "output": ANY, "error": join(NULL, ERROR)})
            return make_object({"branches": make_list(entry)})
        case _:
            return NULL


def _infer_call(node: Node, called: Mapping[str, Type]) -> Type:
    """Return the type of the output of a node that calls a workflow."""
    if node.config.get("wait") is False:
        return make_object({"run_id": TEXT, "status": make_text(("running",)), "output": NULL})
    key = make_callee_key(node.config, called) if node.config.get("workflow_id") else ""
    return make_object({"run_id": TEXT, "status": make_text(("completed",)), "output": called.get(key, ANY)})


def _read_result(node: Node, registry: Catalogue | None) -> Type:
    """Return the type of an action's result, with what the author says of its parts."""
    spec = registry.get(node.action) if registry is not None else None
    result = getattr(spec, "result", None)
    known = ANY
    if isinstance(result, Mapping):
        known = read_schema(result)
    elif result is not None:
        known = read_schema(result.model_json_schema(mode="serialization"), closed=True)
    if not node.result_schema:
        return known
    declared = read_schema(node.result_schema)
    if known.kinds != {"object"} or declared.kinds != {"object"}:
        return mark_outside(declared) if holds_outside(known) else declared
    parts = {
        name: mark_outside(part) if holds_outside(get_field(known, name)) else part
        for name, part in declared.fields.items()
    }
    return replace_fields(known, {**known.fields, **parts})


def infer_error(output: Type) -> Type:
    """Return the type of the error document of a node that returns an output where it ends well."""
    return ERROR_FROM_OUTSIDE if holds_outside(output) else ERROR


def allow_failure(output: Type, policy: Any, infer: Callable[[Any], Type]) -> Type:
    """Return the type of an output, with what `on_error` puts in its place."""
    if policy == "skip":
        return join(output, SKIPPED)
    if policy == "pause":  # an operator may give any value
        return ANY
    if isinstance(policy, Mapping) and "fallback" in policy:
        return join(output, make_object({"fallback": BOOLEAN, "value": infer(policy["fallback"])}))
    return output


def read_variable(output: Type, name: str) -> Type:
    """Return the type of a variable that `outputs` takes from an output."""
    return read_value(get_child(output, name))


def infer_item(node: Node, collection: Type) -> Type:
    """Return the type of the item of an iteration."""
    item = _infer_element(collection)
    return make_list(item) if node.config.get("batch_size") else item


def _infer_element(collection: Type) -> Type:
    found: list[Type] = []
    if "list" in collection.kinds:
        found.append(get_items(collection))
    if "number" in collection.kinds:
        found.append(NUMBER)
    return join_all(found) if found else ANY


def forget(state: dict[str, Type], names: list[str]) -> None:
    """Take steps out of a state: an iteration begins without those of the iteration before."""
    for name in names:
        if name in state:
            state[name] = MISSING
