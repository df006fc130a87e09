"""Hints for what people write from other languages: `$json.x` of n8n, `&&` of JavaScript, `~` of Jinja.

Tables and their look-up; the lexer and the parser add the hints to their errors. Replay-sensitive.
"""

import re

INPUT = "write `input.x` for the input of the run, `steps.<node id>.output.x` for the result of a node"
CONDITIONAL = "write `x and y or z`, or decide in a `condition` node if y can be empty or 0"
SLICE = "write `| slice(a, b)` for a part of a list or text"
MINUS = "put spaces on both sides of a minus: `a - b`; without them it belongs to the name or the number"

SYMBOLS: tuple[tuple[str, str], ...] = (
    (r"&&?", "write `and`"),
    (r"\|\|", "write `or`, or `??` for a value instead of null"),
    (r"===?", "write `==` to compare"),
    (r"!==", "write `!=` to compare"),
    (r"!", "write `not`"),
    (r"=", "write `==` to compare; to set a variable, use a `set` node"),
    (r"<>", "write `!=` to compare"),
    (r"\*\*", "there is no power operator"),
    (r"//", "write `/`; `round` gives a whole number"),
    (r"~", "write `+` to join texts"),
    (r"`", "quote text with `\"` or `'`"),
    (r"\$json\b", INPUT),
    (r"\$input\b", INPUT),
    (r"\$(node\b|\()", "write `steps.<node id>.output.x` for the result of a node"),
    (r"\$now\b", "write `now()`"),
    (r"\$today\b", "write `today()`"),
    (r"\$(env|secrets)\b", "write `secrets.<name>` for a secret, or the name of a variable of the workflow"),
    (r"\$vars\b", "write the name of the variable alone"),
    (r"\$workflow\b", "write `workflow.id` or `workflow.name`"),
    (r"\$execution\b", "write `run.id`"),
    (r"\$\$", "write `run.id`, `run.started_at` or `workflow.id`"),
    (r"\$\{", "write the expression alone: `{{ x }}`"),
    (r"\$", INPUT),
)
"""Symbols that no token begins with, and what to write instead; the first one that matches counts."""
_SYMBOLS = tuple((re.compile(pattern), hint) for pattern, hint in SYMBOLS)

WORDS: dict[str, str] = {
    "if": CONDITIONAL,
    "is": "compare with `== null` or `!= null`",
    "in": "use a condition with the operator `in`, or the pipe `filter`",
    "contains": "use a condition with the operator `contains`",
    "div": "write `/`",
    "mod": "write `%`",
}
"""Words between two values."""

PIPES: dict[str, str] = {
    "len": "length",
    "size": "length",
    "str": "string",
    "int": "number",
    "float": "number",
    "toString": "string",
    "toUpperCase": "upper",
    "toLowerCase": "lower",
    "strip": "trim",
    "capitalize": "title",
    "toFixed": "round",
    "substring": "slice",
    "items": "entries",
    "tojson": "json",
    "stringify": "json",
    "fromjson": "parse",
}
"""Functions, methods and filters, and the pipes that do the same."""


def suggest_symbol(text: str, at: int) -> str | None:
    """Return a hint for the symbol at an index."""
    return next((hint for pattern, hint in _SYMBOLS if pattern.match(text, at)), None)


def suggest_word(word: str) -> str | None:
    """Return a hint for a word between two values, such as `if`."""
    lower = word.lower()
    return f"write `{lower}`" if lower in ("and", "or", "not") else WORDS.get(lower)
