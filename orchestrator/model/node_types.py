"""The keys and ports of each node type: one row a type (SPEC §1)."""

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
    """Keys that only this type uses."""
    config: dict[str, str] | None = None
    """Keys of `config`, with their descriptions; None if the author names them."""
    ports: tuple[str, ...] = ("next",)
    times_out: bool = False
    """Whether `timeout_seconds` has an effect."""


KINDS: dict[str, Kind] = {
    "trigger": Kind("Starts the graph, like an edge from `trigger`.", config={}),
    "action": Kind(
        "Calls an action: an HTTP request, an email, a query.",
        keys=("action", "task_queue", "execution", "compensate", "result_schema"),
        ports=("next", "error"),
        times_out=True,
    ),
    "condition": Kind(
        "Decides between two ports.",
        keys=("condition", "true_branch", "false_branch"),
        config={},
        ports=("true", "false"),
    ),
    "switch": Kind(
        "Decides between several ports.",
        config={
            "value": "Template of the value to compare.",
            "cases": "`{name: value or condition}`; the first case that matches is the port.",
        },
        ports=("default",),
    ),
    "loop": Kind(
        "Runs its body once for each item.",
        keys=("collection", "item_variable", "body"),
        config={
            "while": "Condition evaluated before each iteration; false ends the loop.",
            "batch_size": "Items of one iteration: its item is a list of up to this many.",
            "max_concurrency": "Number of concurrent iterations (1).",
            "break_when": "Condition evaluated after each iteration; true ends the loop.",
            "collect": "Template evaluated after each iteration; the output lists the results as `items`.",
            "on_item_error": "`fail` (default) or `continue`.",
            "max_failures": "Failed iterations to continue after: a number, a percentage (`5%`) or a template of one. "
            "More fail the step.",
            "interval_seconds": "Seconds between one iteration and the next, or a template of it.",
            "max_iterations": "Maximum number of iterations; more fail the step.",
        },
        ports=("body", "next", "error"),
        times_out=True,
    ),
    "parallel": Kind(
        "Runs its branches concurrently.",
        keys=("branches",),
        config={
            "join": "Number of branches that must complete: `all` (default), `any`, a number, or a template of one.",
            "on_branch_error": "`fail_fast` (default), `wait` or `ignore`.",
            "max_concurrency": "Number of concurrent branches.",
            "mode": "`child` workflows (default), or `inline` in this one. A race for events is always `inline`.",
        },
        ports=("branch", "next", "error"),
        times_out=True,
    ),
    "delay": Kind(
        "Waits for a duration or until a time, for up to ten years.",
        keys=("delay_seconds", "delay_until"),
        config={
            "cron": "Cron expression; waits for its next fire time.",
            "timezone": "IANA time zone of `cron` (UTC).",
        },
    ),
    "wait": Kind(
        "Waits for an event that is sent to the run, or for the first of several.",
        config={
            "event": "Name of the event, or a list of names: the first of these events ends the wait. For an "
            "approval it may be left out: it is the id of the node.",
            "key": "Template of a key: only an event that is sent with this key ends the wait.",
            "timeout_seconds": "Timeout of the wait; then the run continues by port `timeout`.",
            "schema": "JSON Schema for the payload; others are refused. `uniqueItems` needs `maxItems`.",
            "approval": "`{title, assignees, form, reminder}`: people decide, by a link or in the console.",
        },
        ports=("next", "timeout"),
    ),
    "set": Kind("Sets variables: each key of `config` to the value of its template."),
    "workflow": Kind(
        "Calls another workflow.",
        keys=("compensate",),
        config={
            "workflow_id": "Id of the workflow.",
            "version": "Version; if empty, the newest when this workflow is published; `latest`: when a run starts.",
            "input": "Template of its input.",
            "wait": "Whether to wait until it ends (true).",
        },
        ports=("next", "error"),
        times_out=True,
    ),
    "end": Kind(
        "Ends its path; with `output` or `outcome` it ends its whole scope at once.",
        config={
            "output": "Template of the output of the run, iteration or branch.",
            "outcome": "`completed` or `failed`.",
            "message": "Template of the error message for outcome `failed`.",
        },
        ports=(),
    ),
}  # fmt: skip


def list_ports(node: Node) -> tuple[str, ...]:
    """Return the ports of a node, in order."""
    kind = KINDS[node.type]
    if node.type != "switch":
        return kind.ports
    cases = node.config.get("cases")
    return (*(str(name) for name in cases), *kind.ports) if isinstance(cases, dict) else kind.ports


def list_target_lists(node: Node) -> list[tuple[str, str, list[str]]]:
    """Return the lists of ids of a node: `(path in the node, port, ids)`; a branch is the port `branch <index>`."""
    match node.type:
        case "condition":
            return [("/true_branch", "true", node.true_branch), ("/false_branch", "false", node.false_branch)]
        case "loop":
            return [("/body", "body", node.body)]
        case "parallel":
            return [(f"/branches/{index}", f"branch {index}", ids) for index, ids in enumerate(node.branches)]
        case _:
            return []
