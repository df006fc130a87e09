"""Scripted actions: mocks as `simulate --actions` takes them, served by one dynamic Temporal activity."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from activities.redaction import Redactor
from activities.results import MAX_RESULT_BYTES, ActionAnswer, encode_answer
from orchestrator.expressions import render
from orchestrator.interpreter.effects import ActRequest
from orchestrator.model.run import ATTEMPT_KEY, RunInfo
from orchestrator.temporal.activity_inputs import build_activity_input
from orchestrator.temporal.workflow.activities import parse_activity_result

DEFAULT_ANSWER = {"output": {"node": "{{ node_id }}"}}


@dataclass
class Script:
    """The results of the actions of one customer's runs, and the calls."""

    answers: Mapping[str, Any] = field(default_factory=dict)
    """By action: a mock, or a list of mocks of which the last repeats."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    """`{action, node_id, parameters, attempt, context}` of each attempt, in order."""
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    """By node id or action: an attempt ends only once its gate is open."""
    seconds: float = 0.0
    """How long each attempt takes."""
    cancelled: list[str] = field(default_factory=list)
    """Nodes whose action was cancelled while it waited at its gate."""
    stubborn: frozenset[str] = frozenset()
    """Nodes whose action completes when it is cancelled: its effect could no longer be stopped."""
    is_silent: bool = False
    """Attempts send no heartbeats for now, so none of them learns of a cancellation."""

    def list_calls(self, action: str) -> list[dict[str, Any]]:
        """Return the calls of one action."""
        return [call for call in self.calls if call["action"] == action]

    def list_nodes(self) -> list[str]:
        """Return the ids of the nodes that called, in order."""
        return [call["node_id"] for call in self.calls]

    async def answer(self, action: str, sent: Mapping[str, Any], attempt: int, beat: Callable[[], None]) -> Any:
        """Return the result of one attempt; raises ApplicationError if the script says so."""
        node_id = sent["context"]["node_id"]
        position = len(self.list_calls(action))
        self.calls.append({"action": action, "node_id": node_id, "attempt": attempt, **sent})
        gate = self.gates.get(node_id) or self.gates.get(action)
        if gate is not None:
            await self._wait(gate, node_id, beat)
        await asyncio.sleep(self.seconds)
        answer = self.answers.get(action, DEFAULT_ANSWER)
        if isinstance(answer, Sequence):
            answer = answer[min(position, len(answer) - 1)]
        context = {"params": sent["parameters"], "attempt": attempt, "node_id": node_id}
        if "error" in answer:
            raise build_failure(render(answer["error"], context), attempt)
        result = render(answer.get("output", {}), context)
        return result if attempt == 1 else {ATTEMPT_KEY: attempt, "result": result}

    async def _wait(self, gate: asyncio.Event, node_id: str, beat: Callable[[], None]) -> None:
        try:
            while not gate.is_set():
                if not self.is_silent:
                    beat()
                try:
                    await asyncio.wait_for(gate.wait(), 0.05)
                except TimeoutError:
                    continue
        except asyncio.CancelledError:
            self.cancelled.append(node_id)
            if node_id not in self.stubborn:
                raise


def build_failure(error: Any, attempt: int) -> ApplicationError:
    """Build the error of a failed action."""
    document = error if isinstance(error, Mapping) else {"message": str(error)}
    recoverable = bool(document.get("recoverable", True))
    return ApplicationError(
        str(document.get("message", "the action failed")),
        {"details": dict(document.get("details") or {}), "recoverable": recoverable, "attempt": attempt},
        type=document.get("error_type", "action_error"),
        non_retryable=not recoverable,
    )


class Scripts:
    """The scripts of all customers and the activity that runs them."""

    def __init__(self) -> None:
        self.by_customer: dict[str, Script] = {}

    @activity.defn(dynamic=True)
    async def act(self, args: Sequence[RawValue]) -> Any:
        """Run the script of the customer."""
        info = activity.info()
        sent = activity.payload_converter().from_payload(args[0].payload)
        script = self.by_customer[sent["context"]["customer_id"]]

        def beat() -> None:
            if info.heartbeat_timeout and not info.is_local:
                activity.heartbeat()

        return await script.answer(info.activity_type, sent, info.attempt, beat)

    async def call_fused(self, info: RunInfo, workflow_id: str, request: ActRequest, attempt: int) -> ActionAnswer:
        """Run the script for an attempt in a segment."""
        sent = build_activity_input(info, workflow_id, request).to_json()
        script = self.by_customer[info.customer_id]
        try:
            async with asyncio.timeout(request.timeout_seconds):
                answer = await script.answer(request.action, sent, attempt, lambda: None)
                return encode_answer(parse_activity_result(answer).result, Redactor(), [], MAX_RESULT_BYTES)
        except TimeoutError:
            raise build_failure({"message": "too long", "error_type": "timeout_error"}, attempt) from None
