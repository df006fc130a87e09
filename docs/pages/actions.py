"""Write docs/actions.md from the registry: `python -m docs.pages.actions > docs/actions.md`."""

import sys
from collections.abc import Iterator
from typing import Any

from activities import load_builtin_registry
from activities.registry import ActionSpec

OWN_ACTION = '''\
from pydantic import BaseModel

from activities.registry import ActionContext, ActionFailed, action


class Charge(BaseModel):
    customer: str
    cents: int


class Charged(BaseModel):
    charge_id: str


@action("payments.charge", timeout_seconds=20, retry={"maximum_attempts": 5})
async def charge(parameters: Charge, context: ActionContext) -> Charged:
    """Charge a customer."""
    if parameters.cents <= 0:
        raise ActionFailed("there is nothing to charge", error_type="validation_error", recoverable=False)
    # The key is the same at every attempt of this step: the payment service charges once.
    return Charged(charge_id=f"ch_{context.idempotency_key}")
'''

INTRODUCTION = """\
# Actions

<!-- Written by docs/pages/actions.py from the registry: change the actions, or that file. -->

An action is what a node of type `action` does. This one asks a server and keeps the status in a variable:

```json
{"id": "ask", "type": "action", "action": "http.request", "config": {"url": "https://example.org/{{ input.id }}"}, "outputs": ["status"]}
```

Each action is a Temporal activity of that very name. It is sent its parameters and who calls (run, workflow,
customer, node, idempotency key), never the whole run. `orchestrator actions list` shows all that a worker serves.

- **Idempotency key**: the same for every attempt of a step, different for every other step.
- **Secrets**: `{{ secrets.name }}` may stand in parameters. The value is put in on the worker, right before the
  call, and is in no history, log or answer: where a server echoes it, `[secret]` stands. It comes from the variable
  `ORCHESTRATOR_SECRET_<NAME>` or from the file named by `ORCHESTRATOR_SECRETS_FILE`. Secrets shorter than four
  characters are not looked for in answers.
- **Private addresses** are refused: loopback, private and link-local networks, also behind a name or a redirect.
  `ORCHESTRATOR_HTTP_ALLOWED_NETWORKS` allows some.
- **`execution: local`** on a node runs a short action within the workflow's own task: faster, and for what takes
  well under a second only.

## Write your own
"""

AFTER_OWN = """\

Put it in a module and name the module: `ORCHESTRATOR_ACTION_MODULES=mycompany.payments`. A package can offer modules
through the entry point group `orchestrator.actions`. Parameters are validated before the function is called, and
literal ones already by `orchestrator validate`. An action with `heartbeat_seconds` is told when its run is cancelled:
`asyncio.CancelledError` is raised in it. One that changes something should send the idempotency key along, because
an attempt that was cut off may have done its work.

Workers in other languages can serve actions, too: register an activity of the action's name on a task queue, name
the queue as `task_queue` on the node, and read the one argument `{"parameters": …, "context": …}`.

## Built in
"""


def page() -> str:
    """Write the page."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield INTRODUCTION
    yield "```python"
    yield OWN_ACTION + "```"
    yield AFTER_OWN.rstrip("\n")
    for spec in load_builtin_registry():
        yield from _action(spec)


def _action(spec: ActionSpec) -> Iterator[str]:
    yield ""
    yield f"### {spec.name}"
    yield ""
    yield spec.description
    yield ""
    local = "local, " if spec.execution == "local" else ""
    heartbeat = f", heartbeat {spec.heartbeat_seconds:g} s" if spec.heartbeat_seconds else ""
    yield f"Runs {local}at most {spec.timeout_seconds or 60:g} s an attempt{heartbeat}."
    yield ""
    schema = spec.describe()
    yield "| parameter | | |"
    yield "|---|---|---|"
    yield from _properties(schema["parameters"])
    result = schema["result"]
    if result and result.get("properties"):
        yield ""
        yield "| result | | |"
        yield "|---|---|---|"
        yield from _properties(result)


def _properties(schema: dict[str, Any]) -> Iterator[str]:
    required = schema.get("required", [])
    for name, parameter in schema.get("properties", {}).items():
        default = parameter.get("default")
        default_text = f" Default `{default}`." if default not in (None, [], {}, "") else ""
        must = "**required**. " if name in required and "default" not in parameter else ""
        yield f"| `{name}` | {_type(parameter)} | {must}{parameter.get('description', '')}{default_text} |"


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "$ref" in schema:
        return "object"
    return str(schema.get("type", "any"))


if __name__ == "__main__":
    sys.stdout.write(page())
