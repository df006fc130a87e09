"""Check what each node type needs: required keys, bounds and choices."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from orchestrator.jsontools import schema
from orchestrator.jsontools.json_types import describe_type, describe_value
from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.time_zones import find_zone, suggest_zone
from orchestrator.language.values import read_date
from orchestrator.model.definition import Node
from orchestrator.model.plan import IN_FLIGHT_LIMIT, LATEST, MAX_DELAY_SECONDS
from orchestrator.model.run import RESERVED_NAMES
from orchestrator.planner.approval_checks import check_approval
from orchestrator.planner.references import is_template
from orchestrator.planner.report import Report, suggest_choice
from orchestrator.planner.structure import check_reserved
from orchestrator.timing import cron

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PERCENT = re.compile(r"^\s*(100|[0-9]{1,2}(\.[0-9]+)?)\s*%\s*$")
NAME_HINT = "use letters, digits and `_`, and begin with a letter or `_`"


def check(node: Node, pointer: str, report: Report) -> None:
    """Run the checks of the node's type."""
    if node.type in CHECKS:
        CHECKS[node.type](node, pointer, report)


def _check_action(node: Node, pointer: str, report: Report) -> None:
    if not node.action:
        hint = "name one in `action`; `orchestrator actions list` lists all actions"
        report.add_error("missing_action", f"{pointer}/action", f"node {node.id!r} names no action", hint)
    _check_choice(node.execution, ("activity", "local"), f"{pointer}/execution", report)
    if node.result_schema:
        report.problems.extend(schema.find_schema_problems(node.result_schema, f"{pointer}/result_schema"))


def _check_condition(node: Node, pointer: str, report: Report) -> None:
    if not node.condition:
        hint = "write {field: path, operator: name, value: value}"
        report.add_error("missing_condition", f"{pointer}/condition", f"node {node.id!r} has no condition", hint)
    _check_no_when(node, pointer, report)


def _check_no_when(node: Node, pointer: str, report: Report) -> None:
    if node.when:
        message = f"a {node.type} cannot have `when`: a skipped node continues by port `next`, which it does not have"
        report.add_error("when_without_next", f"{pointer}/when", message, "decide in a condition before this node")


def _check_switch(node: Node, pointer: str, report: Report) -> None:
    _check_no_when(node, pointer, report)
    cases = node.config.get("cases")
    if not isinstance(cases, dict) or not cases:
        message = f"the switch {node.id!r} has no cases"
        report.add_error("missing_cases", f"{pointer}/config/cases", message, "write {name: value or condition}")
        return
    if "default" in cases:
        message = "a case cannot be named `default`: that port is taken when no case matches"
        report.add_error("reserved_name", f"{pointer}/config/cases/default", message, "use another name")


def _check_loop(node: Node, pointer: str, report: Report) -> None:
    config = node.config
    if node.collection in (None, [], "") and not config.get("while"):
        if node.collection != []:
            hint = "set `collection` to a list, a whole number or a template"
            message = f"the loop {node.id!r} has no collection"
            report.add_error("missing_collection", f"{pointer}/collection", message, hint)
    else:
        _check_collection(node.collection, f"{pointer}/collection", report)
    name = node.item_variable or "item"
    if not IDENTIFIER.fullmatch(name):
        message = f"templates cannot refer to a variable named {name!r:.60}"
        report.add_error("bad_name", f"{pointer}/item_variable", message, NAME_HINT)
    check_reserved(name, f"{pointer}/item_variable", report)
    at = f"{pointer}/config"
    _check_whole_number(config.get("max_concurrency"), 1, IN_FLIGHT_LIMIT, f"{at}/max_concurrency", report)
    _check_whole_number(config.get("max_iterations"), 1, None, f"{at}/max_iterations", report)
    _check_whole_number(config.get("batch_size"), 1, None, f"{at}/batch_size", report)
    if config.get("batch_size") and node.collection in (None, [], "") and config.get("while"):
        message = "batch_size needs a collection: a loop without one has no items to put into lists"
        report.add_error("missing_collection", f"{at}/batch_size", message, "set `collection`, or remove batch_size")
    _check_choice(config.get("on_item_error"), ("fail", "continue"), f"{at}/on_item_error", report)
    _check_seconds(config.get("interval_seconds"), f"{at}/interval_seconds", report)
    if config.get("interval_seconds") and config.get("max_concurrency") not in (None, "", 0, 1):
        message = "interval_seconds needs iterations one after the other: max_concurrency is above 1"
        report.add_error("out_of_bounds", f"{at}/interval_seconds", message, "remove one of them")
    _check_max_failures(node, f"{at}/max_failures", report)


def _check_max_failures(node: Node, pointer: str, report: Report) -> None:
    value = node.config.get("max_failures")
    if value in (None, "") or is_template(value):
        return
    is_percent = isinstance(value, str) and PERCENT.fullmatch(value) is not None
    if not is_percent and (isinstance(value, bool) or not isinstance(value, int)):
        message = f"max_failures must be a whole number or a percentage, not {describe_value(value)}"
        report.add_error("wrong_type", pointer, message, "write 3, or 5%")
    elif not is_percent and value < 0:
        report.add_error("out_of_bounds", pointer, f"max_failures must be at least 0, not {value}")
    elif is_percent and node.collection in (None, [], ""):
        message = "a loop without a collection has no number of iterations to take a percentage of"
        report.add_error("bad_max_failures", pointer, message, "write a whole number")
    if node.config.get("on_item_error") == "fail":
        message = "max_failures has no effect: on_item_error is `fail`"
        report.add_error("bad_max_failures", pointer, message, "set on_item_error to `continue`, or leave it out")


def _check_collection(value: Any, pointer: str, report: Report) -> None:
    if isinstance(value, str) and not is_template(value):
        hint = f"write `{{{{ {value[:60]} }}}}` for the value of that path"
        report.add_error("bad_collection", pointer, "the collection is plain text, not a list", hint)
    elif isinstance(value, dict):
        hint = "write the items as a list, or use `| values` on a path"
        report.add_error("bad_collection", pointer, "the collection is an object, not a list", hint)
    elif not _can_be_collection(value):
        message = f"the collection must be a list or a whole number of at least 0, not {describe_value(value)}"
        report.add_error("bad_collection", pointer, message)


def _can_be_collection(value: Any) -> bool:
    if value is None or isinstance(value, list | str):
        return True
    if isinstance(value, float):
        return value.is_integer() and value >= 0
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_parallel(node: Node, pointer: str, report: Report) -> None:
    config, at = node.config, f"{pointer}/config"
    join = config.get("join")
    if is_template(join):
        pass
    elif isinstance(join, bool) or (not isinstance(join, int) and join not in (None, "", "all", "any")):
        message = f"join must be `all`, `any`, a number of branches or a template, not {describe_value(join)}"
        report.add_error("bad_join", f"{at}/join", message)
    elif isinstance(join, int) and join < 1:
        report.add_error("bad_join", f"{at}/join", f"join must be at least 1, not {join}")
    _check_choice(config.get("on_branch_error"), ("fail_fast", "wait", "ignore"), f"{at}/on_branch_error", report)
    _check_choice(config.get("mode"), ("child", "inline"), f"{at}/mode", report)
    _check_whole_number(config.get("max_concurrency"), 1, IN_FLIGHT_LIMIT, f"{at}/max_concurrency", report)


def _check_delay(node: Node, pointer: str, report: Report) -> None:
    expression = node.config.get("cron")
    durations = {
        "delay_seconds": node.delay_seconds, "delay_until": node.delay_until, "config.cron": expression
    }  # fmt: skip
    named = [name for name, value in durations.items() if value]
    if len(named) > 1:
        message = f"the delay {node.id!r} sets {' and '.join(named)}"
        report.add_error("bad_delay", pointer, message, "keep one of them")
    elif not named and node.delay_seconds is None:
        message = f"the delay {node.id!r} has no duration"
        report.add_error(
            "missing_delay", f"{pointer}/delay_seconds", message, "set delay_seconds, delay_until or config.cron"
        )
    _check_seconds(node.delay_seconds, f"{pointer}/delay_seconds", report)
    until = node.delay_until
    if until and not is_template(until) and read_date(until) is None:
        hint = "write it as 2026-01-31T08:00:00Z"
        message = f"{describe_value(until)} is not an ISO 8601 time"
        report.add_error("bad_time", f"{pointer}/delay_until", message, hint)
    problem = cron.find_problem(str(expression)) if expression else None
    if problem is not None:
        report.add_error("bad_cron", f"{pointer}/config/cron", problem)
    _check_timezone(node.config.get("timezone"), f"{pointer}/config/timezone", report, has_cron=bool(expression))
    for wide in cron.find_wide_steps(str(expression)) if expression and problem is None else ():
        report.add_warning(
            "wide_step", f"{pointer}/config/cron", wide, "a step begins again with each hour, day or year"
        )


def _check_timezone(name: Any, pointer: str, report: Report, *, has_cron: bool) -> None:
    if not name:
        return
    if not isinstance(name, str):
        report.add_error("wrong_type", pointer, f"timezone must be text, not {describe_type(name)}")
    elif find_zone(name) is None:
        report.add_error("bad_timezone", pointer, f"unknown time zone {name!r:.60}", suggest_zone(name))
    elif not has_cron:
        message = "the time zone is used only with `cron`"
        report.add_warning("no_effect", pointer, message, "write the offset in the time: 2026-01-31T08:00:00+01:00")


def _check_seconds(value: Any, pointer: str, report: Report) -> None:
    """Check a number of seconds that may be a template."""
    if value is None or is_template(value):
        return
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        report.add_error("bad_seconds", pointer, f"{describe_value(value)} is not a number of seconds")
    elif not 0 <= number <= MAX_DELAY_SECONDS:
        name = pointer.rpartition("/")[2]
        message = f"{name} must be between 0 and {MAX_DELAY_SECONDS:,.0f} (ten years), not {number:g}"
        report.add_error("out_of_bounds", pointer, message)


def _check_wait(node: Node, pointer: str, report: Report) -> None:
    event = node.config.get("event")
    if node.config.get("approval"):
        check_approval(node, pointer, report)
    if not event and not node.config.get("approval"):
        message = f"the wait {node.id!r} names no event"
        report.add_error("missing_event", f"{pointer}/config/event", message, "set config.event to the event's name")
    elif event and not isinstance(event, str | list):
        message = f"config.event must be text or a list of names, not {describe_type(event)}"
        report.add_error("missing_event", f"{pointer}/config/event", message)
    for index, name in enumerate(event if isinstance(event, list) else ()):
        if not isinstance(name, str) or not name:
            message = f"the name of an event must be text, not {describe_value(name)}"
            report.add_error("missing_event", f"{pointer}/config/event/{index}", message)
    key = node.config.get("key")
    if isinstance(key, bool) or not isinstance(key, str | int | float | None):
        message = f"the key of a wait must be text or a number, not {describe_type(key)}"
        report.add_error("wrong_type", f"{pointer}/config/key", message)
    _check_seconds(node.config.get("timeout_seconds"), f"{pointer}/config/timeout_seconds", report)
    payload_schema = node.config.get("schema")
    if payload_schema:
        problems = schema.find_schema_problems(payload_schema, f"{pointer}/config/schema", in_workflow=True)
        report.problems.extend(problems)


def _check_set(node: Node, pointer: str, report: Report) -> None:
    if not node.config:
        report.add_warning("no_effect", f"{pointer}/config", f"the set node {node.id!r} sets no variables")
    for name in node.config:
        at = f"{pointer}/config/{escape(name)}"
        check_reserved(name, at, report)
        if name not in RESERVED_NAMES and not is_template(name) and not IDENTIFIER.fullmatch(name):
            message = f"templates cannot refer to a variable named {name!r:.60}"
            report.add_warning("bad_name", at, message, NAME_HINT)


def read_pinned_version(config: Mapping[str, Any]) -> int | None:
    """Return the version that a `workflow` node asks for, or None for the newest."""
    version = config.get("version")
    return version if isinstance(version, int) and not isinstance(version, bool) and version > 0 else None


def read_called_version(config: Mapping[str, Any]) -> int | Literal["latest"] | None:
    """Return the version that a `workflow` node asks for, or None for the newest when its workflow is published."""
    return LATEST if config.get("version") == LATEST else read_pinned_version(config)


def _check_workflow(node: Node, pointer: str, report: Report) -> None:
    workflow_id = node.config.get("workflow_id")
    if not workflow_id:
        message = f"node {node.id!r} names no workflow to call"
        report.add_error("missing_workflow", f"{pointer}/config/workflow_id", message, "set config.workflow_id")
    elif not isinstance(workflow_id, str):
        message = f"workflow_id must be text, not {describe_type(workflow_id)}"
        report.add_error("wrong_type", f"{pointer}/config/workflow_id", message)
    version = node.config.get("version")
    if version and read_called_version(node.config) is None:
        message = f"version must be a whole number of at least 1, or `latest`, not {describe_value(version)}"
        report.add_error("wrong_type", f"{pointer}/config/version", message, "leave it out for the newest version")
    wait = node.config.get("wait")
    if wait is not None and not isinstance(wait, bool):
        message = f"wait must be true or false, not {describe_value(wait)}"
        report.add_error("wrong_type", f"{pointer}/config/wait", message)


def _check_end(node: Node, pointer: str, report: Report) -> None:
    _check_choice(node.config.get("outcome"), ("completed", "failed"), f"{pointer}/config/outcome", report)
    if node.config.get("message") and node.config.get("outcome") != "failed":
        message = "the message is used only with outcome `failed`"
        report.add_warning("no_effect", f"{pointer}/config/message", message)


def _check_choice(value: Any, choices: tuple[str, ...], pointer: str, report: Report) -> None:
    if value and value not in choices:
        message = f"unknown value {describe_value(value)} for `{pointer.rpartition('/')[2]}`"
        report.add_error("unknown_choice", pointer, message, suggest_choice(value, choices))


def _check_whole_number(value: Any, minimum: int, maximum: int | None, pointer: str, report: Report) -> None:
    if value in (None, ""):
        return
    name = pointer.rpartition("/")[2]
    if isinstance(value, bool) or not isinstance(value, int):
        report.add_error("wrong_type", pointer, f"{name} must be a whole number, not {describe_value(value)}")
    elif value < minimum or (maximum is not None and value > maximum):
        bound = f"at least {minimum}" if maximum is None else f"between {minimum} and {maximum}"
        report.add_error("out_of_bounds", pointer, f"{name} must be {bound}, not {value}")


CHECKS: dict[str, Callable[[Node, str, Report], None]] = {
    "action": _check_action,
    "condition": _check_condition,
    "switch": _check_switch,
    "loop": _check_loop,
    "parallel": _check_parallel,
    "delay": _check_delay,
    "wait": _check_wait,
    "set": _check_set,
    "workflow": _check_workflow,
    "end": _check_end,
}
