"""Complete the calls of actions: their retry policy and timeout, and whether they run as local activities."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.model.definition import Definition, Node
from orchestrator.model.plan import DEFAULT_TIMEOUT_SECONDS, ActionCall, Retry
from orchestrator.planner.parameter_checks import check_parameters
from orchestrator.planner.policies import (
    ActionLike,
    Catalogue,
    build_side_call,
    check_timeout,
    merge_retry,
    read_retry,
    read_side_call,
)
from orchestrator.planner.report import Report, suggest_choice

EXECUTIONS = ("activity", "local")
LOCAL_TIMEOUT_SECONDS = 10.0
"""Longest timeout for a local activity without a warning: it blocks its workflow task."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """The retry policy, timeout and placement of one call."""

    retry: Retry
    timeout_seconds: float
    heartbeat_seconds: float | None
    local: bool
    fused: bool
    """Whether it may run in one local activity with those after it."""


class Actions:
    """Checks and completes the action calls of one definition."""

    def __init__(self, definition: Definition, registry: Catalogue | None, report: Report) -> None:
        self.settings = definition.settings
        self.registry = registry
        self.report = report
        self.retry = read_retry(self.settings.retry, "/settings/retry", report)
        if self.settings.execution and self.settings.execution not in EXECUTIONS:
            hint = suggest_choice(self.settings.execution, EXECUTIONS)
            message = f"unknown execution {self.settings.execution!r:.60}"
            report.add_error("unknown_choice", "/settings/execution", message, hint)

    def complete_call(self, node: Node, pointer: str) -> CallSettings:
        """Check the call of an action node and return its settings."""
        spec = self._find_action(node.action, f"{pointer}/action", task_queue=node.task_queue)
        if spec is not None:
            check_parameters(spec, node.config, f"{pointer}/config", self.report)
        own = read_retry(node.retry, f"{pointer}/retry", self.report)
        local = self._is_local(node, spec)
        timeout = node.timeout_seconds or (spec and spec.timeout_seconds) or DEFAULT_TIMEOUT_SECONDS
        if local and node.execution == "local" and timeout > LOCAL_TIMEOUT_SECONDS and node.timeout_seconds:
            message = f"a local action blocks its workflow while it runs: a timeout of {timeout:g} s is too long"
            hint = "use execution `activity`, or a shorter timeout"
            self.report.add_warning("long_local", f"{pointer}/timeout_seconds", message, hint)
        return CallSettings(
            retry=self._merge_retry(spec, own),
            timeout_seconds=timeout,
            heartbeat_seconds=None if local or spec is None else spec.heartbeat_seconds,
            local=local,
            fused=local and self.settings.fuse and not node.task_queue,
        )

    def complete_side_call(self, value: Any, pointer: str) -> ActionCall | None:
        """Check a compensation or a notification and return its call."""
        call = read_side_call(value, pointer, self.report)
        if call is None:
            return None
        spec = self._find_action(call["action"], f"{pointer}/action", task_queue="")
        config = call.get("config") or {}
        if spec is not None:
            check_parameters(spec, config, f"{pointer}/config", self.report)
        retry = self._merge_retry(spec, read_retry(call.get("retry"), f"{pointer}/retry", self.report))
        timeout = call.get("timeout_seconds")
        if timeout is not None and not check_timeout(timeout, f"{pointer}/timeout_seconds", self.report):
            timeout = None
        return build_side_call(call, retry, timeout or (spec and spec.timeout_seconds) or DEFAULT_TIMEOUT_SECONDS)

    def _find_action(self, name: str, pointer: str, task_queue: str) -> ActionLike | None:
        """Return a registered action; another task queue may serve one that is not registered here."""
        if self.registry is None or not name:
            return None
        spec = self.registry.get(name)
        queue = task_queue or self.settings.task_queue
        if spec is not None:
            return spec
        suggestion = did_you_mean(name, self.registry.list_names())
        if queue:
            message = f"the action {name!r:.60} is not known here; a worker of task queue {queue!r:.60} has to serve it"
            hint = suggestion or "name a file that describes it in ORCHESTRATOR_ACTION_SCHEMAS to have it checked"
            self.report.add_warning("unknown_action", pointer, message, hint)
        else:
            hint = suggestion or "`orchestrator actions list` lists all actions"
            self.report.add_error("unknown_action", pointer, f"there is no action {name!r:.60}", hint)
        return None

    def _merge_retry(self, spec: ActionLike | None, own: Mapping[str, Any]) -> Retry:
        return merge_retry((spec and spec.retry) or {}, self.retry, own)

    def _is_local(self, node: Node, spec: ActionLike | None) -> bool:
        if node.execution:
            return node.execution == "local"
        if self.settings.execution:
            allowed = spec is None or spec.heartbeat_seconds is None
            return self.settings.execution == "local" and allowed and not node.task_queue
        return spec is not None and spec.execution == "local" and not node.task_queue
