"""Infer the type of an expression, and report what certainly goes wrong in it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, assert_never

from orchestrator.errors import ProblemCode
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language.arithmetic import INFIX
from orchestrator.language.lexer import locate
from orchestrator.language.nodes import (
    Binary,
    Call,
    Index,
    List,
    Literal,
    Node,
    Object,
    Path,
    Piped,
    Unary,
    mark_optional,
)
from orchestrator.language.values import read_date, read_number
from orchestrator.planner.data_flow.narrowing import narrow_expression
from orchestrator.planner.data_flow.signatures import FIELDS, FUNCTIONS, PIPES
from orchestrator.planner.data_flow.types import (
    ANY,
    BOOLEAN,
    MISSING,
    NULL,
    NUMBER,
    TEXT,
    Kind,
    State,
    Type,
    add_kinds,
    drop_kinds,
    get_child,
    get_items,
    holds_outside,
    join,
    join_all,
    keep_kinds,
    make_list,
    make_object,
    mark_outside,
    read_value,
    type_of,
)

Report = Callable[[str, ProblemCode, str, str | None], None]
"""Reports the JSON Pointer of a finding, its code, a message and a hint."""
ReportAbsent = Callable[[str, str, Path, Type, bool], None]
"""Reports a name that may be missing: the JSON Pointer and the text that reads it, the path, the name's type, and
whether it is read to learn whether it is there."""

CLEAN = frozenset(("hash", "length", "count"))
"""Pipes that return nothing that a value from outside can decide."""
TEXT_ONLY: frozenset[Kind] = frozenset(("text", "null"))
HINTS = {"list": "use `| first`, `| map(…)` or `| join` on a list", "object": "name one of its fields, or use `| json`"}


def ignore(*finding: Any) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Inference:
    """Infers types in one state, and reports what goes wrong."""

    state: State
    fixed: State
    """The types of `input`, `trigger`, `run` and `workflow`."""
    report: Report = ignore
    report_absent: ReportAbsent = ignore
    """Gets each variable and step that is read and may be missing, and what is optional where it is never there."""
    warn: Report = ignore
    """Gets what is optional and certainly missing: then what is used in its place is always used."""
    pointer: str = ""
    text: str = ""
    """The text that holds the expression, for line and column."""
    asks: bool = False
    """Whether the expression asks whether there is anything."""

    def move(self, pointer: str, text: str = "") -> "Inference":
        """Return the same for an expression elsewhere."""
        return Inference(self.state, self.fixed, self.report, self.report_absent, self.warn, pointer, text, self.asks)

    def find(self, code: ProblemCode, offset: int, message: str, hint: str | None) -> None:
        """Report a finding at an offset of the text."""
        self.report(self.pointer, code, f"{locate_text(self.text, offset)}{message}", hint)

    def infer(self, node: Node) -> Type:
        """Return the type of an expression."""
        match node:
            case Literal(value):
                return type_of(value)
            case Path():
                return read_value(self._infer_path(node))
            case List(items=items):
                return make_list(join_all(map(self.infer, items)))
            case Object(entries=entries):
                return make_object({key: self.infer(item) for key, item in entries})
            case Index():
                return self._infer_index(node)
            case Call(name=name, arguments=arguments):
                for argument in arguments:
                    self.infer(argument)
                return FUNCTIONS.get(name, ANY)
            case Piped():
                return self._infer_pipe(node)
            case Binary():
                return self._infer_binary(node)
            case Unary(operator=operator, operand=operand):
                if operator == "not":
                    self.infer(ask_presence(operand))
                    return BOOLEAN
                value = self.infer(operand)
                self._require(value, frozenset(("number",)), node.offset, "`-` takes a number")
                return NUMBER
            case _:
                assert_never(node)

    def look_up(self, root: str, parts: tuple[str | int, ...]) -> tuple[Type, tuple[str | int, ...]]:
        """Return the type of a variable or a step, and the rest of the path."""
        if root == "steps":
            if not parts:
                return ANY, ()
            return self.state.get(f"steps.{parts[0]}", MISSING), parts[1:]
        return self.state.get(root) or self.fixed.get(root) or MISSING, parts

    def _infer_path(self, path: Path) -> Type:
        if path.root == "secrets":
            return TEXT
        value, rest = self.look_up(path.root, path.parts)
        # Whether a step has run is a question that its status answers.
        asks = self.asks or path.optional or rest == ("status",)
        if value == MISSING or (value.may_be_absent and not asks):
            self.report_absent(self.pointer, self.text, path, value, asks)
        name = ".".join(map(str, (path.root, *path.parts[: len(path.parts) - len(rest)])))
        for part in rest:
            child = get_child(value, part)
            if child == MISSING and not value.is_absent:
                self._report_field(value, name, part, path)
                return NULL
            value, name = child, f"{name}.{part}"
        return value

    def _report_field(self, value: Type, name: str, part: str | int, path: Path) -> None:
        report = self.warn if path.optional else self.report
        where = locate_text(self.text, path.offset)
        if "object" in value.kinds:
            known = [field for field, type_ in value.fields.items() if type_ != MISSING]
            hint = did_you_mean(part, known) or (f"its fields: {join_names(known)}" if known else None)
            if {"status", "output", "error"} == set(known):
                hint = did_you_mean(part, known) or f"did you mean `output.{part}`?"
            report(self.pointer, "unknown_field", f"{where}`{name}` has no field {part!r:.60}", hint)
        else:
            what = keep_kinds(value, value.kinds - {"null", "missing"}).describe()
            hint = "use `| first`, an index, or `| map(…)`" if "list" in value.kinds else None
            report(self.pointer, "unknown_field", f"{where}`{name}` is {what}: it has no field {part!r:.60}", hint)

    def _infer_index(self, node: Index) -> Type:
        value = self.infer(node.subject)
        for key in node.keys:
            self.infer(key)
            match key:
                case Literal(value=str() | int() as part) if not isinstance(part, bool):
                    value = get_child(value, part)
                case _:
                    value = _infer_elements(value)
        return read_value(value)

    def _infer_pipe(self, node: Piped) -> Type:
        value = self.infer(mark_optional(node.subject) if node.name == "default" else node.subject)
        arguments = [self.infer(argument) for argument in node.arguments]
        signature = PIPES.get(node.name)
        if signature is None:
            return ANY
        takes = signature.text.partition(" → ")[0]
        if not self._require(value, signature.takes, node.offset, f"`{node.name}` takes {takes}"):
            return value
        result = signature.compute(keep_kinds(value, signature.takes), arguments)
        if node.name not in CLEAN and _is_from_outside(result, value, arguments):
            result = mark_outside(result)
        rest = value.kinds - signature.takes
        return join(result, keep_kinds(value, rest)) if rest else result

    def _infer_binary(self, node: Binary) -> Type:
        if node.operator in ("and", "or"):
            return self._infer_choice(node)
        left = self.infer(mark_optional(node.left) if node.operator == "??" or _is_null(node.right) else node.left)
        right = self.infer(mark_optional(node.right) if _is_null(node.left) else node.right)
        infix = INFIX[node.operator]
        if infix.condition:
            self.check_comparison(infix.condition, left, right, node.offset, f"`{node.operator}`")
            return BOOLEAN
        if infix.compute is not None:
            return self._infer_arithmetic(node, left, right)
        return right if left.is_absent else join(drop_kinds(left, "null", "missing"), right)

    def _infer_choice(self, node: Binary) -> Type:
        """Infer `and` and `or`: the right side is computed only where the left one has not decided."""
        left = self.infer(ask_presence(node.left))
        known = narrow_expression(node.left, self.state, holds=node.operator == "and")
        return join(left, replace(self, state=known).infer(node.right))

    def _infer_arithmetic(self, node: Binary, left: Type, right: Type) -> Type:
        kinds: frozenset[Kind] = frozenset(("number", "text", "list") if node.operator == "+" else ("number",))
        takes = "two numbers, two texts or two lists" if node.operator == "+" else "two numbers"
        what = f"`{node.operator}` takes {takes}"
        sound = self._require(left, kinds, node.offset, what) and self._require(right, kinds, node.offset, what)
        both = left.kinds & right.kinds & kinds
        if sound and not both and not left.is_absent and not right.is_absent:
            hint = "use `| number` for the number in a text, `| string` for the text of a value"
            message = f"{what}, not {left.describe()} and {right.describe()}"
            self.find("wrong_operand", node.offset, message, hint)
        if not both:
            return ANY
        text = mark_outside(TEXT) if left.outside or right.outside else TEXT
        parts = [NUMBER if "number" in both else None, text if "text" in both else None]
        parts.append(join(keep_kinds(left, {"list"}), keep_kinds(right, {"list"})) if "list" in both else None)
        return reduce(join, [part for part in parts if part is not None])

    def _require(self, value: Type, takes: frozenset[Kind], offset: int, what: str) -> bool:
        """Report a value that is certainly of the wrong kind; return whether it may be right."""
        if value.kinds & takes or value.is_absent:
            return True
        shown = drop_kinds(value, "null", "missing")
        hint = next((HINTS[kind] for kind in HINTS if kind in shown.kinds and kind not in takes), None)
        self.find("wrong_operand", offset, f"{what}, not {shown.describe()}", hint)
        return False

    def check_comparison(self, operator: str, field: Type, value: Type, offset: int, shown: str) -> None:
        """Report a comparison that can never hold, or, for a negation, that always holds."""
        if field.is_absent or value.is_absent:
            return
        takes = FIELDS.get(operator)
        always = operator.startswith("not_")
        result = "always true" if always else "never true"
        if takes is not None and not field.kinds & takes:
            what = drop_kinds(field, "null", "missing").describe()
            self.find("never_holds", offset, f"{shown} is {result}: the field is {what}", _suggest_field(field))
        elif operator in ("equals", "not_equals"):
            self._check_equality(field, value, offset, shown, result)

    def _check_equality(self, field: Type, value: Type, offset: int, shown: str, result: str) -> None:
        if not field.kinds & value.kinds:
            what = f"the field is {drop_kinds(field, 'null', 'missing').describe()}, the value {value.describe()}"
            self.find("never_holds", offset, f"{shown} is {result}: {what}", _suggest_same_kind(field, value))
        elif (
            field.kinds & value.kinds == {"text"}
            and field.texts is not None
            and value.texts is not None
            and not field.texts & value.texts
            and not any(read_date(text) for text in (*field.texts, *value.texts))
        ):
            wanted = ", ".join(sorted(value.texts))
            hint = did_you_mean(wanted, field.texts) or f"it can be: {join_names(sorted(field.texts))}"
            self.find("never_holds", offset, f"{shown} is {result}: the field is never {wanted!r:.60}", hint)


def _is_null(node: Node) -> bool:
    """Return whether a node is the constant null: to compare with it asks whether there is anything."""
    return isinstance(node, Literal) and node.value is None


def ask_presence(node: Node) -> Node:
    """Mark a path whose truth is asked for as optional: the question is whether there is anything."""
    return mark_optional(node) if isinstance(node, Path) else node


def locate_text(text: str, offset: int) -> str:
    """Return line and column of an offset, for the beginning of a message."""
    if not text:
        return ""
    line, column = locate(text, offset)
    return f"{line}:{column}: "


def _is_from_outside(result: Type, value: Type, arguments: list[Type]) -> bool:
    """Return whether someone outside may choose what a pipe returns: its value, or a part of the text."""
    if value.outside:
        return True
    return result.kinds <= TEXT_ONLY and any(map(holds_outside, (value, *arguments)))


def _infer_elements(value: Type) -> Type:
    """Return the type of what a computed key may lead to."""
    found = [get_items(value)] if "list" in value.kinds else []
    if "object" in value.kinds:
        fields = join_all(value.fields.values()) if value.closed and value.fields else ANY
        found.append(mark_outside(fields) if value.outside else fields)
    return add_kinds(join_all(found), "missing")


def _suggest_field(field: Type) -> str | None:
    if "list" in field.kinds:
        return "compare `| length`, or one of its elements"
    return "name one of its fields" if "object" in field.kinds else None


def _suggest_same_kind(field: Type, value: Type) -> str | None:
    if "number" in field.kinds and value.texts and all(read_number(text) is not None for text in value.texts):
        return "write the number without quotes"
    if "text" in field.kinds and "number" in value.kinds:
        return "write the value in quotes"
    return None
