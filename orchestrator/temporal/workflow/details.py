"""Describe in Markdown where a flow stands, for Temporal's page. Replay-sensitive.

What only the server knows is not in here: the attempt at an action that is running. Temporal's page shows it itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from orchestrator.interpreter.state import RunState
from orchestrator.interpreter.step_record import Step
from orchestrator.jsontools.text import shorten
from orchestrator.model.plan import ANY_EVENT, Action, AnyNode, Plan
from orchestrator.model.plan_nodes import iterate_nodes
from orchestrator.model.run import RunInfo
from orchestrator.temporal.markdown import escape_markdown, quote_code
from orchestrator.temporal.workflow.children import Child

SHOWN_STEPS = 10
"""Maximum number of open steps that are listed; also of branches."""
SHOWN_EVENTS = 5
MAX_NAME = 100
MAX_MESSAGE = 300


class Details:
    """The details of one flow."""

    def __init__(self, plan: Plan, info: RunInfo, path: str) -> None:
        self.plan = plan
        self.info = info
        self.path = path
        """Path of a branch; empty for a whole run."""
        self._nodes: Mapping[str, AnyNode] | None = None

    def find_node(self, node_id: str) -> AnyNode | None:
        """Return a node of the plan by its id."""
        if self._nodes is None:
            self._nodes = {node.id: node for node in iterate_nodes(self.plan.scope)}
        return self._nodes.get(node_id)

    def describe(self, state: RunState, branches: Sequence[Child], *, paused: bool) -> Iterator[str]:
        """Yield the lines: the run, its open steps, and its branches with the events that they can wait for."""
        # The static summary is lost on continue-as-new, so the details hold the name as well.
        branch = f", branch {quote_code(self.path)} of {quote_code(self.info.id)}" if self.path else ""
        count = f"{state.completed} step{'' if state.completed == 1 else 's'} done"
        yield f"{_emphasize(self.plan.name or self.plan.id)}{branch}: {state.status}, {count}"
        yield ""  # without it Temporal's page shows no list
        if paused:
            yield "- **paused** by an operator"
        for step in islice(state.open.values(), SHOWN_STEPS):
            yield f"- {self._name_step(step)} {self._describe_step(step)}"
        yield from _count_more(len(state.open), "open steps")
        for child in branches[:SHOWN_STEPS]:
            yield f"- branch {_emphasize(child.title)} ({quote_code(child.path)}) running{_describe_events(child)}"
        yield from _count_more(len(branches), "branches")

    def _name_step(self, step: Step) -> str:
        node = self.find_node(step.node_id)
        return f"{_emphasize(node.title if node else step.node_id)} ({quote_code(step.id)})"

    def _describe_step(self, step: Step) -> str:
        waits = step.waiting_for or {}
        until = f", until {waits['until']}" if waits.get("until") else ""
        match waits.get("kind"):
            case "delay":
                return f"waiting{until}"
            case "event":
                return f"waiting for the event {_quote_events(waits.get('event'))}{until}"
            case "approval":
                approval = waits["approval"]
                people = escape_markdown(shorten(", ".join(approval["assignees"]), MAX_MESSAGE))
                return f"waiting for approval by {people}: {escape_markdown(approval['title'])}{until}"
            case "operator":
                attempts = f" after {step.retry_count + 1} attempts" if step.retry_count else ""
                message = escape_markdown(shorten(str(waits.get("message")), MAX_MESSAGE))
                return f"waiting for an operator{attempts}: {message}"
        return f"{step.status}{self._describe_attempts(step)}"

    def _describe_attempts(self, step: Step) -> str:
        node = self.find_node(step.node_id)
        if step.retry_count:
            return f", attempt {step.retry_count + 1}"
        most = node.retry.maximum_attempts if isinstance(node, Action) else 1
        return f", up to {most} attempts" if most > 1 else ""


def _emphasize(name: str) -> str:
    return f"**{escape_markdown(shorten(name, MAX_NAME))}**"


def _quote_events(event: object) -> str:
    return " or ".join(quote_code(str(name)) for name in (event if isinstance(event, list) else [event]))


def _describe_events(child: Child) -> str:
    if not child.waits:
        return ""
    if ANY_EVENT in child.waits:
        return ", can wait for events"
    names = ", ".join(map(quote_code, child.waits[:SHOWN_EVENTS]))
    more = " and others" if len(child.waits) > SHOWN_EVENTS else ""
    return f", can wait for the event{'' if len(child.waits) == 1 else 's'} {names}{more}"


def _count_more(total: int, what: str) -> Iterator[str]:
    if total > SHOWN_STEPS:
        yield f"- and {total - SHOWN_STEPS} more {what}"
