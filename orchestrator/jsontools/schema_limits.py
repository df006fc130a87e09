"""Measure a JSON Schema when a definition is validated, so that checks of values against it are bounded.

Two references in each of thirty definitions, each to the next one, are 1.6 kB and a billion schemas:

    {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]}, "b": {...}}, "$ref": "#/$defs/a"}

Sizes add up over references and are computed once for each target.
"""

from collections.abc import Iterator
from typing import Any

from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from orchestrator.jsontools.pointer import escape

MAX_SIZE = 4_000
"""Values in a schema, with each `$ref` counted as the schema that it leads to. Checking this many takes 0.2 s."""
MAX_UNIQUE_ITEMS = 1_000
"""Items of a list with `uniqueItems` in a schema that runs inside workflow code."""
SCALARS = frozenset({"string", "number", "integer", "boolean", "null"})
DYNAMIC = ("$dynamicRef", "$recursiveRef")


def find_large(schema: Any) -> str | None:
    """Return what is wrong with a schema that is too large to be looked at."""
    size, stack = 0, [schema]
    while stack:
        size += 1
        if size > MAX_SIZE:
            return f"the schema has more than {MAX_SIZE:,} values"
        part = stack.pop()
        stack.extend(part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())
    return None


def find_expansion(schema: Any) -> str | None:
    """Return what is wrong with a schema whose references lead outside, in a cycle, or to too many schemas."""
    return _Measure(schema).find_problem()


class _Measure:
    """Adds up the sizes of schemas over their references."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        registry: Registry[Any] = Registry()
        self.resolver = registry.with_resource("", DRAFT202012.create_resource(schema)).resolver()
        self.sizes: dict[str, int] = {}
        self.open: set[str] = set()
        self.problem: str | None = None

    def find_problem(self) -> str | None:
        size = self.measure(self.schema)
        if self.problem is None and size > MAX_SIZE:
            return f"the schema has more than {MAX_SIZE:,} values once its `$ref`s are expanded"
        return self.problem

    def measure(self, part: Any) -> int:
        if self.problem is not None:
            return 0
        if isinstance(part, list):
            return 1 + sum(map(self.measure, part))
        if not isinstance(part, dict):
            return 1
        dynamic = next((key for key in DYNAMIC if key in part), None)
        if dynamic is not None:
            self.problem = f"`{dynamic}` is not supported: use `$ref`"
        reference = part.get("$ref")
        size = self.measure_target(reference) if isinstance(reference, str) else 0
        return 1 + size + sum(map(self.measure, part.values()))

    def measure_target(self, reference: str) -> int:
        if reference in self.open:
            self.problem = f"the reference {reference!r:.60} leads back to itself: schemas cannot be recursive"
        elif reference not in self.sizes:
            try:
                target = self.resolver.lookup(reference).contents
            except Unresolvable:
                self.problem = f"the reference {reference!r:.200} does not lead to a schema inside this one"
                return 0
            self.open.add(reference)
            self.sizes[reference] = self.measure(target)
            self.open.discard(reference)
        return self.sizes.get(reference, 0)


def find_costly_uniqueness(schema: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the pointer of each `uniqueItems` that may compare too many items, and what to write."""
    stack = [(path, schema)]
    while stack:
        at, part = stack.pop()
        if isinstance(part, list):
            stack.extend((f"{at}/{index}", item) for index, item in enumerate(part))
        elif isinstance(part, dict):
            if part.get("uniqueItems") is True and not _is_short_list_of_scalars(part):
                yield at, f'add "maxItems" of at most {MAX_UNIQUE_ITEMS:,}, and "items" with a "type" such as "string"'
            stack.extend((f"{at}/{escape(key)}", item) for key, item in part.items())


def _is_short_list_of_scalars(part: dict[str, Any]) -> bool:
    most, items = part.get("maxItems"), part.get("items")
    if isinstance(most, bool) or not isinstance(most, int | float) or most > MAX_UNIQUE_ITEMS:
        return False
    if not isinstance(items, dict):
        return False
    kinds = items.get("type")
    scalars = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(scalars, list):
        return SCALARS.issuperset(kind for kind in scalars if isinstance(kind, str))
    return "enum" in items or "const" in items
