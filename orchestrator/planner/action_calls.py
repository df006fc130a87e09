"""What actions are called with: registered names, literal parameters, retry, timeout, where they run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.jsontools.validation_messages import describe_validation_error, suggest_choice
from orchestrator.model.definition import Definition, Node
from orchestrator.model.plan import DEFAULT_TIMEOUT_SECONDS, ActionCall, Retry
from orchestrator.planner.policies import (
    ActionLike,
    Catalogue,
    build_side_call,
    merge_retry,
    read_retry,
    read_side_call,
)
from orchestrator.planner.report import Report

LOCAL_TIMEOUT_SECONDS = 10.0
"""A local activity holds its workflow task: longer ones belong on a task queue."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How an action is called."""

    retry: Retry
    timeout_seconds: float
    heartbeat_seconds: float | None
    local: bool


class Actions:
    """Checks and completes the calls of one definition."""

    def __init__(self, definition: Definition, registry: Catalogue | None, report: Report) -> None:
        self.settings = definition.settings
        self.registry = registry
        self.report = report
        self.retry = read_retry(self.settings.retry, "/settings/retry", report)
        if self.settings.execution and self.settings.execution not in ("activity", "local"):
            hint = did_you_mean(self.settings.execution, ("activity", "local"))
            report.add_error("unknown_choice", "/settings/execution", "execution is `activity` or `local`", hint)

    def complete_call(self, node: Node, pointer: str) -> CallSettings:
        """Complete the call of an action node."""
        spec = self._find_action(node.action, f"{pointer}/action", task_queue=node.task_queue)
        if spec is not None:
            self._check_parameters(spec, node.config, f"{pointer}/config")
        own = read_retry(node.retry, f"{pointer}/retry", self.report)
        local = self._is_local(node, spec)
        timeout = node.timeout_seconds or (spec and spec.timeout_seconds) or DEFAULT_TIMEOUT_SECONDS
        if local and node.execution == "local" and timeout > LOCAL_TIMEOUT_SECONDS and node.timeout_seconds:
            message = f"a local action holds up its workflow: {timeout:g} s is long for one"
            self.report.add_warning("long_local", f"{pointer}/timeout_seconds", message, "use execution `activity`")
        return CallSettings(
            retry=self._merge_retry(spec, own),
            timeout_seconds=timeout,
            heartbeat_seconds=None if local or spec is None else spec.heartbeat_seconds,
            local=local,
        )

    def complete_side_call(self, value: Any, pointer: str) -> ActionCall | None:
        """Complete a compensation or a notification."""
        call = read_side_call(value, pointer, self.report)
        if call is None:
            return None
        spec = self._find_action(call["action"], f"{pointer}/action", task_queue="")
        config = call.get("config") or {}
        if spec is not None:
            self._check_parameters(spec, config, f"{pointer}/config")
        retry = self._merge_retry(spec, read_retry(call.get("retry"), f"{pointer}/retry", self.report))
        timeout = call.get("timeout_seconds")
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0):
            self.report.add_error("out_of_bounds", f"{pointer}/timeout_seconds", "timeout_seconds must be above 0")
            timeout = None
        return build_side_call(call, retry, timeout or (spec and spec.timeout_seconds) or DEFAULT_TIMEOUT_SECONDS)

    def _find_action(self, name: str, pointer: str, task_queue: str) -> ActionLike | None:
        """Find an action; one on another task queue may be served by somebody else."""
        if self.registry is None or not name:
            return None
        spec = self.registry.get(name)
        if spec is None and not task_queue and not self.settings.task_queue:
            hint = did_you_mean(name, self.registry.list_names()) or "`orchestrator actions list` shows all"
            self.report.add_error("unknown_action", pointer, f"there is no action {name!r}", hint)
        return spec

    def _merge_retry(self, spec: ActionLike | None, own: Mapping[str, Any]) -> Retry:
        return merge_retry((spec and spec.retry) or {}, self.retry, own)

    def _is_local(self, node: Node, spec: ActionLike | None) -> bool:
        if node.execution:
            return node.execution == "local"
        if self.settings.execution:
            allowed = spec is None or spec.heartbeat_seconds is None
            return self.settings.execution == "local" and allowed and not node.task_queue
        return spec is not None and spec.execution == "local" and not node.task_queue

    def _check_parameters(self, spec: ActionLike, config: Mapping[str, Any], pointer: str) -> None:
        """Check the literal parameters; what holds templates is known in the run only."""
        try:
            spec.parameters.model_validate(config)
        except ValidationError as error:
            for wrong in error.errors(include_url=False):
                self._report_parameter(spec, config, wrong, pointer)

    def _report_parameter(self, spec: ActionLike, config: Mapping[str, Any], wrong: Any, pointer: str) -> None:
        parts, value = _follow_location(config, wrong["loc"])
        if wrong["type"] == "missing":
            name = str(wrong["loc"][-1])
            if has_template(value) and not isinstance(value, Mapping):
                return
            message = f"{spec.name} needs {name!r}"
            self.report.add_error("missing_parameter", _extend_pointer(pointer, parts), message)
        elif wrong["type"] == "extra_forbidden":
            hint = did_you_mean(parts[-1], spec.parameters.model_json_schema().get("properties", {}))
            message = f"{spec.name} has no parameter {parts[-1]!r}"
            self.report.add_error("unknown_parameter", _extend_pointer(pointer, parts), message, hint)
        elif not has_template(value):
            self.report.add_error(
                "bad_parameter",
                _extend_pointer(pointer, parts),
                f"{spec.name}: {describe_validation_error(wrong)}",
                suggest_choice(wrong),
            )


def _follow_location(config: Any, loc: Iterable[Any]) -> tuple[list[Any], Any]:
    """Follow a location as far as it is in the data; pydantic's go on with names of its own."""
    parts: list[Any] = []
    for part in loc:
        inside = isinstance(config, Mapping) and part in config
        if not inside and not (isinstance(config, list) and isinstance(part, int) and part < len(config)):
            break
        config = config[part]
        parts.append(part)
    return parts, config


def _extend_pointer(pointer: str, parts: Iterable[Any]) -> str:
    return pointer + "".join(f"/{escape(part)}" for part in parts)


def has_template(value: Any) -> bool:
    """Tell a value that holds a template anywhere."""
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, Mapping):
        return any(has_template(key) or has_template(item) for key, item in value.items())
    return isinstance(value, list) and any(map(has_template, value))
