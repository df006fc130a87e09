"""Compile conditions (SPEC §4) into closures that return a result and the comparisons behind it.

Replay-sensitive: no clock, no randomness; evaluation is lazy and from left to right.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.errors import ConditionError, Problem, ProblemCode, Severity, TemplateSyntaxError
from orchestrator.jsontools.json_types import describe_type, describe_unknown
from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.language import (
    CompiledValue,
    Env,
    Name,
    Template,
    compile_expression,
    compile_template,
    compile_value,
    walk,
)
from orchestrator.language.condition_tests import (
    Test,
    check_presence,
    check_truth,
    combine_all,
    combine_any,
    compare_with_constant,
    compare_with_template,
    negate,
    refuse_to_decide,
)
from orchestrator.language.evidence import Comparison, build_evidence
from orchestrator.language.operators import HINTS, OPERATORS, TAKES, Operator, accepts_value, compile_pattern
from orchestrator.language.presets import PRESETS
from orchestrator.language.values import json_equal

MAX_DEPTH = 32
"""Nested conditions."""
MAX_CONDITIONS = 1_000
"""Conditions within one condition, itself included."""

SHAPES: Mapping[str, tuple[str, ...]] = {
    "and": ("conditions",),
    "or": ("conditions",),
    "not": ("condition",),
    "simple": ("field", "operator", "value"),
    "preset": ("preset",),
    "expression": ("expression",),
}
"""The keys of each kind of condition. `type` can be omitted where the keys identify the kind."""
NOTES = ("id", "name", "label", "description")
"""Notes for people, allowed in any condition."""
EMPTY: tuple[Any, ...] = (None, "", [], {})


class Condition:
    """A compiled condition."""

    __slots__ = ("_test", "names", "uses_secrets")

    def __init__(self, test: Test, names: frozenset[Name]) -> None:
        self._test = test
        self.names = names
        """Every path that it may read."""
        self.uses_secrets = False
        """Always false: the compared values are recorded in histories."""

    def decide(self, env: Env) -> tuple[bool, list[Comparison]]:
        """Return the result and the comparisons, within a budget of its own; `build_evidence` formats them.

        Raises ConditionError and EvaluationError.
        """
        env.meter.start_value()
        seen: list[Comparison] = []
        return self._test(env, seen), seen

    def evaluate(self, env: Env) -> bool:
        """Return the result without the comparisons."""
        return self.decide(env)[0]

    def test(self, env: Env) -> bool:
        """Return the result as a part of a value whose budget has begun."""
        return self._test(env, [])


def compile_condition(source: Any) -> Condition:
    """Compile a condition; raises ConditionError with the JSON Pointer of the first error."""
    reader = _Reader()
    test = reader.read_condition(source, "", 0)
    for problem in reader.problems:
        if problem.severity == "error":
            raise ConditionError(problem.message, where=problem.path or None, hint=problem.hint)
    return Condition(test, frozenset(reader.names))


def find_problems(condition: Any, path: str = "") -> list[Problem]:
    """Return every error and warning of a condition; `path` is its JSON Pointer in the definition."""
    reader = _Reader()
    reader.read_condition(condition, path, 0)
    return reader.problems


class _Reader:
    """Walks a condition once, compiles its test and collects every problem."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.names: list[Name] = []
        self.count = 0

    def report(
        self, code: ProblemCode, path: str, message: str, hint: str | None = None, severity: Severity = "error"
    ) -> None:
        self.problems.append(Problem(severity, code, path, message, hint))

    def read_condition(self, source: Any, path: str, depth: int) -> Test:
        self.count += 1
        if depth >= MAX_DEPTH:
            self.report("condition_structure", path, f"conditions are nested deeper than {MAX_DEPTH} levels")
        elif self.count == MAX_CONDITIONS + 1:
            self.report("condition_structure", path, f"the condition contains more than {MAX_CONDITIONS:,} conditions")
        elif self.count <= MAX_CONDITIONS:
            kind = self.find_kind(source, path)
            if kind is not None:
                self.check_keys(kind, source, path)
                return self.read_kind(kind, source, path, depth)
        return refuse_to_decide

    def find_kind(self, source: Any, path: str) -> str | None:
        """Return the kind of a condition, from its `type` or its keys."""
        if not isinstance(source, dict):
            message = f"a condition must be an object, not {describe_type(source)}"
            self.report("condition_structure", path, message, _SHAPE_HINT)
            return None
        kind = source.get("type")
        if kind in EMPTY:
            for key, meant in (("preset", "preset"), ("expression", "expression"), ("field", "simple")):
                if source.get(key) not in EMPTY:
                    return meant
            misspelt = (did_you_mean(key, ("field", "preset", "expression", "type")) for key in source)
            hint = next(filter(None, misspelt), _SHAPE_HINT)
            self.report(
                "condition_structure", path, "the condition has no `field`, `preset`, `expression` or `type`", hint
            )
            return None
        if not isinstance(kind, str) or kind not in SHAPES:
            hint = did_you_mean(kind, SHAPES) or f"known types: {', '.join(SHAPES)}"
            self.report("condition_structure", f"{path}/type", describe_unknown("condition type", kind), hint)
            return None
        return kind

    def check_keys(self, kind: str, source: dict[str, Any], path: str) -> None:
        """Report keys of another kind and misspelt keys as errors, other unused keys as warnings."""
        own = SHAPES[kind]
        for key, value in source.items():
            if key == "type" or key in own or key in NOTES or not value:
                continue
            at = f"{path}/{escape(key)}"
            near = did_you_mean(key, own)
            if any(key in keys for keys in SHAPES.values()) or near:
                self.report("unknown_key", at, f"a condition of type `{kind}` has no key `{key!s:.60}`", near)
            else:
                self.report("unknown_key", at, f"the key `{key!s:.60}` is not used", None, "warning")

    def read_kind(self, kind: str, source: dict[str, Any], path: str, depth: int) -> Test:
        match kind:
            case "and" | "or":
                tests = self.read_all(source.get("conditions"), f"{path}/conditions", depth, kind)
                return combine_all(tests) if kind == "and" else combine_any(tests)
            case "not":
                return negate(self.read_condition(source.get("condition"), f"{path}/condition", depth + 1))
            case "preset":
                return self.read_preset(source.get("preset"), f"{path}/preset", depth)
            case "expression":
                return self.read_expression(source.get("expression"), f"{path}/expression")
            case _:
                return self.read_simple(source, path)

    def read_all(self, sources: Any, path: str, depth: int, kind: str) -> tuple[Test, ...]:
        if not isinstance(sources, list | tuple):
            self.report("condition_structure", path, f"`{kind}` needs a list of conditions")
            return ()
        if not sources:
            always = "true" if kind == "and" else "false"
            message = f"`{kind}` without conditions is always {always}"
            self.report("condition_structure", path, message, None, "warning")
        limited = sources[: MAX_CONDITIONS + 1]
        return tuple(self.read_condition(source, f"{path}/{index}", depth + 1) for index, source in enumerate(limited))

    def read_preset(self, name: Any, path: str, depth: int) -> Test:
        preset = PRESETS.get(name) if isinstance(name, str) else None
        if preset is None:
            hint = did_you_mean(name, PRESETS) or f"known presets: {', '.join(PRESETS)}"
            self.report("unknown_preset", path, describe_unknown("preset", name), hint)
            return refuse_to_decide
        return self.read_condition(preset.condition, path, depth + 1)

    def read_expression(self, source: Any, path: str) -> Test:
        text = source.strip() if isinstance(source, str) else ""
        template = self.read_template(compile_template, text, path)
        if template is None:
            return refuse_to_decide
        if not template.is_expression:
            self.report(
                "condition_structure", path, "`expression` must be a single `{{ … }}`", "for example {{ input.ready }}"
            )
            return refuse_to_decide
        self.names.extend(template.names)
        return check_truth(text, template)

    def read_simple(self, source: dict[str, Any], path: str) -> Test:
        template = self.read_field(source.get("field"), f"{path}/field")
        operator = self.read_operator(source.get("operator"), f"{path}/operator")
        value = self.read_value(source.get("value"), operator, f"{path}/value")
        if template is None or operator is None or value is None:
            return refuse_to_decide
        field = str(source["field"])
        if operator.takes == "none" and not template.is_path and operator.sees_missing:
            self.report(
                "condition_structure",
                f"{path}/field",
                f"`field` of `{operator.name}` must be a path",
                "for example input.name",
            )
        names = template.names
        self.names.extend(replace(name, optional=True) if operator.sees_missing else name for name in names)
        self.names.extend(value.names)
        if operator.sees_missing:
            return check_presence(field, template, operator)
        if is_constant(source.get("value")):
            return compare_with_constant(field, template, operator, source.get("value"))
        return compare_with_template(field, template, operator, value)

    def read_field(self, source: Any, path: str) -> Template | None:
        """Compile the field of a simple condition: a path or a template."""
        if not isinstance(source, str) or not source.strip():
            self.report("condition_structure", path, "`field` must be a path or a template", "for example input.amount")
            return None
        if "{{" in source:
            return self.read_template(compile_template, source, path)
        template = self.read_template(compile_expression, source, path)
        if template is not None and not template.is_path:
            self.report("condition_structure", path, f"{source[:60]!r} is not a path", "write an expression as {{ … }}")
            return None
        return template

    def read_operator(self, name: Any, path: str) -> Operator | None:
        if name in EMPTY:
            return OPERATORS["equals"]
        operator = OPERATORS.get(name) if isinstance(name, str) else None
        if operator is None:
            hint = did_you_mean(name, OPERATORS) or f"known operators: {', '.join(OPERATORS)}"
            self.report("unknown_operator", path, describe_unknown("operator", name), hint)
        return operator

    def read_value(self, source: Any, operator: Operator | None, path: str) -> CompiledValue | None:
        """Compile the value of a simple condition and check what is known before the run."""
        before = len(self.problems)
        try:
            for at, text in walk(source, path):
                self.read_template(compile_template, text, at)
        except TemplateSyntaxError as error:
            self.report("template_syntax", path, error.message)
        if len(self.problems) > before:
            return None
        if operator is not None:
            self.check_value(source, operator, path)
        return compile_value(source)

    def check_value(self, value: Any, operator: Operator, path: str) -> None:
        if not accepts_value(value, operator.takes, _is_template):
            severity: Severity = "warning" if operator.takes == "none" else "error"
            message = f"`{operator.name}` takes {TAKES[operator.takes]}, not {describe_type(value)}"
            self.report("value_type", path, message, HINTS.get(operator.takes), severity)
        elif operator.takes == "pattern" and is_constant(value):
            try:
                compile_pattern(value)
            except ConditionError as error:
                self.report("bad_pattern", path, error.message, error.hint)

    def read_template(self, compile_: Callable[[str], Template], text: str, path: str) -> Template | None:
        """Compile a template; return `None` and report a problem if it is invalid or reads secrets."""
        try:
            template = compile_(text)
        except TemplateSyntaxError as error:
            self.report("template_syntax", path, f"{error.where}: {error.message}", error.hint)
            return None
        if template.uses_secrets:
            message = "a condition cannot read secrets, because the values it compares are recorded"
            self.report("secret_in_condition", path, message, "compare the secret inside an action")
            return None
        return template


_SHAPE_HINT = 'write {"field": "input.amount", "operator": "greater_than", "value": 10}'


def is_constant(value: Any) -> bool:
    """Return whether a value contains no templates; raises TemplateSyntaxError."""
    return all(compile_template(text).is_constant for _, text in walk(value))


def _is_template(text: str) -> bool:
    return not compile_template(text).is_constant


__all__ = ["Condition", "build_evidence", "compile_condition", "find_problems", "json_equal"]
