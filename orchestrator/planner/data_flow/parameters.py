"""Check whether what templates return fits the parameters of actions."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BeforeValidator, PlainValidator, WrapValidator

from orchestrator.errors import TemplateSyntaxError
from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.schema import find_problems
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language import compile_template
from orchestrator.model.described_action import DescribedAction
from orchestrator.planner.data_flow.expressions import Inference, Report
from orchestrator.planner.data_flow.schema_types import read_schema
from orchestrator.planner.data_flow.types import ANY, Kind, Type, drop_kinds, read_value
from orchestrator.planner.data_flow.values import infer_json, infer_text
from orchestrator.planner.parameter_checks import has_template
from orchestrator.planner.policies import ActionLike

FORMAT = "x-format"
ADDRESSES, URL = "addresses", "url"
"""Formats of parameters: email addresses, which the text of a number is not, and a URL."""
LAX: Mapping[Kind, tuple[Kind, ...]] = {
    "text": ("number", "boolean"),
    "number": ("text",),
    "boolean": ("text", "number"),
}
"""What is taken for another kind: a number by its text, text that reads as a number."""


def check_parameters(
    spec: ActionLike, config: Mapping[str, Any], pointer: str, inference: Inference, report: Report
) -> None:
    """Report parameters whose templates certainly return what the action does not take."""
    schema = spec.parameter_schema if isinstance(spec, DescribedAction) else read_model(spec.parameters)
    converted = () if isinstance(spec, DescribedAction) else _list_converted(spec.parameters)
    properties = schema.get("properties", {})
    for name, value in config.items():
        wanted = properties.get(name)
        if isinstance(wanted, dict) and has_template(value):
            takes = read_schema({"$defs": schema.get("$defs", {}), **wanted})
            form = wanted.get(FORMAT)
            # The code that converts addresses takes texts and lists of texts, as the schema says.
            check = _ParameterCheck(spec.name, name, form, name in converted and form != ADDRESSES, inference, report)
            check.check(value, takes, f"{pointer}/{escape(name)}")


def check_called_input(
    workflow: str, schema: Any, value: Any, pointer: str, inference: Inference, report: Report
) -> None:
    """Report an input that certainly does not match the `input_schema` of the workflow that is called."""
    if not has_template(value):
        for problem in find_problems(schema, value):
            message = f"the input of workflow {workflow!r:.60} {problem.message}"
            report(f"{pointer}{problem.path}", "schema_mismatch", message, problem.hint)
        return
    _check_called_part(workflow, read_schema(schema), value, pointer, inference, report)


def _check_called_part(
    workflow: str, takes: Type, value: Any, pointer: str, inference: Inference, report: Report
) -> None:
    known = infer_json(value, pointer, inference)
    what = f"the input of workflow {workflow!r:.60}"
    if not known.kinds & takes.kinds and "missing" not in known.kinds:
        report(pointer, "schema_mismatch", f"{what} takes {takes.describe()} here, not {known.describe()}", None)
    elif isinstance(value, dict) and "object" in takes.kinds:
        for key, part in takes.fields.items():
            if key in value:
                _check_called_part(workflow, part, value[key], f"{pointer}/{escape(key)}", inference, report)
            elif not part.may_be_absent and not any("{{" in each for each in value):
                report(pointer, "schema_mismatch", f"{what} requires the property {key!r:.60}", None)


@dataclass(frozen=True, slots=True)
class _ParameterCheck:
    """Checks the value of one parameter, and the parts of it that hold templates."""

    action: str
    name: str
    format: str | None
    is_converted: bool
    """Whether code of its own takes more than the schema says."""
    inference: Inference
    report: Report

    def check(self, value: Any, takes: Type, pointer: str) -> None:
        """Check a value; literal parts are checked elsewhere."""
        match value:
            case str() if "{{" in value:
                self._check_template(value, takes, pointer)
            case list() | dict() if has_template(value):
                kind: Kind = "list" if isinstance(value, list) else "object"
                if kind not in takes.kinds and not self.is_converted:
                    self._add(pointer, f"takes {takes.describe()}, not {'a list' if kind == 'list' else 'an object'}")
                elif isinstance(value, list):
                    for at, item in enumerate(value):
                        self.check(item, takes.items or ANY, f"{pointer}/{at}")
                else:
                    for key, item in value.items():
                        self.check(item, takes.fields.get(key, ANY), f"{pointer}/{escape(key)}")

    def _check_template(self, text: str, takes: Type, pointer: str) -> None:
        known = infer_text(text, pointer, self.inference)
        present = drop_kinds(read_value(known), "null")
        if self.format == URL:
            self._check_url(text, pointer)
        if not present.kinds:
            return
        if self.format == ADDRESSES and present.kinds <= {"number", "boolean"}:
            hint = "a template that returns an address, such as `{{ input.email }}`"
            self._add(pointer, f"takes email addresses, not {present.describe()}", hint)
        elif self.is_converted:
            return
        elif not present.kinds & _widen(takes.kinds):
            as_text = "use `| json` for JSON text" if "text" in takes.kinds else None
            self._add(pointer, f"takes {takes.describe()}, not {present.describe()}", as_text)
        elif present.texts and takes.texts and takes.kinds == {"text"} and not present.texts & takes.texts:
            shown = ", ".join(sorted(present.texts))
            choices = f"it takes: {join_names(sorted(takes.texts))}"
            self._add(pointer, f"cannot be {shown!r:.60}", did_you_mean(shown, takes.texts) or choices)

    def _check_url(self, text: str, pointer: str) -> None:
        """Report a part of a URL that is a list or an object: it would be JSON."""
        try:
            template = compile_template(text)
        except TemplateSyntaxError:
            return
        for node in () if template.is_expression else template.expressions:
            known = drop_kinds(read_value(self.inference.infer(node)), "null")
            if known.kinds and known.kinds <= {"list", "object"}:
                self._add(pointer, f"cannot contain {known.describe()}", "name one of its elements or fields")

    def _add(self, pointer: str, message: str, hint: str | None = None) -> None:
        self.report(pointer, "bad_parameter", f"`{self.name}` of {self.action} {message}", hint)


def _widen(kinds: Collection[Kind]) -> frozenset[Kind]:
    return frozenset(kinds).union(*(LAX.get(kind, ()) for kind in kinds))


@cache
def _list_converted(model: Any) -> frozenset[str]:
    """Return the parameters whose values pass through code before their type is checked."""
    decorators = model.__pydantic_decorators__
    every = any(each.info.mode != "after" for each in decorators.model_validators.values())
    early = [each.info for each in decorators.field_validators.values() if each.info.mode != "after"]
    named = {name for info in early for name in info.fields}
    return frozenset(
        field.alias or name
        for name, field in model.model_fields.items()
        if every
        or name in named
        or any(isinstance(each, BeforeValidator | WrapValidator | PlainValidator) for each in field.metadata)
    )


@cache
def read_model(model: Any) -> dict[str, Any]:
    """Return the JSON Schema of a pydantic model."""
    return dict(model.model_json_schema())
