"""Infer the types of JSON values that hold templates, and whether they fit the parameters of actions."""

from typing import Any

from orchestrator.errors import TemplateSyntaxError
from orchestrator.jsontools.pointer import escape
from orchestrator.language import compile_template
from orchestrator.planner.data_flow.expressions import Inference
from orchestrator.planner.data_flow.types import (
    ANY,
    OBJECT,
    TEXT,
    Type,
    holds_outside,
    join_all,
    make_list,
    make_object,
    mark_outside,
    type_of,
)


def infer_json(value: Any, pointer: str, inference: Inference) -> Type:
    """Return the type of a value that may hold templates; report what goes wrong in them."""
    match value:
        case str():
            return infer_text(value, pointer, inference)
        case list():
            items = [infer_json(item, f"{pointer}/{at}", inference) for at, item in enumerate(value)]
            return make_list(join_all(items))
        case dict():
            fields: dict[str, Type] = {}
            computed = False
            for key, item in value.items():
                at = f"{pointer}/{escape(key)}"
                computed = computed or "{{" in key
                infer_text(key, at, inference)
                fields[key] = infer_json(item, at, inference)
            if computed:
                return mark_outside(OBJECT) if any(map(holds_outside, fields.values())) else OBJECT
            return make_object(fields)
        case _:
            return type_of(value)


def infer_text(text: str, pointer: str, inference: Inference) -> Type:
    """Return the type of a string that may be a template; report what goes wrong in it."""
    try:
        template = compile_template(text)
    except TemplateSyntaxError:
        return ANY
    if template.is_constant:
        return type_of(text)
    located = inference.move(pointer, text)
    types = [located.infer(node) for node in template.expressions]
    if template.is_expression:
        return types[0]
    return mark_outside(TEXT) if any(map(holds_outside, types)) else TEXT
