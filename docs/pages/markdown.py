"""Write the Markdown of generated pages: filled templates, tables, compact JSON."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

WIDTH = 100
"""Characters of JSON that stay on one line."""


def fill_template(template: Path, parts: Mapping[str, str]) -> str:
    """Return a template with each `<!-- name -->` replaced by the part of that name."""
    return re.sub(r"<!-- (\w+) -->", lambda match: parts[match.group(1)], template.read_text())


def format_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    titles = list(heads)
    lines = [titles, ["---"] * len(titles), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_names(names: Iterable[str]) -> str:
    """Return names as code, joined by commas."""
    return ", ".join(f"`{name}`" for name in names)


def format_json(value: Any) -> str:
    """Return a block of JSON in which short values stay on one line."""
    return f"```json\n{_compact(value)}\n```"


def _compact(value: Any, indent: str = "") -> str:
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= WIDTH or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + "  "
    if isinstance(value, list):
        inner = ",\n".join(deeper + _compact(item, deeper) for item in value)
        return f"[\n{inner}\n{indent}]"
    inner = ",\n".join(f"{deeper}{json.dumps(key)}: {_compact(item, deeper)}" for key, item in value.items())
    return f"{{\n{inner}\n{indent}}}"
