"""The table of operators of expressions: `a + b`, `a < b`, `a and b`. The parser and the docs read it.

Comparisons are those of conditions (`operators`), so `==` is `equals` and `<` is `less_than`. `evaluate` computes
`and`, `or` and `??` itself, because they do not always need their right side. Replay-sensitive.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import EvaluationError
from orchestrator.jsontools.json_types import describe_type
from orchestrator.language.costs import CHARACTER, RESULT_ITEM
from orchestrator.language.env import Env
from orchestrator.language.values import MAX_NUMBER, MAX_TEXT_LENGTH, is_number, read_number

OR, AND, NOT, COMPARISON, COALESCE, SUM, PRODUCT = range(1, 8)
"""How tightly an operator binds, loosest first."""


@dataclass(frozen=True, slots=True)
class Infix:
    """An operator between two values."""

    symbol: str
    precedence: int
    description: str
    example: str
    compute: Callable[[Env, Any, Any], Any] | None = None
    """Its code, for arithmetic."""
    condition: str = ""
    """The operator of conditions, for a comparison."""

    @property
    def name(self) -> str:
        """Return the symbol: the name in catalogues."""
        return self.symbol

    @property
    def signature(self) -> str:
        """Return how the operator is written."""
        return f"a {self.symbol} b"


def _refuse(symbol: str, takes: str, left: Any, right: Any) -> EvaluationError:
    kinds = f"{describe_type(left)} and {describe_type(right)}"
    hint = None
    if left is None or right is None:
        hint = "write `(x ?? 0)` for a value that may be missing"
    elif any(isinstance(value, str) and read_number(value) is not None for value in (left, right)):
        hint = "use `| number` for the number in a text, `| string` for the text of a number"
    elif symbol == "+" and (isinstance(left, str) or isinstance(right, str)):
        hint = "use `| string` for the text of a value"
    return EvaluationError(f"`{symbol}` takes {takes}, not {kinds}", hint=hint)


def _require_bounded(value: Any) -> Any:
    # Also bounds the time: numbers of thousands of digits take long to multiply.
    if not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise EvaluationError("the number is too large")
    return value


def _compute_numbers(symbol: str, compute: Callable[[Any, Any], Any]) -> Callable[[Env, Any, Any], Any]:
    def call(env: Env, left: Any, right: Any) -> Any:
        if not is_number(left) or not is_number(right):
            raise _refuse(symbol, "two numbers", left, right)
        try:
            return _require_bounded(compute(_require_bounded(left), _require_bounded(right)))
        except ZeroDivisionError:
            raise EvaluationError("division by zero") from None

    return call


_add_numbers = _compute_numbers("+", lambda left, right: left + right)


def _add(env: Env, left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        length = len(left) + len(right)
        if length > MAX_TEXT_LENGTH:
            raise EvaluationError(f"the text is longer than {MAX_TEXT_LENGTH:,} characters")
        env.spend(CHARACTER * length)
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        env.spend(RESULT_ITEM * (len(left) + len(right)))
        return left + right
    if not is_number(left) or not is_number(right):
        raise _refuse("+", "two numbers, two texts or two lists", left, right)
    return _add_numbers(env, left, right)


def _divide(left: Any, right: Any) -> Any:
    """Return a whole number where two whole numbers divide evenly: 6 / 2 is 3, not 3.0."""
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return left / right


def negate_number(env: Env, value: Any) -> Any:
    """Return the negative of a number; raises EvaluationError for anything else."""
    if not is_number(value):
        hint = "write `(x ?? 0)` for a value that may be missing" if value is None else None
        raise EvaluationError(f"`-` takes a number, not {describe_type(value)}", hint=hint)
    return -value


def find_child_key(key: Any, env: Env) -> str | int | None:
    """Return a computed key as `get_child` takes it; `None` if it cannot be a key."""
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int):
        return key
    if isinstance(key, float) and key.is_integer():
        return int(key)
    if key is not None:
        env.warnings.add(f"`[ ]` takes a key or a whole number, not {describe_type(key)}")
    return None


_TABLE = (
    Infix("or", OR, "a unless it is null, false, 0 or empty, else b.", '{{ input.nick or "friend" }}'),
    Infix("and", AND, "a if it is null, false, 0 or empty, else b.", "{{ total > 1000 and items | count > 1 }}"),
    Infix("==", COMPARISON, "Equal, as in `equals`.", '{{ invoice.status == "open" }}', condition="equals"),
    Infix("!=", COMPARISON, "Not equal.", '{{ invoice.status != "paid" }}', condition="not_equals"),
    Infix("<", COMPARISON, "Smaller number or earlier date.", "{{ price < 3 }}", condition="less_than"),
    Infix("<=", COMPARISON, "Smaller or equal.", "{{ price <= 3 }}", condition="less_than_or_equals"),
    Infix(">", COMPARISON, "Larger number or later date.", "{{ input.due > now() }}", condition="greater_than"),
    Infix(">=", COMPARISON, "Larger or equal.", "{{ total >= 1000 }}", condition="greater_than_or_equals"),
    Infix("??", COALESCE, "a unless it is null or missing, else b.", '{{ nick ?? "none" }}'),
    Infix("+", SUM, "Sum of numbers; two texts or two lists in one.", '{{ name + "!" }}', _add),
    Infix("-", SUM, "Difference.", "{{ total - 34.5 }}", _compute_numbers("-", lambda left, right: left - right)),
    Infix("*", PRODUCT, "Product.", "{{ price * 2 }}", _compute_numbers("*", lambda left, right: left * right)),
    Infix(
        "/",
        PRODUCT,
        "Quotient; whole if two whole numbers divide evenly.",
        "{{ invoice.amount / 500 }}",
        _compute_numbers("/", _divide),
    ),
    Infix(
        "%",
        PRODUCT,
        "Remainder, with the sign of b.",
        "{{ invoice.amount % 7 }}",
        _compute_numbers("%", lambda left, right: left % right),
    ),
)
INFIX: dict[str, Infix] = {operator.symbol: operator for operator in _TABLE}
