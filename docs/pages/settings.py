"""Write docs/settings.md from the settings: `python -m docs.pages.settings > docs/settings.md`."""

import sys
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from orchestrator.settings import PREFIX, SECRET_PREFIX, Settings

INTRODUCTION = f"""\
# Settings

<!-- Written by docs/pages/settings.py from the class Settings: change that. -->

Settings are environment variables with the prefix `{PREFIX}`, or lines of a file `.env` in the working folder:

```sh
{PREFIX}TEMPORAL_ADDRESS=temporal.internal:7233 orchestrator worker
```

A variable with the prefix that is none of these is named when a command that reads settings starts: a slip of the pen
is not silent.
Secrets for actions are `{SECRET_PREFIX}<NAME>`, read as `{{{{ secrets.<name> }}}}`.

| variable | default | |
|---|---|---|"""


def page() -> str:
    """Write the page."""
    return "\n".join((INTRODUCTION, *_rows())) + "\n"


def _rows() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        yield f"| `{PREFIX}{name.upper()}` | {_default(field)} | {field.description} |"


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is None or value in ((), {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(page())
