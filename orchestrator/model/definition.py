"""The JSON of a workflow as its author wrote it (SPEC §1). No behaviour: the planner checks it.

Exporters write all keys for every node, so empty keys are dropped.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from orchestrator.model.customers import DEFAULT_CUSTOMER

NODE_TYPES = (
    "trigger", "action", "condition", "switch", "loop", "parallel", "delay", "wait", "set", "workflow", "end",
)  # fmt: skip
TRIGGER_TYPES = ("manual", "schedule", "event", "webhook")
STATUSES = ("draft", "active", "paused", "archived")
TRIGGER = "trigger"
"""The source of edges that start the graph."""
KEEPS_ZERO = frozenset({"collection", "delay_seconds"})
"""Keys for which `0` and `[]` have a meaning."""
SERVICE_KEYS = (
    "status", "version", "edited", "customer_id", "created_at", "updated_at", "created_by",
    "run_count", "success_count", "failure_count", "last_run_at", "success_rate",
)  # fmt: skip
"""Keys that the service adds to a definition; they are ignored when a definition is sent."""


class Part(BaseModel):
    """A part of a definition; unknown keys are kept, for the planner to report."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            key: value
            for key, value in data.items()
            if value or value is False or (key in KEEPS_ZERO and (value == 0 or value == []))
        }


def _list_choices(choices: Sequence[str]) -> Callable[[dict[str, Any]], None]:
    """Return what adds choices to a schema: the default is none of them, and generators of clients refuse that."""

    def change(schema: dict[str, Any]) -> None:
        schema.pop("default", None)
        schema["enum"] = list(choices)

    return change


class Trigger(Part):
    """The trigger of a workflow."""

    type: str = Field("", description="Trigger type.", json_schema_extra=_list_choices(TRIGGER_TYPES))
    event: str = Field("", description="event: name of the event; `order.*` matches one part, `order.**` the rest.")
    cron: str = Field(
        "", description="schedule: five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`."
    )
    interval_seconds: float | None = Field(None, description="schedule: seconds between starts, instead of `cron`.")
    webhook_path: str = Field("", description="webhook: last part of the URL, after `/hooks/<customer>/`.")
    config: dict[str, Any] = Field(default_factory=dict, description="Options of the trigger type.")


class Edge(Part):
    """An edge from a port of one node to another node."""

    id: str = Field("", description="Unique id among the edges.")
    source: str = Field("", description='Id of a node, or `"trigger"` for the start.')
    target: str = Field("", description="Id of a node.")
    label: str = Field("", description="Label for display.")
    condition: str = Field("", description="Port of the source; empty means `next`.")

    @field_validator("condition", mode="before")
    @classmethod
    def _name_port(cls, port: Any) -> Any:
        return str(port).lower() if isinstance(port, bool) else port


class Node(Part):
    """A node of the graph."""

    id: str = Field("", description="Unique id in the workflow; templates read its step as `steps.<id>`.")
    type: str = Field("", description="Node type.", json_schema_extra=_list_choices(NODE_TYPES))
    name: str = Field("", description="Display name.")
    description: str = Field("", description="Description for readers; ignored by runs.")
    config: dict[str, Any] = Field(default_factory=dict, description="Options of the type; parameters of an action.")
    position: Any = Field(None, description="`{x, y}` on a canvas; ignored.")
    outputs: list[str] = Field(default_factory=list, description="Keys of the output that are copied to variables.")
    retry: dict[str, Any] | None = Field(None, description="Retry policy of an action.")
    timeout_seconds: float | None = Field(
        None,
        description="Timeout of one attempt of an action, or of a whole loop, parallel or called workflow, "
        "in seconds: at most ten years.",
    )
    on_error: Any = Field(
        None, description="`fail`, `skip`, `pause`, `{fallback: value}` or `{retry_from: node, max: n}`."
    )
    when: Any = Field(None, description="Condition; if it is false, the node is skipped.")
    action: str = Field("", description="action: name of the action.")
    task_queue: str = Field("", description="action: Temporal task queue of the worker that runs it.")
    execution: str = Field("", description="action: `activity` or `local`.")
    compensate: dict[str, Any] | None = Field(
        None, description="`{action, config}` that undoes the action or the workflow."
    )
    result_schema: dict[str, Any] | None = Field(
        None,
        description="action: JSON Schema of what is known of the result, such as the `body` of an HTTP answer; "
        "`validate` checks with it what templates read.",
    )
    condition: Any = Field(None, description="condition: the condition.")
    true_branch: list[str] = Field(
        default_factory=list, description="condition: ids of the nodes that run if it is true."
    )
    false_branch: list[str] = Field(
        default_factory=list, description="condition: ids of the nodes that run if it is false."
    )
    collection: Any = Field(None, description="loop: a list, a whole number, or a template that returns one.")
    item_variable: str = Field("", description="loop: variable for the item (`item`); its index is `<item>_index`.")
    body: list[str] = Field(default_factory=list, description="loop: ids of the nodes that each iteration starts with.")
    branches: list[list[str]] = Field(
        default_factory=list, description="parallel: ids of the nodes that each branch starts with."
    )
    delay_seconds: Any = Field(None, description="delay: seconds, or a template that returns them.")
    delay_until: Any = Field(None, description="delay: ISO 8601 time, or a template that returns one.")


class Settings(Part):
    """The settings of a workflow."""

    retry: dict[str, Any] | None = Field(None, description="Default retry policy of actions.")
    on_error: Any = Field(None, description="Default `on_error` of nodes.")
    notify: dict[str, Any] | None = Field(
        None, description="`{action, config}` that notifies an operator when a run pauses."
    )
    timeout_seconds: float | None = Field(None, description="Timeout of the whole run, in seconds: at most ten years.")
    strict: bool = Field(False, description="Whether a missing path in a template is an error.")
    max_steps: int | None = Field(None, description="Number of steps after which the run fails, over all its branches.")
    step_log_limit: int | None = Field(None, description="Number of steps that the run document keeps in full.")
    compensate: str = Field(
        "",
        description="When what has completed is undone: `on_failure` (default), `on_cancel`, `both` or `never`.",
        json_schema_extra=_list_choices(("on_failure", "on_cancel", "both", "never")),
    )
    task_queue: str = Field("", description="Default task queue of actions.")
    keys: Any = Field(
        None,
        description="Business keys by which runs are listed, at most 8: `{name: template}`, such as"
        ' `{"order": "{{ input.order_id }}"}`, computed when the run starts; `name=value` has at most 255 bytes.',
    )
    execution: str = Field(
        "", description="Default `execution` of actions.", json_schema_extra=_list_choices(("activity", "local"))
    )
    fuse: bool = Field(
        True,
        description="Whether consecutive local actions run, and are recorded, together"
        " ([details](actions.md#fused-actions)).",
    )
    input_schema: Any = Field(
        None, description="JSON Schema for the input of runs. It checks `format` (date, date-time, email, uri, uuid)."
    )


class Definition(Part):
    """A workflow."""

    json_schema: Any = Field(None, alias="$schema", description="JSON Schema for editors; ignored.")
    id: str = Field(
        "",
        description="Unique id: letters, digits, `.`, `-`, `_` and `~`, not beginning with `orchestrator.`;"
        " generated if empty.",
    )
    name: str = Field("", description="Display name.")
    customer_id: str = Field(DEFAULT_CUSTOMER, description="Customer ID.")
    description: str = Field("", description="Description for readers; ignored by runs.")
    status: str = Field("draft", description="Status.", json_schema_extra={"enum": list(STATUSES)})
    version: int = Field(1, description="Newest published version.")
    trigger: Trigger = Field(Trigger(), description="What starts runs.")
    nodes: list[Node] = Field(default_factory=list, description="Nodes of the graph.")
    edges: list[Edge] = Field(default_factory=list, description="Edges between the nodes.")
    variables: dict[str, Any] = Field(default_factory=dict, description="Variables that every run starts with.")
    settings: Settings = Field(Settings(), description="Settings of the workflow.")
    created_at: Any = Field(None, description="Read only.")
    updated_at: Any = Field(None, description="Read only.")
    created_by: Any = Field(None, description="Read only.")
    run_count: Any = Field(None, description="Read only.")
    success_count: Any = Field(None, description="Read only.")
    failure_count: Any = Field(None, description="Read only.")
    last_run_at: Any = Field(None, description="Read only.")
    edited: Any = Field(None, description="Read only; whether it differs from the newest published version.")
    success_rate: Any = Field(None, description="Read only; percent.")


def build_definition_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a definition."""
    schema = Definition.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["required"] = ["name", "trigger", "nodes"]
    return schema


WORKFLOW_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
"""A workflow id: text that needs no escapes in a URL."""
