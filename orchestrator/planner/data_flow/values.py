"""Infer the types of JSON values that hold templates, and whether they fit the parameters of actions."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from orchestrator.errors import TemplateSyntaxError
from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language import compile_template
from orchestrator.planner.data_flow.expressions import Inference, Report
from orchestrator.planner.data_flow.types import (
    ANY,
    OBJECT,
    TEXT,
    Kind,
    Type,
    drop_kinds,
    join_all,
    make_list,
    make_object,
    read_value,
    type_of,
)

ADDRESSES = "addresses"
"""`x-format` of a parameter that takes email addresses: the text of a number is none."""
LAX: Mapping[Kind, tuple[Kind, ...]] = {
    "text": ("number", "boolean"),
    "number": ("text",),
    "boolean": ("text", "number"),
}
"""What is taken for another kind: a number by its text, text that reads as a number."""


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
            return OBJECT if computed else make_object(fields)
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
    return types[0] if template.is_expression else TEXT


def check_parameters(
    action: str,
    schema: Mapping[str, Any],
    parameters: Type,
    read: Callable[[Any], Type],
    pointer: str,
    config: Mapping[str, Any],
    report: Report,
    converted: Collection[str] = (),
) -> None:
    """Report parameters whose templates certainly return what the action does not take.

    Those in `converted` have code of their own that takes more than their schema says.
    """
    properties = schema.get("properties", {})
    for name, value in config.items():
        wanted, known = properties.get(name), parameters.fields.get(name)
        if not isinstance(value, str) or "{{" not in value or wanted is None or known is None:
            continue
        takes = read(wanted)
        present = drop_kinds(read_value(known), "null")
        at = f"{pointer}/{escape(name)}"
        if not present.kinds:
            continue
        if wanted.get("x-format") == ADDRESSES and present.kinds <= {"number", "boolean"}:
            hint = "a template that returns an address, such as `{{ input.email }}`"
            report(at, "bad_parameter", f"`{name}` of {action} takes email addresses, not {present.describe()}", hint)
        elif name in converted:
            continue
        elif not present.kinds & _widen(takes.kinds):
            message = f"`{name}` of {action} takes {takes.describe()}, not {present.describe()}"
            report(at, "bad_parameter", message, "use `| json` for JSON text" if "text" in takes.kinds else None)
        elif present.texts and takes.texts and takes.kinds == {"text"} and not present.texts & takes.texts:
            shown = ", ".join(sorted(present.texts))
            hint = did_you_mean(shown, takes.texts) or f"it takes: {join_names(sorted(takes.texts))}"
            report(at, "bad_parameter", f"`{name}` of {action} cannot be {shown!r:.60}", hint)


def _widen(kinds: frozenset[Kind]) -> frozenset[Kind]:
    return kinds.union(*(LAX.get(kind, ()) for kind in kinds))
