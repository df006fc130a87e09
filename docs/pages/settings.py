"""Generate docs/settings.md from its template and the settings: `python -m docs.pages.settings > docs/settings.md`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from orchestrator.settings import PREFIX, Settings

TEMPLATE = Path(__file__).with_suffix(".md")


def generate_page() -> str:
    """Return the page."""
    return TEMPLATE.read_text().replace("<!-- settings -->", "\n".join(_iterate_rows()))


def _iterate_rows() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        text = f"{field.description}{_format_choices(field)}"
        yield f"| `{PREFIX}{name.upper()}` | {_format_default(field)} | {text} |"


def _format_choices(field: FieldInfo) -> str:
    """Return the values that can be chosen, as a sentence."""
    if get_origin(field.annotation) is not Literal:
        return ""
    return f" One of {', '.join(f'`{choice}`' for choice in get_args(field.annotation))}."


def _format_default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, tuple):
        value = ",".join(value)  # as it is written
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(generate_page())
