"""What each piece of work of an expression costs, in units of about 10 ns. Replay-sensitive.

A run yields to the server by the sum of these numbers, so a changed number moves the yields of recorded histories
(DESIGN, law 5). Costs are whole units and depend only on the template and the data, never on the machine.

The cost of `{{ input.orders | filter("total", "greater_than", 50) | count }}` over 2,000 orders is

    {{ }}           50     and 40 for the path of one part below its root
    filter         100     and for each order 60 for itself, 20 for `total`, 60 for `greater_than`
    count           60
                          280,250 units: about 3 ms
"""

from dataclasses import dataclass

VALUE_BUDGET = 30_000_000
"""What one rendered value or one condition may cost: about 0.3 s, well below the 2 s of the deadlock detector."""
NODE = 4_000
"""Starting and leaving one node."""

TEXT = 10
"""A string or a container in a rendered value."""
EXPRESSION = 50
"""One `{{ }}`."""
PATH = 20
"""A path, and each of its parts."""
INDEX = 30
"""A computed key: `prices[item.sku]`."""
ARITHMETIC = 40
"""An operation on numbers; a comparison costs what it costs in a condition."""
LOGIC = 10
"""`and`, `or`, `not`, `??`."""
LITERAL_ITEM = 20
"""An item of a list literal or of an object literal."""
CHARACTER = 1
"""A character of text that is built."""
JSON_CHARACTER = 3
"""A character of JSON text that is built."""
RESULT_ITEM = 10
"""An item of a list that a pipe builds."""
NESTED_ITEM = 15
"""An item of a list or an object whose depth is measured, that is copied or compared."""
COMPARED_CHARACTERS = 64
"""Characters of two texts of the same length that are compared for one unit; also of a text in `min` and `max`."""
SEARCHED_CHARACTERS = 8
"""Characters of the text to find, up to 100, that add one unit to each character that is searched."""
FILTERED_ITEM = 60
"""An item of a filtered list, besides the path and the operator."""
LISTED_ITEM = 60
"""An item of a list that `in` or `contains` looks through."""
COUNTED_ITEM = 30
"""An item that `count(x)` compares."""
SORTED_ITEM = 3
"""An item of a sorted list, for each doubling of the list's length."""
FORMAT_CHARACTER = 30
"""A character of the format of a date."""
SCHEMA_STEP = 200
"""A keyword of a JSON Schema that is applied to a value, or a part of the work of a pattern there."""
PATTERN_CHARACTER = 200
"""A character of a pattern that is compiled."""
PATTERN_INSTRUCTIONS = 8
"""Instructions of a pattern that cost one unit for each character that is matched."""


@dataclass(frozen=True, slots=True)
class PipeCost:
    """The cost of one call of a pipe, and of each character or item of its value."""

    call: int
    character: int = 0
    item: int = 0


PIPE_COSTS: dict[str, PipeCost] = {
    "upper": PipeCost(60, character=1),
    "lower": PipeCost(60, character=1),
    "title": PipeCost(60, character=2),
    "trim": PipeCost(60, character=1),
    "length": PipeCost(60),
    "first": PipeCost(60),
    "last": PipeCost(60),
    "sum": PipeCost(60, item=40),
    "min": PipeCost(60, item=20),
    "max": PipeCost(60, item=20),
    "join": PipeCost(60, item=10),
    "keys": PipeCost(60, item=10),
    "values": PipeCost(60, item=10),
    "json": PipeCost(100),
    "default": PipeCost(40),
    "currency": PipeCost(200, character=1),
    "date": PipeCost(250),
    "datetime": PipeCost(250),
    "round": PipeCost(300, character=1),
    "replace": PipeCost(100, character=1),
    "split": PipeCost(60, character=1),
    "slice": PipeCost(60),
    "sort": PipeCost(60, item=20),
    "unique": PipeCost(100, item=60),
    "number": PipeCost(100, character=1),
    "string": PipeCost(60),
    "bool": PipeCost(60, character=1),
    "map": PipeCost(100, item=20),
    "filter": PipeCost(100),
    "count": PipeCost(60),
    "entries": PipeCost(60, item=40),
    "chunk": PipeCost(60, item=10),
    "parse": PipeCost(200, character=5),
    "at": PipeCost(400),
    "hash": PipeCost(200, character=1),
    "base64": PipeCost(60, character=1),
}

FUNCTION_COSTS: dict[str, int] = {
    "now": 250,
    "today": 250,
    "timestamp": 150,
    "uuid": 500,
    "days_ago": 300,
    "days_from_now": 300,
    "start_of_day": 400,
    "end_of_day": 400,
    "start_of_week": 400,
    "start_of_month": 400,
    "is_overdue": 400,
    "days_until": 400,
    "days_since": 400,
    "approval_link": 400,
}

OPERATOR_COSTS: dict[str, int] = {
    "equals": 60,
    "not_equals": 60,
    "greater_than": 60,
    "greater_than_or_equals": 60,
    "less_than": 60,
    "less_than_or_equals": 60,
    "contains": 60,
    "not_contains": 60,
    "starts_with": 60,
    "ends_with": 60,
    "is_empty": 20,
    "is_not_empty": 20,
    "in": 60,
    "not_in": 60,
    "matches": 250,
    "before": 250,
    "after": 250,
    "between": 400,
    "length_equals": 60,
    "length_greater_than": 60,
    "length_less_than": 60,
    "exists": 20,
    "not_exists": 20,
}


def cost_of_search(text: str, part: str) -> int:
    """Return the cost of looking for a part of a text: short parts can be found in quadratic time only."""
    return len(text) * (1 + min(len(part), 100) // SEARCHED_CHARACTERS)
