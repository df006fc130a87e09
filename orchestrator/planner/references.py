"""Find the names that a node's templates and conditions read."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from orchestrator.errors import TemplateSyntaxError
from orchestrator.jsontools.pointer import escape
from orchestrator.language import Name, Template, compile_expression, compile_template, condition_reader, walk
from orchestrator.model.definition import Definition, Node
from orchestrator.model.run import RESERVED_NAMES
from orchestrator.planner.policies import read_side_call
from orchestrator.planner.report import Report

Kind = Literal["template", "secret", "plain_secret", "condition"]
"""`secret` is a template that may use secrets, `plain_secret` one that may use them without pipes."""
Site = tuple[str, Any, Kind]
"""A value that a run computes: its pointer, the value, and its kind."""


Use = tuple[str, Name]
"""The pointer of a site, and a name that it reads."""


MAX_DEPTH = 50
"""Levels of a condition with errors whose parts are read."""
CONDITION_KEYS = frozenset(("field", "operator", "conditions", "condition", "preset", "expression"))


def is_template(value: Any) -> bool:
    """Return whether a value is a string with a template, so that only the run knows it."""
    return isinstance(value, str) and "{{" in value


def is_condition(value: Any) -> bool:
    """Return whether a case of a switch is a condition, not a value to compare with."""
    return isinstance(value, Mapping) and not CONDITION_KEYS.isdisjoint(value)


def find_sites(node: Node, pointer: str) -> Iterator[Site]:
    """Yield the values of a node that are computed in a run."""
    config, at = node.config, f"{pointer}/config"
    if node.when is not None:
        yield f"{pointer}/when", node.when, "condition"
    if isinstance(node.on_error, Mapping) and "fallback" in node.on_error:
        yield f"{pointer}/on_error/fallback", node.on_error["fallback"], "template"
    match node.type:
        case "action":
            # A worker in another language has no pipes.
            yield at, config, "plain_secret" if node.task_queue else "secret"
            yield from _find_compensation_sites(node, pointer)
        case "condition":
            yield f"{pointer}/condition", node.condition, "condition"
        case "switch":
            yield from _find_switch_sites(config, at)
        case "loop":
            yield f"{pointer}/collection", node.collection, "template"
            yield f"{at}/collect", config.get("collect"), "template"
            yield f"{at}/while", config.get("while"), "condition"
            yield f"{at}/break_when", config.get("break_when"), "condition"
            yield f"{at}/interval_seconds", config.get("interval_seconds"), "template"
            yield f"{at}/max_failures", config.get("max_failures"), "template"
        case "parallel":
            yield f"{at}/join", config.get("join"), "template"
        case "delay":
            yield f"{pointer}/delay_seconds", node.delay_seconds, "template"
            yield f"{pointer}/delay_until", node.delay_until, "template"
        case "set":
            yield at, config, "template"
        case "workflow":
            yield f"{at}/input", config.get("input"), "template"
            yield from _find_compensation_sites(node, pointer)
        case _:
            for key in ("event", "key", "timeout_seconds", "output", "message"):
                yield f"{at}/{key}", config.get(key), "template"
            yield from _find_approval_sites(config.get("approval"), f"{at}/approval")


def _find_approval_sites(approval: Any, at: str) -> Iterator[Site]:
    if isinstance(approval, Mapping):
        yield f"{at}/title", approval.get("title"), "template"
        yield f"{at}/assignees", approval.get("assignees"), "template"
        reminder = approval.get("reminder")
        if isinstance(reminder, Mapping):
            yield f"{at}/reminder/config", reminder.get("config"), "secret"


def _find_compensation_sites(node: Node, pointer: str) -> Iterator[Site]:
    if node.compensate is not None:
        yield f"{pointer}/compensate/config", node.compensate.get("config"), "secret"


def _find_switch_sites(config: Mapping[str, Any], at: str) -> Iterator[Site]:
    yield f"{at}/value", config.get("value"), "template"
    cases = config.get("cases")
    for name, case in cases.items() if isinstance(cases, dict) else ():
        kind: Literal["condition", "template"] = "condition" if is_condition(case) else "template"
        yield f"{at}/cases/{escape(name)}", case, kind


def collect_uses(sites: Iterable[Site], report: Report) -> list[Use]:
    """Return the names that sites read; report syntax errors."""
    uses: list[Use] = []
    for pointer, value, kind in sites:
        if value is None or isinstance(value, bool | int | float):
            continue
        if kind == "condition":
            problems = condition_reader.find_problems(value, pointer)
            report.problems.extend(problems)
            if any(problem.severity == "error" for problem in problems):
                uses += _collect_readable(value, pointer)
            else:
                uses += [(pointer, name) for name in _sort_names(condition_reader.compile_condition(value).names)]
        else:
            uses += _collect_template_uses(value, pointer, report, kind)
    return uses


def _collect_readable(value: Any, pointer: str, depth: int = 0) -> Iterator[Use]:
    """Yield the names in the readable parts of a condition that has errors."""
    if isinstance(value, list | dict) and depth < MAX_DEPTH:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(item, str) and (key == "field" or "{{" in item):
                with contextlib.suppress(TemplateSyntaxError):
                    read = compile_template if "{{" in item else compile_expression
                    yield from ((pointer, name) for name in _sort_names(read(item).names))
            yield from _collect_readable(item, pointer, depth + 1)


def _collect_template_uses(value: Any, pointer: str, report: Report, kind: Kind) -> Iterator[Use]:
    try:
        texts = [(at, text) for at, text in walk(value, pointer) if "{{" in text or "}}" in text]
    except TemplateSyntaxError as error:
        report.add_error("too_deep", pointer, error.message)
        return
    for at in find_secret_keys(value, pointer) if kind != "template" else ():
        report.add_error(
            "secret_outside_action", at, "a key cannot contain a secret: keys are recorded", "use the secret in a value"
        )
    for at, text in texts:
        try:
            template = compile_template(text)
        except TemplateSyntaxError as error:
            report.add_error("template_syntax", at, f"{error.line}:{error.column}: {error.message}", error.hint)
            continue
        if template.uses_secrets:
            _check_secret_use(template, at, kind, report)
        for name in _sort_names(template.names):
            yield at, name


def _check_secret_use(template: Template, pointer: str, kind: Kind, report: Report) -> None:
    if kind == "template":
        what = "approval links" if template.links else "secrets"
        message = f"{what} can be used in the parameters of actions only: values elsewhere are recorded"
        report.add_error("secret_outside_action", pointer, message)
    elif kind == "plain_secret" and template.pipes_secrets:
        message = "a secret cannot have pipes on a task queue of its own: a worker in another language reads only names"
        report.add_error("piped_secret", pointer, message, "store the secret in the form that the action needs")


def find_secret_keys(value: Any, pointer: str) -> Iterator[str]:
    """Yield the pointers of object keys that contain secrets."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            at = f"{pointer}/{escape(key)}"
            if "{{" in key and "secrets" in key:
                yield at
            yield from find_secret_keys(item, at)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_secret_keys(item, f"{pointer}/{index}")


def _sort_names(names: Iterable[Name]) -> list[Name]:
    return sorted(names, key=lambda name: (name.line, name.column, name.root))


def collect_notify_uses(definition: Definition, report: Report) -> list[Use]:
    """Return the names that `settings.notify` reads."""
    call = read_side_call(definition.settings.notify, "/settings/notify", report)
    return [] if call is None else collect_uses([("/settings/notify/config", call.get("config"), "secret")], report)


def list_reads(uses: Iterable[Use]) -> frozenset[str]:
    """Return what a node reads that a run may change or narrow: variables, steps as `steps.<id>`, and `trigger`."""
    names = [name for _, name in uses]
    steps = {f"steps.{name.path[0]}" for name in names if name.root == "steps" and name.path}
    return frozenset(steps | {name.root for name in names if name.root == "trigger" or name.root not in RESERVED_NAMES})
