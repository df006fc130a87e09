"""The table of pipes (SPEC §3). A pipe that cannot handle its value leaves it unchanged, with a warning.

Each takes time linear in its value, except for sorting. Replay-sensitive.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from orchestrator.language.costs import COUNTED_ITEM, SORTED_ITEM, cost_of_search
from orchestrator.language.date_pipes import check_date, check_zone, move_to_zone, refuse_after_at, show_date
from orchestrator.language.element_pipes import (
    FILTER_EXAMPLE,
    check_chunk,
    check_filter,
    chunk_elements,
    filter_elements,
    list_entries,
    map_elements,
)
from orchestrator.language.encoding_pipes import check_hash, encode_base64, hash_text, parse_text
from orchestrator.language.env import Env
from orchestrator.language.nodes import Node
from orchestrator.language.pipe_values import (
    require_comparable,
    require_date,
    require_finite,
    require_list,
    require_number,
    require_object,
    require_sized,
    require_text,
    require_whole,
)
from orchestrator.language.values import (
    MAX_TEXT_LENGTH,
    CannotTake,
    cost_of_order,
    is_number,
    json_equal,
    to_json_text,
    to_text,
)

MAX_ROUND = 15
MAX_CURRENCY = 10**13
"""Above it, cents are no longer exact."""


@dataclass(frozen=True, slots=True)
class Pipe:
    """A pipe: its signature, its description, and its code `(env, value, *arguments)`."""

    name: str
    signature: str
    description: str
    example: str
    arguments: tuple[int, int]
    call: Callable[..., Any]
    check: Callable[[Node, tuple[Node, ...]], None] | None = None
    """Check the piped node and the arguments when the template is compiled; raises ConditionError."""
    builds: bool = False
    """Whether the result may be nested deeper than the value."""


def _take_item(index: int) -> Callable[..., Any]:
    def call(env: Env, value: Any) -> Any:
        if not isinstance(value, str | list):
            raise CannotTake("text or a list")
        return value[index] if value else None

    return call


def _sum(env: Env, value: Any) -> Any:
    numbers = require_list(value)
    if not all(map(is_number, numbers)):
        raise CannotTake("a list of numbers")
    try:
        return require_finite(sum(numbers))
    except OverflowError:
        raise CannotTake("numbers with a finite sum") from None


def _choose(choose: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def call(env: Env, value: Any) -> Any:
        values = require_comparable(require_list(value))
        if not values:
            raise CannotTake("a list that is not empty")
        env.spend(cost_of_order(values))
        return choose(values)

    return call


def _join(env: Env, value: Any, separator: Any = ", ") -> str:
    glue = to_text(separator, env.spend)
    texts: list[str] = []
    length = 0
    for item in require_list(value):
        text = to_text(item, env.spend)
        length += len(text) + len(glue)
        if length > MAX_TEXT_LENGTH:
            raise CannotTake(f"a list whose text has at most {MAX_TEXT_LENGTH:,} characters")
        texts.append(text)
    return glue.join(texts)


def _json(env: Env, value: Any) -> str | None:
    return None if value is None else to_json_text(value, env.spend)


def _default(env: Env, value: Any, other: Any = "") -> Any:
    return other if value is None or value == "" else value


def _round_decimal(value: Any, digits: int) -> Decimal:
    try:
        return Decimal(str(require_number(value))).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    except (ArithmeticError, ValueError):
        raise CannotTake("a smaller number") from None


def _currency(env: Env, value: Any) -> str:
    number = require_number(value)
    if abs(number) >= MAX_CURRENCY:
        raise CannotTake("a smaller number")
    return f"${float(number):,.2f}"


def _round(env: Env, value: Any, digits: Any = 0) -> int | float:
    places = max(-MAX_ROUND, min(MAX_ROUND, require_whole(digits)))
    number = require_number(value)
    if isinstance(number, int) and places >= 0:
        return number
    rounded = _round_decimal(number, places)
    return int(rounded) if places <= 0 else float(rounded)


def _replace(env: Env, value: Any, old: Any, new: Any) -> str:
    text, before, after = require_text(value), to_text(old, env.spend), to_text(new, env.spend)
    if not before:
        raise CannotTake("text to replace that is not empty")
    env.spend(cost_of_search(text, before))
    if text.count(before) * len(after) > MAX_TEXT_LENGTH:
        raise CannotTake(f"a value whose result has at most {MAX_TEXT_LENGTH:,} characters")
    return text.replace(before, after)


def _split(env: Env, value: Any, separator: Any = ",") -> list[str]:
    glue = to_text(separator, env.spend)
    if not glue:
        raise CannotTake("a separator that is not empty")
    text = require_text(value)
    env.spend(cost_of_search(text, glue))
    return text.split(glue)


def _slice(env: Env, value: Any, start: Any, end: Any = None) -> Any:
    if not isinstance(value, str | list):
        raise CannotTake("text or a list")
    return value[require_whole(start) : None if end is None else require_whole(end)]


def _sort(env: Env, value: Any) -> list[Any]:
    values = require_comparable(require_list(value))
    doublings = len(values).bit_length()
    env.spend(SORTED_ITEM * len(values) * doublings)
    env.spend(sum(len(item) for item in values if isinstance(item, str)) * doublings // 8)
    return sorted(values)


def _unique(env: Env, value: Any) -> list[Any]:
    seen: set[str] = set()
    result = []
    for item in require_list(value):
        key = to_json_text(float(item) if is_number(item) and abs(item) < 2**53 else item, env.spend)
        if key not in seen:
            seen.add(key)
            result.append(item)
    return result


TRUE_TEXTS = frozenset({"true", "yes", "on", "1"})
FALSE_TEXTS = frozenset({"false", "no", "off", "0", ""})


def _bool(env: Env, value: Any) -> bool:
    if isinstance(value, str):
        text = value.strip().lower()
        if text in TRUE_TEXTS or text in FALSE_TEXTS:
            return text in TRUE_TEXTS
        raise CannotTake("true, false, yes, no, on, off, 1 or 0")
    return bool(value)


def _count(env: Env, value: Any, wanted: Any = None) -> int:
    if wanted is None:
        return len(require_sized(value))
    items = require_list(value)
    env.spend(COUNTED_ITEM * len(items))
    return sum(1 for item in items if json_equal(item, wanted, env.spend))


_TABLE = (
    Pipe("upper", "upper", "Upper case.", '{{ "a" | upper }}', (0, 0), lambda env, v: require_text(v).upper()),
    Pipe("lower", "lower", "Lower case.", '{{ "A" | lower }}', (0, 0), lambda env, v: require_text(v).lower()),
    Pipe(
        "title",
        "title",
        "The first of adjacent letters in upper case, the others in lower case.",
        '{{ "ann lee" | title }}',
        (0, 0),
        lambda env, v: require_text(v).title(),
    ),
    Pipe(
        "trim",
        "trim",
        "Text without space at both ends.",
        '{{ " a " | trim }}',
        (0, 0),
        lambda env, v: require_text(v).strip(),
    ),
    Pipe(
        "length",
        "length",
        "Number of characters, elements or keys.",
        "{{ items | length }}",
        (0, 0),
        lambda env, v: len(require_sized(v)),
    ),
    Pipe("first", "first", "First element or character.", "{{ items | first }}", (0, 0), _take_item(0)),
    Pipe("last", "last", "Last element or character.", "{{ items | last }}", (0, 0), _take_item(-1)),
    Pipe("sum", "sum", "Sum of a list of numbers.", '{{ items | map("total") | sum }}', (0, 0), _sum),
    Pipe("min", "min", "Smallest number or text of a list.", "{{ totals | min }}", (0, 0), _choose(min)),
    Pipe("max", "max", "Largest number or text of a list.", "{{ totals | max }}", (0, 0), _choose(max)),
    Pipe("join", 'join(separator = ", ")', "All elements as one text.", '{{ tags | join("; ") }}', (0, 1), _join),
    Pipe("keys", "keys", "Keys of an object.", "{{ input | keys }}", (0, 0), lambda env, v: list(require_object(v))),
    Pipe(
        "values",
        "values",
        "Values of an object.",
        "{{ input | values }}",
        (0, 0),
        lambda env, v: list(require_object(v).values()),
    ),
    Pipe("json", "json", "JSON text; null stays null.", "{{ input | json }}", (0, 0), _json),
    Pipe(
        "default",
        'default(x = "")',
        "x instead of null or empty text.",
        '{{ nick | default("none") }}',
        (0, 1),
        _default,
    ),
    Pipe("currency", "currency", "Dollars and cents: $1,234.50.", "{{ total | currency }}", (0, 0), _currency),
    Pipe(
        "date",
        'date(format = "%Y-%m-%d", zone = "UTC")',
        "The date in a [format](#formats-of-dates) and a time zone.",
        '{{ now() | date("%d.%m.%Y", "Europe/Berlin") }}',
        (0, 2),
        show_date,
        check_date,
    ),
    Pipe(
        "datetime",
        "datetime",
        "Year-month-day hour:minute in UTC.",
        "{{ now() | datetime }}",
        (0, 0),
        lambda env, v: require_date(v).isoformat(" ", "minutes")[:16],
        refuse_after_at,
    ),
    Pipe(
        "at",
        "at(zone)",
        "The time in a time zone, with its offset.",
        '{{ now() | at("Europe/Berlin") }}',
        (1, 1),
        move_to_zone,
        check_zone,
    ),
    Pipe("round", "round(n = 0)", "n decimals, halves away from zero.", "{{ price | round(2) }}", (0, 1), _round),
    Pipe("replace", "replace(a, b)", "b for every a.", '{{ name | replace(" ", "_") }}', (2, 2), _replace),
    Pipe("split", 'split(s = ",")', "Text cut at s.", '{{ csv | split(",") }}', (0, 1), _split),
    Pipe("slice", "slice(a, b?)", "From a, up to but without b.", "{{ items | slice(0, 10) }}", (1, 2), _slice),
    Pipe("sort", "sort", "Numbers or texts in order.", "{{ totals | sort }}", (0, 0), _sort),
    Pipe("unique", "unique", "Each value once, in order.", "{{ tags | unique }}", (0, 0), _unique),
    Pipe("number", "number", "The number in text.", '{{ "12" | number }}', (0, 0), lambda env, v: require_number(v)),
    Pipe(
        "string", "string", "The value as text.", "{{ total | string }}", (0, 0), lambda env, v: to_text(v, env.spend)
    ),
    Pipe("bool", "bool", "True or false, from text or any value.", '{{ "yes" | bool }}', (0, 0), _bool),
    Pipe(
        "map", "map(path)", "The value at the path in each element.", '{{ items | map("total") }}', (1, 1), map_elements
    ),
    Pipe(
        "filter",
        "filter(path, operator, value?)",
        "Elements in which the value at the path passes the operator; an empty path means the element itself.",
        f"{{{{ items | {FILTER_EXAMPLE} }}}}",
        (2, 3),
        filter_elements,
        check_filter,
    ),
    Pipe("count", "count(x?)", "Number of elements, or of those equal to x.", "{{ items | count }}", (0, 1), _count),
    Pipe(
        "entries",
        "entries",
        "Keys and values of an object, as a list of objects.",
        "{{ input | entries | first }}",
        (0, 0),
        list_entries,
        builds=True,
    ),
    Pipe(
        "chunk",
        "chunk(n)",
        "Lists of n elements each; the last may be shorter.",
        "{{ totals | chunk(2) }}",
        (1, 1),
        chunk_elements,
        check_chunk,
        builds=True,
    ),
    Pipe("parse", "parse", "The value in JSON text.", "{{ '{\"a\": [1]}' | parse }}", (0, 0), parse_text, builds=True),
    Pipe(
        "hash",
        'hash(algorithm = "sha256")',
        "Hash of text, in hexadecimal: md5, sha1, sha256 or sha512.",
        '{{ name | hash("md5") }}',
        (0, 1),
        hash_text,
        check_hash,
    ),
    Pipe("base64", "base64", "Text in Base64, from its UTF-8.", "{{ name | base64 }}", (0, 0), encode_base64),
)
PIPES: dict[str, Pipe] = {pipe.name: pipe for pipe in _TABLE}
