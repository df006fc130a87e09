"""One flow: a run or one branch of it, read from its request and encoded for continue-as-new. Replay-sensitive."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeUpdate
from temporalio.exceptions import ApplicationError

from orchestrator.interpreter.frames import OpenNode
from orchestrator.interpreter.inbox import Event, Inbox
from orchestrator.interpreter.leaf_frames import BusyNode, OperatorFrame
from orchestrator.interpreter.migration import MigrationRequest, move_early_events, plan_migration
from orchestrator.interpreter.repairs import Override
from orchestrator.interpreter.run_document import build_run_document, list_held_nodes
from orchestrator.interpreter.state import RunState
from orchestrator.model.plan import Plan
from orchestrator.model.run import ErrorDocument, Run, find_owner
from orchestrator.temporal.failures import build_run_failure
from orchestrator.temporal.known_plans import read_known_plan
from orchestrator.temporal.payloads import PLAIN_BYTES, encode_state, is_within
from orchestrator.temporal.requests import (
    build_run_request,
    build_unreadable_error,
    encode_request,
    measure_arguments,
    omit_empty,
    split_request,
    validate_info,
    wrap_whole_request,
)
from orchestrator.temporal.search_attributes import BUSINESS_KEYS, MOVED_AT, VERSION, add_scheduled_time
from orchestrator.temporal.workflow.details import Details
from orchestrator.temporal.workflow.effects import TemporalEffects

STATES_TOO_LARGE = "orchestrator_states_too_large"
TOO_LARGE = (
    "the data of this run is too large to be carried into a new history: the run fails when this one is full."
    " Store large data elsewhere and pass references"
)

TOO_LARGE_TO_MOVE = "the data of the run is too large to be carried into a new history"


class Flow:
    """The plan, state and effects of a flow."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.known = read_known_plan(request.get("plan"))
        self.plan, info = self.known.plan, validate_info(request.get("run"))
        # A schedule starts all its runs with the same request, which cannot hold their ids.
        self.info = info if info.id else info.model_copy(update={"id": workflow.info().workflow_id})
        try:
            self.branch: dict[str, Any] | None = request.get("branch")
            self.state = self._state(request)
            self.inbox = Inbox(request.get("inbox", ()), request.get("received", 0))
            self.inbox.read.extend(request.get("read", ()))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise build_unreadable_error("state", error) from error
        self.effects = TemporalEffects(
            self.plan,
            self.info,
            self.inbox,
            paused=bool(request.get("paused")),
            resumed="state" in request,
        )
        for node in self.state.frame.iterate_open_nodes():
            if isinstance(node, OperatorFrame):
                self.effects.open_decision(node.step.id, node.step.node_id)
        self.effects.children.branches.extend(request.get("branches", ()))
        self.effects.show = self.show
        self.effects.warn = self._warn
        self.effects.segments.show = self.show
        self.effects.segments.plan_text = self.known.text
        self.effects.segments.read_state = self._read_copy
        # The state holds it as well: what comes first in Temporal's page is only carried on where it is small.
        run_input = request.get("input")
        self._shown_input = run_input if is_within(run_input, PLAIN_BYTES) else None
        self._details = Details(self.plan, self.info, self.state.path)
        self.migration: MigrationRequest | None = None
        """The move to another version that is to come."""
        self._signalled_at = -1
        """History length of the workflow task in which a signal or update was last handled."""

    def _state(self, request: Mapping[str, Any]) -> RunState:
        if "state" in request:
            return RunState.from_json(self.plan, request["state"])
        branch = self.branch or {}
        return RunState.new(
            self.plan,
            self.info,
            run_input=request.get("input"),
            trigger=add_scheduled_time(request.get("trigger"), workflow.info().typed_search_attributes),
            now=workflow.now(),
            context=None if self.branch is None else request.get("input"),
            path=branch.get("path", ""),
            frame=branch.get("frame"),
            overrides=map(Override.from_json, branch.get("overrides", ())),
        )

    @property
    def has_handled_signals(self) -> bool:
        """Whether a signal or update was handled in this workflow task."""
        return self._signalled_at == workflow.info().get_current_history_length()

    def record_signal(self) -> None:
        """Record that a signal or update is handled in this workflow task."""
        self._signalled_at = workflow.info().get_current_history_length()

    def has_gathered(self) -> bool:
        """Return whether the run can continue as new, or paths are held that need be held no longer."""
        if not self.effects.gathered and self.migration is None:
            return False
        return self.effects.has_to_release() or (self._is_at_rest() and workflow.all_handlers_finished())

    def _is_at_rest(self) -> bool:
        """Return whether the state can be written down: nothing is under way, and the flow is not ending."""
        is_ending = self.state.ending or self.state.failure is not None
        return not is_ending and not self.effects.working and self.state.frame.is_at_rest()

    def encode_continuation(self) -> list[RawValue] | None:
        """Return the arguments of the execution that continues this one; `None` where they are too large."""
        args = self._encode(self.plan, self.state, self._list_readable())
        if args is None and self._warn(TOO_LARGE):
            workflow.metric_meter().create_counter(STATES_TOO_LARGE, "Runs too large to continue as new.").add(1)
        return args

    def _list_readable(self) -> list[Event]:
        return self.inbox.list_readable(self.state.frame.list_waiting_branches())

    def _encode(self, plan: Plan, state: RunState, events: Iterable[Event]) -> list[RawValue] | None:
        request = build_run_request(plan, self.info, input_data=self._shown_input)
        if self.branch is not None:
            request["branch"] = {name: self.branch[name] for name in ("path", "exports")}
        request |= omit_empty(
            inbox=[event.to_json() for event in events],
            received=self.inbox.received,
            read=self.inbox.read if self.branch is not None else [],  # only a branch returns it, to its parent
            paused=self.effects.paused,
            branches=list(self.effects.children.branches),
        )
        limit = self.info.max_payload_bytes
        envelope = encode_state(state, split_request(request)[1], limit)
        args = None if envelope is None else encode_request(request, envelope)
        if args is not None and measure_arguments(args) > limit:
            # Together with the state the plan is compressed, and what both of them hold is written once.
            request.pop("input", None)
            whole = encode_state(state, request, limit)
            args = None if whole is None else wrap_whole_request(whole)
        return args

    def plan_move(self, request: MigrationRequest) -> None:
        """Have the run continue as new with another version as soon as all paths are at rest."""
        self.migration, self.effects.is_moving = request, True

    def encode_move(self, request: MigrationRequest) -> list[RawValue] | None:
        """Return the arguments of the execution that runs another version; `None` where the run stays in this one."""
        moved = plan_migration(self.plan, self.state, request, workflow.now())
        args = None
        if not moved.problems:
            events = move_early_events(self.plan, self.state, request, self._list_readable())
            args = self._encode(request.plan, RunState.from_json(request.plan, moved.state), events)
        if args is None:
            self.drop_move(moved.problems or [TOO_LARGE_TO_MOVE])
            return None
        changes: list[SearchAttributeUpdate[Any]] = [
            VERSION.value_set(request.plan.version),
            MOVED_AT.value_set(workflow.now()),
        ]
        if request.plan.keys != self.plan.keys:
            changes.append(BUSINESS_KEYS.value_unset())  # the next execution shows its own
        workflow.upsert_search_attributes(changes)
        return args

    def drop_move(self, problems: list[str]) -> None:
        """Let the run stay with its version, and record why."""
        if self.migration is None:
            return
        self.migration, self.effects.is_moving = None, False
        # The entry may have left the record, which holds the newest ones.
        for entry in filter(lambda each: each["kind"] == "migrate", reversed(self.state.interventions)):
            entry["refused"] = problems
            break
        self.effects.release()

    def _read_copy(self) -> dict[str, Any] | None:
        """Return the state for a segment's copy of the flow; `None` where the flow holds what a copy would not."""
        is_held = self.effects.is_held() or self.effects.is_moving or self.state.ending
        if is_held or any(_awaits_notification(node) for node in self.state.frame.iterate_open_nodes()):
            return None
        return self.state.to_json()

    def _warn(self, message: str) -> bool:
        """Add a warning about the run; return whether it is new."""
        is_new = message not in self.state.warnings
        if is_new:
            self.state.warnings.append(message)
        return is_new

    def is_pause_shown(self) -> bool:
        """Return whether a pause has taken effect: what was at work when it came has ended, here and in branches."""
        has_branches = any(child.path for child in self.effects.children.running.values())
        return self.effects.held > 0 or (self.effects.paused and not self.effects.working and not has_branches)

    def build_document(self) -> Run:
        """Build the run document of this flow, without its branches."""
        document = self._add_called_runs(build_run_document(self.plan, self.info, self.state))
        if self.migration is not None:
            document = document.model_copy(update={"moving_to": self.migration.plan.version})
        if not self.is_pause_shown():
            return document
        held: list[tuple[str | None, str]] = [*list_held_nodes(self.plan, self.state)] or [(None, self.state.path)]
        pauses = [{"node_id": node_id, "step_id": None, "kind": "paused", "path": path} for node_id, path in held]
        waits = [*document.waiting_for, *pauses]
        busy = self.effects.working or self.effects.children.running
        status = document.status if busy else "waiting"
        return document.model_copy(update={"status": status, "waiting_for": waits})

    def _add_called_runs(self, document: Run) -> Run:
        calls = self.effects.children.calls
        if not calls:
            return document
        steps = [
            step.model_copy(update={"run_id": calls[step.id]}) if step.id in calls else step for step in document.steps
        ]
        waits = [
            {**wait, "run_id": calls[wait["step_id"]]} if wait["step_id"] in calls else wait
            for wait in document.waiting_for
        ]
        return document.model_copy(update={"steps": steps, "waiting_for": waits})

    def show(self) -> None:
        """Update the details that the Temporal UI shows."""
        branches = [child for child in self.effects.children.running.values() if child.path]
        lines = self._details.describe(self.state, branches, paused=self.effects.paused)
        workflow.set_current_details("\n".join(lines))

    def build_failure(self, error: ErrorDocument, *more: Mapping[str, Any]) -> ApplicationError:
        """Return the Temporal failure that this flow ends with; its message begins with the name of the node."""
        node = self._details.find_node(error.node_id) if error.node_id else None
        return build_run_failure(error, *more, node_title=node.title if node else None)


def _awaits_notification(node: OpenNode) -> bool:
    """Return whether a step has failed whose operator is being notified: a copy would run it again."""
    waits = node.step.waiting_for or {}
    return isinstance(node, BusyNode) and waits.get("kind") == "operator"


def iterate_enclosing_paths(step_id: str) -> Iterator[str]:
    """Yield the path of a step and those that enclose it, the innermost first."""
    while True:
        path = step_id.rpartition("/")[0]
        yield path
        if not path:
            return
        step_id = find_owner(path)
