"""What an author wrote: the JSON of a workflow (SPEC §1). No behaviour; the planner judges.

Exporters write all keys for every node: a key that is empty says nothing and is dropped.
"""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

NODE_TYPES = (
    "trigger", "action", "condition", "switch", "loop", "parallel", "delay", "wait", "set", "workflow", "end",
)  # fmt: skip
TRIGGER_TYPES = ("manual", "schedule", "event", "webhook")
STATUSES = ("draft", "active", "paused", "archived")
TRIGGER = "trigger"
"""The source of edges that start the graph."""
KEEPS_ZERO = frozenset({"collection", "delay_seconds"})
"""Keys for which `0` and `[]` say something."""


class Part(BaseModel):
    """A part of a definition; unknown keys are kept, for the planner to name."""

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


class Trigger(Part):
    """What starts the workflow."""

    type: str = Field("", description="What starts it.", json_schema_extra={"enum": list(TRIGGER_TYPES)})
    event: str = Field("", description="Event name; `order.*` matches one part, `order.**` the rest.")
    cron: str = Field("", description="Five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.")
    interval_seconds: float | None = Field(None, description="Seconds between starts, instead of `cron`.")
    webhook_path: str = Field("", description="Last part of the webhook's URL.")
    config: dict[str, Any] = Field(default_factory=dict, description="Settings of that kind of trigger.")


class Edge(Part):
    """A way from a port of one node to another node."""

    id: str = Field("", description="Unique among the edges.")
    source: str = Field("", description='A node\'s id, or `"trigger"`, the start.')
    target: str = Field("", description="A node's id.")
    label: str = Field("", description="For people.")
    condition: str = Field("", description="The port it leaves by; empty means `next`.")

    @field_validator("condition", mode="before")
    @classmethod
    def _name_port(cls, port: Any) -> Any:
        return str(port).lower() if isinstance(port, bool) else port


class Node(Part):
    """One step of the graph."""

    id: str = Field("", description="Unique in the workflow; templates name it as `steps.<id>`.")
    type: str = Field("", description="What it does.", json_schema_extra={"enum": list(NODE_TYPES)})
    name: str = Field("", description="For people; shown wherever the node appears.")
    description: str = Field("", description="For people.")
    config: dict[str, Any] = Field(default_factory=dict, description="What the type needs; an action's parameters.")
    position: Any = Field(None, description="`{x, y}` on a canvas; not used.")
    outputs: list[str] = Field(default_factory=list, description="Keys of the output to copy to variables.")
    retry: dict[str, Any] | None = Field(None, description="How a failed attempt is made again.")
    timeout_seconds: float | None = Field(
        None, description="Longest one attempt of an action, or a whole loop, parallel or workflow, may take."
    )
    on_error: Any = Field(
        None, description="`fail`, `skip`, `pause`, `{fallback: value}` or `{retry_from: node, max: n}`."
    )
    when: Any = Field(None, description="A condition; false skips the node.")
    action: str = Field("", description="action: name of the action.")
    task_queue: str = Field("", description="action: Temporal task queue of the worker that serves it.")
    execution: str = Field("", description="action: `activity` or `local`.")
    compensate: dict[str, Any] | None = Field(None, description="action: `{action, config}` that undoes it.")
    condition: Any = Field(None, description="condition: what is decided.")
    true_branch: list[str] = Field(default_factory=list, description="condition: ids to go on with when it holds.")
    false_branch: list[str] = Field(default_factory=list, description="condition: ids to go on with when it does not.")
    collection: Any = Field(None, description="loop: a list, a whole number, or a template of one.")
    item_variable: str = Field("", description="loop: variable of the item; its index is `<item>_index`.")
    body: list[str] = Field(default_factory=list, description="loop: ids each pass begins with.")
    branches: list[list[str]] = Field(default_factory=list, description="parallel: ids each branch begins with.")
    delay_seconds: Any = Field(None, description="delay: seconds, or a template of them.")
    delay_until: Any = Field(None, description="delay: ISO 8601 time, or a template of one.")


class Settings(Part):
    """How the whole workflow runs."""

    retry: dict[str, Any] | None = Field(None, description="For actions that say nothing themselves.")
    on_error: Any = Field(None, description="For nodes that say nothing themselves.")
    notify: dict[str, Any] | None = Field(None, description="`{action, config}` that tells an operator.")
    timeout_seconds: float | None = Field(None, description="Longest the whole run may take.")
    strict: bool = Field(False, description="A missing path in a template is an error.")
    max_steps: int | None = Field(None, description="Steps after which the run fails.")
    step_log_limit: int | None = Field(None, description="Steps kept whole in the run document.")
    compensate: str = Field(
        "",
        description="When completed actions are undone.",
        json_schema_extra={"enum": ["on_failure", "on_cancel", "both", "never"]},
    )
    task_queue: str = Field("", description="For actions that name none.")
    execution: str = Field(
        "", description="For actions that name none.", json_schema_extra={"enum": ["activity", "local"]}
    )
    input_schema: Any = Field(None, description="JSON Schema that a run's input must fit.")


class Definition(Part):
    """A workflow."""

    id: str = Field("", description="Unique; a new one is made where it is empty.")
    name: str = Field("", description="For people.")
    customer_id: str = Field("", description="Whose it is.")
    description: str = Field("", description="For people.")
    status: str = Field("draft", description="Where it is in its life.", json_schema_extra={"enum": list(STATUSES)})
    version: int = Field(1, description="Grows by one each time it is published.")
    trigger: Trigger = Field(Trigger(), description="What starts it.")
    nodes: list[Node] = Field(default_factory=list, description="What it does.")
    edges: list[Edge] = Field(default_factory=list, description="In which order.")
    variables: dict[str, Any] = Field(default_factory=dict, description="Data that every run begins with.")
    settings: Settings = Field(Settings(), description="How it runs.")
    created_at: Any = Field(None, description="Read only.")
    updated_at: Any = Field(None, description="Read only.")
    created_by: Any = Field(None, description="Read only.")
    run_count: Any = Field(None, description="Read only.")
    success_count: Any = Field(None, description="Read only.")
    failure_count: Any = Field(None, description="Read only.")
    last_run_at: Any = Field(None, description="Read only.")
    success_rate: Any = Field(None, description="Read only; percent.")


def build_definition_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of a definition."""
    schema = Definition.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["required"] = ["name", "trigger", "nodes"]
    return schema


WORKFLOW_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
"""What can stand in an address without escapes."""
