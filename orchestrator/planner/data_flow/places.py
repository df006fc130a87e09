"""What is known where a value of a node is computed: before the node runs, after its body, or after it has failed."""

from orchestrator.planner.data_flow import sources
from orchestrator.planner.data_flow.flow import Flow
from orchestrator.planner.data_flow.narrowing import narrow
from orchestrator.planner.data_flow.types import ANY, TEXT, State, drop_kinds
from orchestrator.planner.scoping import ASSIGNEE, REMINDER

AFTER_BODY = ("/config/collect", "/config/break_when", "/config/interval_seconds")
"""Values that a loop computes after a pass through its body."""


def find_state(flow: Flow, number: int, place: str) -> State:
    """Return what is known where the value at a pointer below a node is computed; nothing if it never runs."""
    node, seen = flow.nodes[number], flow.seen.get(number, {})
    if place == "/config/while":
        before = flow.seen_before_pass.get(number, {})
        own = flow.list_owned_steps(number)  # the first time, `while` asks whether there are any yet
        return {name: drop_kinds(known, "missing") if name in own else known for name, known in before.items()}
    if node.type == "loop" and place in AFTER_BODY:
        return flow.seen_after_body.get(number, {})
    state = seen if node.when is None or place == "/when" else narrow(node.when, seen, holds=True)
    if place.startswith("/compensate/"):  # computed when the node has run
        output = flow.infer_output(node)
        set_by_it = {name: sources.read_variable(output, name) for name in node.outputs}
        return {**state, f"steps.{node.id}": sources.make_step("completed", output), **set_by_it}
    if place.startswith(REMINDER):
        return {**state, ASSIGNEE: TEXT}
    if place.startswith("/on_error/"):
        return {**state, f"steps.{node.id}": sources.make_step("failed", ANY, ANY)}
    return state
