"""Decide approvals by signed links: find the step that a link is about, and send its answer once."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from orchestrator.errors import OperationRefused, Problem, RunNotFound, ServerUnavailable
from orchestrator.jsontools import schema
from orchestrator.model.approval_forms import build_answer_schema
from orchestrator.model.approval_links import ApprovalLink, parse_token
from orchestrator.model.run import Run, StepDocument
from orchestrator.model.run_paths import is_inside
from orchestrator.service.awaited_events import find_wait
from orchestrator.service.runs import Operations
from orchestrator.settings import Settings

State = Literal["open", "invalid", "not_asked", "decided", "expired", "accepted", "incomplete"]
"""Of an approval, for the holder of a link; `accepted` and `incomplete` are the outcomes of an answer."""
CONFIRM_SECONDS = 5.0
"""How long an answer waits for the run to take it; it counts all the same."""
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval as the holder of a link sees it."""

    state: State
    title: str = ""
    workflow_name: str = ""
    run_id: str = ""
    assignee: str = ""
    assignees: tuple[str, ...] | None = None
    """Who may decide; `None` before the run has come to it."""
    fields: tuple[str, ...] = ()
    """Names of the fields of the form, in order."""
    answer_schema: Mapping[str, Any] = field(default_factory=build_answer_schema)
    until: datetime | None = None
    decided_by: str = ""
    decided_at: datetime | None = None
    is_confirmed: bool = False
    """The run has taken the answer."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with an answer."""
    step_id: str = ""
    event: str = ""


INVALID = Approval("invalid")


class Approvals:
    """The approvals of all customers; a link is all that a person needs."""

    def __init__(self, settings: Settings, operations: Operations) -> None:
        self._secret = settings.approval_secret
        self.operations = operations

    async def open(self, token: str) -> Approval:
        """Return the approval of a link; changes nothing."""
        link = self._parse(token)
        return INVALID if link is None else await self._find(link)

    async def decide(self, token: str, answer: Mapping[str, Any]) -> Approval:
        """Send an answer to the run, once, and return what became of it."""
        link = self._parse(token)
        if link is None:
            return INVALID
        approval = await self._find(link)
        if approval.state != "open":
            return approval
        problems = await asyncio.to_thread(schema.find_problems, dict(approval.answer_schema), answer)
        if problems:
            return replace(approval, state="incomplete", problems=tuple(problems))
        runs = self.operations.runs
        try:
            await runs.send_event(
                link.run_id,
                approval.event,
                dict(answer),
                f"approval {sha256(token.encode()).hexdigest()}",
                by=link.assignee,
                step_id=approval.step_id,
            )
        except OperationRefused:  # it has ended since
            return replace(approval, state="expired")
        return await self._confirm(link, approval, answer)

    def _parse(self, token: str) -> ApprovalLink | None:
        return None if self._secret is None else parse_token(token, self._secret.get_secret_value())

    async def _find(self, link: ApprovalLink) -> Approval:
        """Return the approval that a link is about: the first of its node that had not ended when it was made."""
        approval = Approval("expired", run_id=link.run_id, assignee=link.assignee)
        try:
            run = await self.operations.get_document(None, link.run_id)
        except RunNotFound:
            return approval
        approval = replace(approval, workflow_name=run.workflow_name or run.workflow_id)
        if not run.complete and run.completed_at is None:
            raise ServerUnavailable("the record of the run cannot be read at the moment")
        link, node = await self._find_node(run, link)
        path = None if node is None else _find_path(link, node)
        if node is None or path is None:
            return approval
        steps = [step for step in run.steps if (step.node_id, step.path) == (link.node_id, path)]
        step = next((each for each in steps if _may_concern(link, each)), None)
        event = node.event if step is None else _find_event(run, step) or node.event
        approval = replace(
            approval,
            title=node.title,
            fields=node.fields,
            answer_schema=node.payload_schema,
            event=event,
            step_id=_name_next_step(link.node_id, path, steps) if step is None else step.id,
        )
        if step is not None and step.completed_at is not None:
            return _describe_ended(approval, step)
        if run.completed_at is not None:
            return approval
        return await self._check_open(link, approval, run)

    async def _find_node(self, run: Run, link: ApprovalLink) -> "tuple[ApprovalLink, _ApprovalNode | None]":
        """Return the node that a link is about, and the link with its ID in the version that the run has."""
        names = _list_names(run, link)
        try:
            recorded = await self.operations.runs.reader.read_recorded_plan(run.id)
        except RunNotFound:  # archived, and no longer known to Temporal
            link = replace(link, node_id=names[0])
            return link, _ApprovalNode(link.node_id, link.path.count("/") + bool(link.path))
        for name in names:
            node = _read_approval_node(recorded.plan, name)
            if node is not None:
                return replace(link, node_id=name), node
        return link, None

    async def _check_open(self, link: ApprovalLink, approval: Approval, run: Run) -> Approval:
        """Return an approval that has not ended: open to this person, unless someone has answered."""
        wait = next((wait for wait in run.waiting_for if wait.get("step_id") == approval.step_id), None)
        if wait is not None:
            until, asked = wait.get("until"), wait["approval"]
            approval = replace(
                approval,
                title=asked["title"],
                assignees=tuple(asked["assignees"]),
                until=datetime.fromisoformat(until) if until else None,
            )
            if link.assignee not in asked["assignees"]:
                return replace(approval, state="not_asked")
        answer = await self.operations.runs.find_approval_answer(link.run_id, approval.step_id, approval.assignees)
        if answer is not None:
            return replace(approval, state="decided", decided_by=answer.by, decided_at=answer.sent_at)
        return replace(approval, state="open")

    async def _confirm(self, link: ApprovalLink, approval: Approval, answer: Mapping[str, Any]) -> Approval:
        """Return whether an answer was the first, and whether the run has taken it."""
        first = await self.operations.runs.find_approval_answer(link.run_id, approval.step_id, approval.assignees)
        if first is not None and (first.by, first.payload) != (link.assignee, answer):
            return replace(approval, state="decided", decided_by=first.by, decided_at=first.sent_at)
        accepted = replace(approval, state="accepted")
        if first is None:
            return accepted
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CONFIRM_SECONDS
        while loop.time() < deadline:
            run = await self.operations.get_document(None, link.run_id)
            step = next((each for each in run.steps if each.id == approval.step_id), None)
            if step is None:  # the run has not come to it yet, and keeps the answer
                return accepted
            if step.completed_at is not None:
                ended = _describe_ended(approval, step)
                is_own = ended.state == "decided" and ended.decided_by == link.assignee
                is_own = is_own and step.output_data.get("payload") == answer
                return replace(accepted, is_confirmed=True) if is_own else ended
            await asyncio.sleep(POLL_SECONDS)
        return accepted


@dataclass(frozen=True, slots=True)
class _ApprovalNode:
    """What the plan says of a `wait` node with an approval."""

    id: str
    depth: int
    """Number of loops and parallels around it."""
    title: str = ""
    event: str = ""
    fields: tuple[str, ...] = ()
    payload_schema: Mapping[str, Any] = field(default_factory=build_answer_schema)


def _read_approval_node(plan: Mapping[str, Any], node_id: str) -> _ApprovalNode | None:
    found = find_wait(plan, node_id)
    if found is None or not found[0].get("approval"):
        return None
    node, depth = found
    title, event = str(node["approval"]["title"]), node["event"]
    name = node.get("name") or node["id"]
    return _ApprovalNode(
        node["id"],
        depth,
        name if "{{" in title else title,
        str(event[0] if isinstance(event, list) else event),
        tuple(node["approval"].get("fields", ())),
        node.get("payload_schema") or build_answer_schema(),
    )


def _list_names(run: Run, link: ApprovalLink) -> list[str]:
    """Return the IDs that the node of a link may have by now, the likeliest first.

    A step in progress keeps its own where a move has renamed its node. A link that was sent between the request and the
    move names the node as it was before.
    """
    for step in run.steps:
        name = step.id.rpartition("/")[2].partition("#")[0]
        if name == link.node_id and is_inside(link.path, step.path) and _may_concern(link, step):
            return [step.node_id]
    moves = [each for each in run.interventions if each.kind == "migrate" and not each.refused]
    later = [each.map for each in moves if each.at >= link.made_at]
    return [_rename(link.node_id, later), _rename(link.node_id, [each.map for each in moves])]


def _rename(node_id: str, maps: Iterable[Mapping[str, str]]) -> str:
    for names in maps:
        node_id = names.get(node_id, node_id)
    return node_id


def _may_concern(link: ApprovalLink, step: StepDocument) -> bool:
    return step.completed_at is None or step.completed_at > link.made_at


def _find_path(link: ApprovalLink, node: _ApprovalNode) -> str | None:
    """Return the path of the wait: that of the sender, or of one of the iterations and branches around it."""
    parts = link.path.split("/") if link.path else []
    return "/".join(parts[: node.depth]) if len(parts) >= node.depth else None


def _name_next_step(node_id: str, path: str, steps: list[StepDocument]) -> str:
    """Return the id of the next step of a node: the passes of a cycle are numbered."""
    passes = max(
        (int(step.id.rpartition("#")[2]) if "#" in step.id.rpartition("/")[2] else 1 for step in steps), default=0
    )
    name = node_id if passes == 0 else f"{node_id}#{passes + 1}"
    return f"{path}/{name}" if path else name


def _find_event(run: Run, step: StepDocument) -> str:
    """Return a name of the event that an open step waits for."""
    event = next((wait.get("event") for wait in run.waiting_for if wait.get("step_id") == step.id), None)
    return str(event[0] if isinstance(event, list) else event or "")


def _describe_ended(approval: Approval, step: StepDocument) -> Approval:
    """Return an approval whose step has ended: by a decision, or without one."""
    output = step.output_data if isinstance(step.output_data, dict) else {}
    try:
        decided_at = datetime.fromisoformat(output["decided_at"])
    except (KeyError, TypeError, ValueError):  # nobody has, or an operator has given the step another result
        return replace(approval, state="expired")
    return replace(approval, state="decided", decided_by=str(output.get("by") or ""), decided_at=decided_at)
