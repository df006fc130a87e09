"""Check approvals: what a `wait` asks people, and the links that are sent to them."""

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import TemplateSyntaxError
from orchestrator.jsontools import schema
from orchestrator.jsontools.json_types import describe_type, describe_value
from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.suggestions import join_names
from orchestrator.language import compile_template, walk
from orchestrator.language.nodes import Literal
from orchestrator.model.approval_forms import FIELD_TYPES, build_answer_schema
from orchestrator.model.definition import Node
from orchestrator.model.plan import MAX_DELAY_SECONDS
from orchestrator.planner.references import find_sites, is_template
from orchestrator.planner.regions import Regions
from orchestrator.planner.report import Report
from orchestrator.planner.structure import check_config_keys

APPROVAL_KEYS = {
    "title": "What is to be approved; a template.",
    "assignees": "Who may decide: a list of names or addresses, or a template of one.",
    "form": "JSON Schema of the answers that are asked for beside the decision: an object of texts, numbers, booleans "
    "and choices.",
    "reminder": "`{every_seconds, at_most, action, config}`: an action that is called while nobody decides.",
}
"""The keys of `config.approval`."""
REMINDER_KEYS = ("every_seconds", "at_most", "action", "config", "retry", "timeout_seconds")
MAX_REMINDERS = 100


def check_approval(node: Node, pointer: str, report: Report) -> None:
    """Check `config.approval` of a wait."""
    approval, at = node.config["approval"], f"{pointer}/config/approval"
    if not isinstance(approval, Mapping):
        message = f"approval must be an object, not {describe_type(approval)}"
        report.add_error("bad_approval", at, message, "write {title, assignees}")
        return
    check_config_keys(approval, APPROVAL_KEYS, at, "an approval", report, closed=True)
    title = approval.get("title")
    if not isinstance(title, str) or not title.strip():
        report.add_error("bad_approval", f"{at}/title", "the approval has no title", "say what is to be approved")
    _check_assignees(approval.get("assignees"), f"{at}/assignees", report)
    if node.config.get("schema"):
        message = "an approval has a form instead of a schema"
        report.add_error("bad_approval", f"{pointer}/config/schema", message, "move its properties to approval.form")
    _check_form(approval.get("form"), f"{at}/form", report)
    _check_reminder(approval.get("reminder"), f"{at}/reminder", report)


def _check_assignees(assignees: Any, pointer: str, report: Report) -> None:
    if is_template(assignees):
        return
    if not isinstance(assignees, list) or not assignees:
        message = "the approval has no assignees"
        report.add_error("bad_approval", pointer, message, 'write a list such as ["ann@example.com"]')
        return
    for index, name in enumerate(assignees):
        if not isinstance(name, str) or not name.strip():
            message = f"an assignee must be text, not {describe_value(name)}"
            report.add_error("bad_approval", f"{pointer}/{index}", message)


def _check_form(form: Any, pointer: str, report: Report) -> None:
    if not form:
        return
    if not isinstance(form, Mapping):
        report.add_error("bad_approval", pointer, f"the form must be a JSON Schema, not {describe_type(form)}")
        return
    problems = schema.find_schema_problems(build_answer_schema(form), pointer, in_workflow=True)
    report.problems.extend(problems)
    properties = form.get("properties")
    if form.get("type", "object") != "object" or not isinstance(properties, Mapping | None):
        report.add_error("bad_approval", f"{pointer}/type", "the form must be the schema of an object with properties")
        return
    for name, field in (properties or {}).items():
        kind = field.get("type") if isinstance(field, Mapping) else None
        choices = field.get("enum") if isinstance(field, Mapping) else None
        if kind not in FIELD_TYPES and not (isinstance(choices, list) and choices):
            message = f"a form has no field for {describe_value(kind)}"
            hint = f"use one of the types {join_names(FIELD_TYPES)}, or an `enum`"
            report.add_error("bad_approval", f"{pointer}/properties/{escape(str(name))}", message, hint)


def _check_reminder(reminder: Any, pointer: str, report: Report) -> None:
    if not reminder:
        return
    if not isinstance(reminder, Mapping):
        report.add_error("bad_approval", pointer, f"the reminder must be an object, not {describe_type(reminder)}")
        return
    check_config_keys(reminder, REMINDER_KEYS, pointer, "a reminder", report, closed=True)
    every, at_most = reminder.get("every_seconds"), reminder.get("at_most", 1)
    if isinstance(every, bool) or not isinstance(every, int | float) or not 1 <= every <= MAX_DELAY_SECONDS:
        message = f"every_seconds must be a number from 1 to {MAX_DELAY_SECONDS:,.0f}, not {describe_value(every)}"
        report.add_error("bad_approval", f"{pointer}/every_seconds", message)
    if isinstance(at_most, bool) or not isinstance(at_most, int) or not 1 <= at_most <= MAX_REMINDERS:
        message = f"at_most must be a whole number from 1 to {MAX_REMINDERS}, not {describe_value(at_most)}"
        report.add_error("bad_approval", f"{pointer}/at_most", message)


def check_links(regions: Regions, report: Report) -> None:
    """Check that each approval link names an approval of the same scope as its node, or of one around it."""
    graph = regions.graph
    for number, (node, pointer) in enumerate(zip(graph.nodes, graph.pointers, strict=True)):
        for at, value, kind in find_sites(node, pointer):
            if kind in ("secret", "plain_secret"):
                for place, target in _find_links(value, at):
                    _check_link(regions, number, place, target, report)
                    if kind == "plain_secret":
                        message = "an approval link cannot be made on a task queue of its own: our workers sign it"
                        report.add_error("bad_link", place, message, "send it from a node without task_queue")


def _find_links(value: Any, pointer: str) -> list[tuple[str, str]]:
    """Return the pointer of each approval link, and the node that it names; syntax errors have been reported."""
    found: list[tuple[str, str]] = []
    try:
        for at, text in walk(value, pointer):
            if "approval_link" in text:
                links = compile_template(text).links
                found += [
                    (at, str(link.arguments[0].value)) for link in links if isinstance(link.arguments[0], Literal)
                ]
    except TemplateSyntaxError:
        return []
    return found


def _check_link(regions: Regions, number: int, pointer: str, target_id: str, report: Report) -> None:
    graph = regions.graph
    target = graph.index.get(target_id)
    if target is None or graph.nodes[target].type != "wait" or not graph.nodes[target].config.get("approval"):
        waits = [node.id for node in graph.nodes if node.type == "wait" and node.config.get("approval")]
        message = f"{target_id!r:.60} is not a `wait` node with an approval"
        report.add_error("bad_link", pointer, message, report.suggest(target_id, waits))
    elif regions.innermost[target] not in list(regions.iterate_enclosing(number)):
        message = f"the approval {target_id!r:.60} is inside a loop or a branch that this node is not in"
        report.add_error("bad_link", pointer, message, "send the link from the same iteration or branch")
