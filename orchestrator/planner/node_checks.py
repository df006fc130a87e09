"""What each node type needs to work: bounds, choices and what must be there."""

import math
import re
from collections.abc import Callable, Container, Mapping
from typing import Any

from orchestrator.jsontools import schema
from orchestrator.jsontools.suggestions import did_you_mean, join_names
from orchestrator.language.values import read_date
from orchestrator.model.definition import Node
from orchestrator.model.plan import IN_FLIGHT_LIMIT, MAX_DELAY_SECONDS
from orchestrator.planner.report import Report
from orchestrator.planner.structure import RESERVED_NAMES
from orchestrator.timing import cron

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check(node: Node, pointer: str, report: Report) -> None:
    """Check what is particular to the node's type."""
    if node.type in CHECKS:
        CHECKS[node.type](node, pointer, report)


def is_template(value: Any) -> bool:
    """Tell a string whose value is not known before the run."""
    return isinstance(value, str) and "{{" in value


def _check_action(node: Node, pointer: str, report: Report) -> None:
    if not node.action:
        report.add_error("missing_action", f"{pointer}/action", f"{node.id!r} does not say which action it calls")
    _check_choice(node.execution, ("activity", "local"), f"{pointer}/execution", report)


def _check_condition(node: Node, pointer: str, report: Report) -> None:
    if not node.condition:
        report.add_error("missing_condition", f"{pointer}/condition", f"{node.id!r} has no condition")
    _check_no_when(node, pointer, report)


def _check_no_when(node: Node, pointer: str, report: Report) -> None:
    if node.when:
        message = f"a {node.type} has no port `next` to go on by when it is skipped"
        report.add_error("when_without_next", f"{pointer}/when", message)


def _check_switch(node: Node, pointer: str, report: Report) -> None:
    _check_no_when(node, pointer, report)
    cases = node.config.get("cases")
    if not isinstance(cases, dict) or not cases:
        report.add_error("missing_cases", f"{pointer}/config/cases", "a switch has cases: {name: value or condition}")
        return
    if "default" in cases:
        message = "`default` is the port of what fits no case: it cannot be a case"
        report.add_error("reserved_name", f"{pointer}/config/cases/default", message)


def _check_loop(node: Node, pointer: str, report: Report) -> None:
    config = node.config
    if node.collection in (None, [], "") and not config.get("while"):
        if node.collection != []:
            report.add_error("missing_collection", f"{pointer}/collection", f"the loop {node.id!r} has no collection")
    elif isinstance(node.collection, str) and not is_template(node.collection):
        hint = f"write {{{{ {node.collection} }}}} for the value of that path"
        report.add_error("bad_collection", f"{pointer}/collection", "the collection is plain text", hint)
    elif not _can_be_collection(node.collection):
        report.add_error("bad_collection", f"{pointer}/collection", "a collection is a list or a whole number from 0")
    name = node.item_variable or "item"
    if not IDENTIFIER.fullmatch(name):
        report.add_error("bad_name", f"{pointer}/item_variable", f"{name!r} cannot be named in a template")
    elif name in RESERVED_NAMES:
        report.add_error("reserved_name", f"{pointer}/item_variable", f"{name!r} is the engine's own name")
    at = f"{pointer}/config"
    _check_whole_number(config.get("max_concurrency"), 1, IN_FLIGHT_LIMIT, f"{at}/max_concurrency", report)
    _check_whole_number(config.get("max_iterations"), 1, None, f"{at}/max_iterations", report)
    _check_choice(config.get("on_item_error"), ("fail", "continue"), f"{at}/on_item_error", report)


def _can_be_collection(value: Any) -> bool:
    if value is None or isinstance(value, list | str):
        return True
    if isinstance(value, float):
        return value.is_integer() and value >= 0
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_parallel(node: Node, pointer: str, report: Report) -> None:
    config, at = node.config, f"{pointer}/config"
    join = config.get("join")
    if isinstance(join, bool) or (not isinstance(join, int) and join not in (None, "", "all", "any")):
        report.add_error("bad_join", f"{at}/join", f"{join!r}: a join is `all`, `any` or a number of branches")
    elif isinstance(join, int) and join < 1:
        report.add_error("bad_join", f"{at}/join", "a join waits for one branch or more")
    _check_choice(config.get("on_branch_error"), ("fail_fast", "wait", "ignore"), f"{at}/on_branch_error", report)
    _check_choice(config.get("mode"), ("child", "inline"), f"{at}/mode", report)
    _check_whole_number(config.get("max_concurrency"), 1, IN_FLIGHT_LIMIT, f"{at}/max_concurrency", report)


def _check_delay(node: Node, pointer: str, report: Report) -> None:
    expression = node.config.get("cron")
    keys_set = [bool(node.delay_seconds), bool(node.delay_until), bool(expression)]
    if sum(keys_set) > 1:
        message = "a delay says one of delay_seconds, delay_until and config.cron, this one says more"
        report.add_error("bad_delay", pointer, message)
    elif not any(keys_set) and node.delay_seconds is None:
        message = f"the delay {node.id!r} does not say how long"
        report.add_error(
            "missing_delay", f"{pointer}/delay_seconds", message, "delay_seconds, delay_until or config.cron"
        )
    _check_seconds(node.delay_seconds, f"{pointer}/delay_seconds", report)
    until = node.delay_until
    if until and not is_template(until) and read_date(until) is None:
        report.add_error("bad_time", f"{pointer}/delay_until", f"{until!r:.60} is not an ISO 8601 time")
    problem = cron.find_problem(str(expression)) if expression else None
    if problem is not None:
        report.add_error("bad_cron", f"{pointer}/config/cron", problem)


def _check_seconds(value: Any, pointer: str, report: Report) -> None:
    """Check a number of seconds that may be a template."""
    if value is None or is_template(value):
        return
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        report.add_error("bad_seconds", pointer, f"{value!r:.60} is not a number of seconds")
    elif not 0 <= number <= MAX_DELAY_SECONDS:
        message = f"{number:g} s is not between 0 and {MAX_DELAY_SECONDS:g} s (ten years)"
        report.add_error("out_of_bounds", pointer, message)


def _check_wait(node: Node, pointer: str, report: Report) -> None:
    event = node.config.get("event")
    if not event or not isinstance(event, str):
        message = f"the wait {node.id!r} does not name its event"
        report.add_error("missing_event", f"{pointer}/config/event", message)
    _check_seconds(node.config.get("timeout_seconds"), f"{pointer}/config/timeout_seconds", report)
    wanted = node.config.get("schema")
    if wanted:
        report.problems.extend(schema.find_schema_problems(wanted, f"{pointer}/config/schema"))


def _check_set(node: Node, pointer: str, report: Report) -> None:
    if not node.config:
        report.add_warning("no_effect", f"{pointer}/config", f"{node.id!r} sets nothing")
    for name in node.config:
        at = f"{pointer}/config/{name}"
        if name in RESERVED_NAMES:
            report.add_error("reserved_name", at, f"{name!r} is the engine's own name")
        elif not is_template(name) and not IDENTIFIER.fullmatch(name):
            message = f"no template can name the variable {name!r}"
            report.add_warning("bad_name", at, message, "letters, digits and `_`")


def read_pinned_version(config: Mapping[str, Any]) -> int | None:
    """Give the version that a `workflow` node asks for; `None` is the newest."""
    version = config.get("version")
    return version if isinstance(version, int) and not isinstance(version, bool) and version > 0 else None


def make_callee_key(config: Mapping[str, Any], known: Container[str]) -> str:
    """Name what a `workflow` node calls among those known: `id@version` where just that one is there, or `id`."""
    exact = f"{config['workflow_id']}@{read_pinned_version(config)}"
    return exact if exact in known else str(config["workflow_id"])


def _check_workflow(node: Node, pointer: str, report: Report) -> None:
    if not node.config.get("workflow_id"):
        message = f"{node.id!r} does not say which workflow it runs"
        report.add_error("missing_workflow", f"{pointer}/config/workflow_id", message)
    elif not isinstance(node.config["workflow_id"], str):
        report.add_error("wrong_type", f"{pointer}/config/workflow_id", "workflow_id is text")
    version = node.config.get("version")
    if version and read_pinned_version(node.config) is None:
        report.add_error("wrong_type", f"{pointer}/config/version", "version is a whole number from 1, or left out")
    wait = node.config.get("wait")
    if wait is not None and not isinstance(wait, bool):
        report.add_error("wrong_type", f"{pointer}/config/wait", "wait is true or false")


def _check_end(node: Node, pointer: str, report: Report) -> None:
    _check_choice(node.config.get("outcome"), ("completed", "failed"), f"{pointer}/config/outcome", report)
    if node.config.get("message") and node.config.get("outcome") != "failed":
        report.add_warning("no_effect", f"{pointer}/config/message", "a message is shown with outcome `failed` only")


def _check_choice(value: Any, known: tuple[str, ...], pointer: str, report: Report) -> None:
    if value and value not in known:
        hint = did_you_mean(value, known) or f"one of {join_names(known)}"
        report.add_error("unknown_choice", pointer, f"{value!r:.60} is not known here", hint)


def _check_whole_number(value: Any, least: int, most: int | None, pointer: str, report: Report) -> None:
    if value in (None, ""):
        return
    if isinstance(value, bool) or not isinstance(value, int):
        report.add_error("wrong_type", pointer, f"a whole number is needed, not {value!r:.60}")
    elif value < least or (most is not None and value > most):
        bound = f"from {least}" if most is None else f"from {least} to {most}"
        report.add_error("out_of_bounds", pointer, f"{value} is not {bound}")


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
