"""Write docs/definition.md from the models and tables: `python -m docs.pages.definition > docs/definition.md`."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from orchestrator.errors import ERROR_TYPES
from orchestrator.model.definition import Definition, Edge, Node, Settings, Trigger
from orchestrator.model.node_types import COMMON_KEYS, KINDS
from orchestrator.model.plan import (
    DEFAULT_MAX_STEPS,
    DEFAULT_RETRY_ON,
    DEFAULT_STEP_LOG_LIMIT,
    DEFAULT_TIMEOUT_SECONDS,
    Retry,
)
from orchestrator.planner.policies import SYNONYMS
from orchestrator.planner.problem_codes import CODES
from orchestrator.planner.trigger_checks import CONFIG_KEYS, METHODS, OWN_KEYS
from orchestrator.temporal.schedules.spec import DEFAULT_CATCHUP_SECONDS
from orchestrator.timing.schedule import OVERLAPS

SMALLEST: dict[str, Any] = {
    "name": "Remind me",
    "trigger": {"type": "manual"},
    "nodes": [
        {"id": "wait", "type": "delay", "delay_seconds": 3600},
        {"id": "tell", "type": "action", "action": "log.message", "config": {"message": "{{ input.what }}"}},
    ],
    "edges": [{"source": "trigger", "target": "wait"}, {"source": "wait", "target": "tell"}],
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "trigger": {"id": "begin", "type": "trigger"},
    "action": {
        "id": "charge", "type": "action", "action": "http.request",
        "config": {"method": "POST", "url": "https://pay.example/charges", "json": {"amount": "{{ input.amount }}"}},
        "outputs": ["status"], "retry": {"maximum_attempts": 5}, "on_error": "pause",
        "compensate": {"action": "http.request", "config": {"method": "DELETE", "url": "https://pay.example/charges"}},
    },
    "condition": {
        "id": "large", "type": "condition",
        "condition": {"field": "input.amount", "operator": "greater_than", "value": 1000},
        "true_branch": ["review"], "false_branch": ["pay"],
    },
    "switch": {
        "id": "route", "type": "switch",
        "config": {"value": "{{ input.plan }}", "cases": {"free": "free", "paid": {"preset": "customer_enterprise"}}},
    },
    "loop": {
        "id": "each", "type": "loop", "collection": "{{ input.items }}", "item_variable": "line", "body": ["reserve"],
        "config": {"max_concurrency": 4, "on_item_error": "continue", "collect": "{{ steps.reserve.output.id }}"},
    },
    "parallel": {
        "id": "both", "type": "parallel", "branches": [["mail"], ["invoice", "archive"]],
        "config": {"join": "all", "on_branch_error": "wait"},
    },
    "delay": {"id": "night", "type": "delay", "delay_until": "{{ input.due | default('2030-01-01') }}"},
    "wait": {
        "id": "approval", "type": "wait",
        "config": {"event": "approved", "timeout_seconds": 86400, "schema": {"required": ["by"]}},
    },
    "set": {"id": "total", "type": "set", "config": {"sum": "{{ input.prices | sum }}"}},
    "workflow": {
        "id": "setup", "type": "workflow", "config": {"workflow_id": "provision", "input": {"user": "{{ input.user }}"}},
    },
    "end": {"id": "done", "type": "end", "config": {"output": {"paid": True}}},
}  # fmt: skip

OUTPUTS = {
    "action": "the action's result; one that is no object becomes `{result}`",
    "condition": "`{branch: true | false}`",
    "switch": "`{case}`",
    "loop": "`{count, items}`; `items` where `collect` is given",
    "parallel": "`{branches: [{status, output}]}`",
    "delay": "`{until, slept_seconds}`",
    "wait": "`{event, payload}`, or `{timed_out: true}`",
    "set": "what it set",
    "workflow": "`{run_id, status, output}`",
}

SCHEDULE = {
    "timezone": ("`UTC`", "IANA name of the zone that `cron` is in, and times of this table that name no offset."),
    "overlap": ("`skip`", "What happens at a time at which the run before still goes on, see below."),
    "catchup_window_seconds": (
        f"{DEFAULT_CATCHUP_SECONDS:,}",
        "How late a start is made up for after an outage, in seconds; Temporal takes less than 10 as 10.",
    ),
    "jitter_seconds": ("0", "Moves each time later by up to so many seconds, but not past the next time."),
    "start_at": ("", "ISO 8601; no time before it counts."),
    "end_at": ("", "ISO 8601; no time after it counts."),
    "input": ("`null`", "Input of the runs, taken as it is written; it fits `settings.input_schema`."),
}
OVERLAP = {
    "skip": "nothing starts",
    "buffer_one": "one run starts when the one before has ended; further times are left out",
    "buffer_all": "each time's run starts when the one before has ended",
    "cancel_other": "the run before is asked to end, as by `runs cancel`; the new one starts when it has",
    "terminate_other": "the run before is ended at once, nothing is undone, and the new one starts",
    "allow_all": "runs go on beside each other",
}
TIMES = """\
Times of `interval_seconds` are multiples of it since 1970, in UTC. The schedule that is shown before activation has the
times without jitter; what is activated has them with it, and the last one may lie past `end_at` by as much."""

ON_ERROR = """\
## Errors

An attempt of an action that fails is made again by its **retry** policy. Policies lie over each other: the
action's own, `settings.retry`, the node's `retry`.

| key | default | synonym |
|---|---|---|
{retry}

When no attempt is left, `on_error` of the node says what happens, else `settings.on_error`:

| `on_error` | what happens |
|---|---|
| `fail` (default) | the step fails; the node's `error` edge is followed where there is one, else its scope fails |
| `skip` | status `skipped`, output `{{"skipped": true}}`, on by `next` |
| `{{fallback: value}}` | output `{{"fallback": true, "value": …}}`, on by `next` |
| `pause` | the run waits for an operator: `orchestrator runs resolve` with retry, skip, fallback, abort or retry_from |
| `{{retry_from: node, max: n}}` | back to that node, with the variables of its first start, at most `max` times (1) |

An action's **compensate** `{{action, config}}` undoes it: when the run fails (`settings.compensate`: `on_failure`,
`on_cancel`, `both` or `never`), the compensations of completed actions run, the last first.

An error document is `{{message, error_type, details, node_id, recoverable, timestamp}}`. Error types: {types}.
"""


def page() -> str:
    """Write the page."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Definition"
    yield ""
    yield "<!-- Written by docs/pages/definition.py from the models and tables in the code: change those. -->"
    yield ""
    yield "A workflow is JSON. This one is whole; `orchestrator simulate FILE` runs it in a blink:"
    yield ""
    yield from _json(SMALLEST)
    yield ""
    yield 'Exporters may write every key on every node: an empty one (`null`, `""`, `0`, `[]`, `{}`) says nothing. A'
    yield "filled one that the node's type does not use is an error. How a graph runs is told in [flow](flow.md), what"
    yield "templates and conditions can say in [expressions](expressions.md), what actions there are in"
    yield "[actions](actions.md). The JSON Schema is in [definition.schema.json](definition.schema.json)."
    for title, model in (("Workflow", Definition), ("Edge", Edge)):
        yield ""
        yield f"## {title}"
        yield ""
        yield from _fields(model, list(model.model_fields))
    yield ""
    yield "## Settings"
    yield ""
    yield f"Defaults: {DEFAULT_MAX_STEPS:,} steps, {DEFAULT_STEP_LOG_LIMIT} kept whole, no time limit."
    yield ""
    yield from _fields(Settings, list(Settings.model_fields))
    yield from _triggers()
    yield from _nodes()
    yield ""
    rows = "\n".join(_retry_rows())
    yield ON_ERROR.format(retry=rows, types=", ".join(f"`{name}`" for name in ERROR_TYPES))
    yield "## Problems"
    yield ""
    yield "`orchestrator validate` tells all problems at once. Each has one of these codes:"
    yield ""
    yield "| code | meaning |"
    yield "|---|---|"
    yield from (f"| `{code}` | {meaning} |" for code, meaning in CODES.items())


def _retry_rows() -> Iterator[str]:
    defaults = Retry()
    for name in Retry.model_fields:
        synonyms = ", ".join(f"`{key}`" for key, meant in SYNONYMS.items() if meant == name)
        value = ", ".join(DEFAULT_RETRY_ON) if name == "retry_on" else f"{getattr(defaults, name):g}"
        yield f"| `{name}` | {value} | {synonyms} |"


def _triggers() -> Iterator[str]:
    yield ""
    yield "## Triggers"
    yield ""
    yield from _fields(Trigger, list(Trigger.model_fields))
    yield ""
    yield "| type | keys | keys of `config` |"
    yield "|---|---|---|"
    for name, keys in CONFIG_KEYS.items():
        yield f"| `{name}` | {_names(OWN_KEYS[name])} | {_names(keys)} |"
    yield ""
    yield f"Methods of a webhook: {', '.join(METHODS)}. [The HTTP API](api.md#webhooks) tells its keys."
    yield "Those of a schedule:"
    yield ""
    yield "| key of `config` | default | |"
    yield "|---|---|---|"
    yield from (f"| `{key}` | {SCHEDULE[key][0]} | {SCHEDULE[key][1]} |" for key in CONFIG_KEYS["schedule"])
    yield ""
    yield TIMES
    yield ""
    yield "| `overlap` | where the run before still goes on |"
    yield "|---|---|"
    yield from (f"| `{name}` | {OVERLAP[name]} |" for name in OVERLAPS)


def _nodes() -> Iterator[str]:
    yield ""
    yield "## Nodes"
    yield ""
    yield "Every node has these keys:"
    yield ""
    yield from _fields(Node, [name for name in Node.model_fields if name in COMMON_KEYS])
    yield ""
    yield f"One attempt of an action may take {DEFAULT_TIMEOUT_SECONDS:g} s unless the action or the node says otherwise."
    for name, kind in KINDS.items():
        yield ""
        yield f"### {name}"
        yield ""
        ports = ("one a case", *kind.ports) if name == "switch" else kind.ports
        yield f"{kind.summary} Ports: {', '.join(f'`{port}`' if ' ' not in port else port for port in ports) or 'none'}."
        if name in OUTPUTS:
            yield f"Output: {OUTPUTS[name]}."
        yield ""
        if kind.keys:
            yield from _fields(Node, list(kind.keys))
            yield ""
        if kind.config:
            yield "| key of `config` | |"
            yield "|---|---|"
            yield from (f"| `{key}` | {meaning} |" for key, meaning in kind.config.items())
            yield ""
        yield from _json(EXAMPLES[name])


def _fields(model: type[BaseModel], names: list[str]) -> Iterator[str]:
    yield "| key | |"
    yield "|---|---|"
    for name in names:
        field = model.model_fields[name]
        extra = field.json_schema_extra
        choices = extra.get("enum") if isinstance(extra, dict) else None
        shown = f" {_names(choices)}." if isinstance(choices, list) else ""
        yield f"| `{name}` | {field.description}{shown} |"


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _json(value: Any) -> Iterator[str]:
    yield "```json"
    yield _compact(value)
    yield "```"


def _compact(value: Any, indent: str = "") -> str:
    """Write JSON with short things on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= 100 or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + "  "
    if isinstance(value, list):
        inner = ",\n".join(deeper + _compact(item, deeper) for item in value)
        return f"[\n{inner}\n{indent}]"
    inner = ",\n".join(f"{deeper}{json.dumps(key)}: {_compact(item, deeper)}" for key, item in value.items())
    return f"{{\n{inner}\n{indent}}}"


if __name__ == "__main__":
    sys.stdout.write(page())
