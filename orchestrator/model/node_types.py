"""What each node type may say, and the ports it has: one row a type (SPEC §1)."""

from dataclasses import dataclass

from orchestrator.model.definition import Node

COMMON_KEYS = frozenset(
    (
        "id",
        "type",
        "name",
        "description",
        "config",
        "position",
        "outputs",
        "retry",
        "timeout_seconds",
        "on_error",
        "when",
    )
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One node type."""

    summary: str
    keys: tuple[str, ...] = ()
    """Keys of its own, beside the common ones."""
    config: dict[str, str] | None = None
    """Keys of `config` and what they say; `None` where the author names them."""
    ports: tuple[str, ...] = ("next",)
    lists: dict[str, str] | None = None
    """Keys that list ids, to the ports they belong to."""
    times_out: bool = False
    """`timeout_seconds` has a meaning."""


KINDS: dict[str, Kind] = {
    "trigger": Kind("A start, drawn as a node.", config={}),
    "action": Kind(
        "Does something outside: an HTTP call, a mail, a query.",
        keys=("action", "task_queue", "execution", "compensate"),
        ports=("next", "error"),
        times_out=True,
    ),
    "condition": Kind(
        "Goes one of two ways.",
        keys=("condition", "true_branch", "false_branch"),
        config={},
        ports=("true", "false"),
        lists={"true_branch": "true", "false_branch": "false"},
    ),
    "switch": Kind(
        "Goes one of many ways.",
        config={
            "value": "What is compared: a template.",
            "cases": "`{name: value or condition}`; the first that fits is the port.",
        },
        ports=("default",),
    ),
    "loop": Kind(
        "Runs its body once for each item.",
        keys=("collection", "item_variable", "body"),
        config={
            "while": "A condition checked before each pass.",
            "max_concurrency": "Passes at the same time (1).",
            "break_when": "A condition checked after each pass: true ends the loop.",
            "collect": "A template computed after each pass; the results are `items` of the output.",
            "on_item_error": "`fail` (default) or `continue`.",
            "max_iterations": "More passes than this fail the step.",
        },
        ports=("body", "next", "error"),
        lists={"body": "body"},
        times_out=True,
    ),
    "parallel": Kind(
        "Runs its branches at the same time.",
        keys=("branches",),
        config={
            "join": "`all` (default), `any`, or how many branches must complete.",
            "on_branch_error": "`fail_fast` (default), `wait` or `ignore`.",
            "max_concurrency": "Branches at the same time.",
            "mode": "`child` workflows (default) or `inline`.",
        },
        ports=("branch", "next", "error"),
        times_out=True,
    ),
    "delay": Kind(
        "Waits for a time, however long.",
        keys=("delay_seconds", "delay_until"),
        config={"cron": "Waits for the next time that this cron expression fires (UTC)."},
    ),
    "wait": Kind(
        "Waits for an event that somebody sends to the run.",
        config={
            "event": "Name of the event.",
            "timeout_seconds": "Longest wait; then it leaves by `timeout`.",
            "schema": "JSON Schema of the payload; events that do not fit are refused.",
        },
        ports=("next", "timeout"),
    ),
    "set": Kind("Sets variables: each key of `config` to the value of its template."),
    "workflow": Kind(
        "Runs another workflow.",
        config={
            "workflow_id": "Which one.",
            "version": "Which version of it; the newest when empty.",
            "input": "Its input: a template.",
            "wait": "Wait for its end (true).",
        },
        ports=("next", "error"),
        times_out=True,
    ),
    "end": Kind(
        "Ends the path; with `output` or `outcome` it ends its scope at once.",
        config={
            "output": "Output of the run, iteration or branch: a template.",
            "outcome": "`completed` or `failed`.",
            "message": "Why it failed: a template.",
        },
        ports=(),
    ),
}  # fmt: skip


def list_ports(node: Node) -> tuple[str, ...]:
    """Name the ports of a node, in order."""
    kind = KINDS[node.type]
    if node.type != "switch":
        return kind.ports
    cases = node.config.get("cases")
    return (*(str(name) for name in cases), *kind.ports) if isinstance(cases, dict) else kind.ports


def list_target_lists(node: Node) -> list[tuple[str, str, list[str]]]:
    """Give what a node lists: `(place in the node, port, ids)`; a branch is the port `branch <index>`."""
    if node.type == "parallel":
        return [(f"/branches/{at}", f"branch {at}", ids) for at, ids in enumerate(node.branches)]
    named = KINDS[node.type].lists or {}
    return [(f"/{key}", port, getattr(node, key)) for key, port in named.items()]
