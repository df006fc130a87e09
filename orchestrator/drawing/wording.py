"""Put nodes of a definition into words: the line below the title, and the settings that change how they run."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.drawing.layout import MarkKind
from orchestrator.jsontools.text import shorten
from orchestrator.language.operators import OPERATORS
from orchestrator.model.definition import Node, Trigger

MAX_DEPTH = 4
"""Nested conditions that are described."""
MAX_PARTS = 4
"""Conditions of an `and` or `or` that are described."""
MAX_VALUE = 40
SYMBOLS = {
    "equals": "=", "not_equals": "≠", "greater_than": ">", "greater_than_or_equals": "≥", "less_than": "<",
    "less_than_or_equals": "≤",
}  # fmt: skip


def describe_delay(node: Node) -> object:
    """Return how long a delay waits, or until when."""
    if node.delay_seconds is not None:
        return f"{node.delay_seconds} s"
    return node.delay_until or node.config.get("cron")


def describe_wait(node: Node) -> str:
    """Return the events that a wait takes, or what it asks people to approve."""
    approval = node.config.get("approval")
    if isinstance(approval, dict) and approval:
        return f"approval: {approval.get('title') or '?'}"
    event = node.config.get("event")
    return f"event {' or '.join(map(str, event)) if isinstance(event, list) else event}"


DETAILS: dict[str, Callable[[Node], object]] = {
    "trigger": lambda node: "",
    "action": lambda node: node.action,
    "condition": lambda node: "",
    "switch": lambda node: node.config.get("value"),
    "loop": lambda node: f"each {node.item_variable or 'item'}",
    "parallel": lambda node: f"join {node.config.get('join') or 'all'}",
    "delay": describe_delay,
    "wait": describe_wait,
    "set": lambda node: ", ".join(node.config),
    "workflow": lambda node: node.config.get("workflow_id"),
    "end": lambda node: node.config.get("outcome"),
}
"""The line below the title of a node, by type."""


def describe_trigger(trigger: Trigger) -> list[object]:
    """Return the title of the start and the line below it."""
    every = f"every {trigger.interval_seconds:g} s" if trigger.interval_seconds else ""
    details = {"schedule": trigger.cron or every, "event": trigger.event, "webhook": trigger.webhook_path}
    return [trigger.type or "start", details.get(trigger.type)]


def describe_node(node: Node) -> list[object]:
    """Return the title of a node and the line below it."""
    details = DETAILS.get(node.type)
    return [node.name or node.id, details(node) if details else f"{node.type or 'no type'}?"]


def list_marks(node: Node) -> Iterator[tuple[MarkKind, str]]:
    """Yield the settings of a node that change how it runs, in words."""
    if node.when is not None:
        yield "when", f"only if {describe_condition(node.when)}"
    if node.retry:
        attempts = node.retry.get("maximum_attempts") or node.retry.get("max_retries")
        yield "retry", "no retries" if attempts == 1 else f"up to {attempts} attempts" if attempts else "own retries"
    if node.timeout_seconds is not None:
        yield "timeout", f"at most {node.timeout_seconds:,g} s"
    if node.on_error not in (None, "", "fail"):
        yield "on_error", describe_on_error(node.on_error)
    if node.compensate:
        yield "compensate", f"undo: {node.compensate.get('action') or '?'}"


def describe_on_error(policy: Any) -> str:
    """Return an `on_error` in words."""
    match policy:
        case {"fallback": value}:
            return f"on error: use {_describe_value(value)}"
        case {"retry_from": node, **rest}:
            return f"on error: back to {shorten(str(node), MAX_VALUE)}, max {rest.get('max', 1)}"
        case str():
            return f"on error: {shorten(policy, MAX_VALUE)}"
        case _:
            return "on error: ?"


def describe_condition(condition: Any, depth: int = 0) -> str:
    """Return a condition in words, cut where it is long or deep; of an invalid one, what can be read."""
    if depth > MAX_DEPTH:
        return "…"
    match condition:
        case {"type": "and" | "or" as word, "conditions": list() as parts}:
            described = [describe_condition(each, depth + 1) for each in parts[:MAX_PARTS]]
            text = f" {word} ".join(described + ["…"] * (len(parts) > MAX_PARTS))
            return f"({text})" if depth else text
        case {"type": "not", "condition": inner}:
            return f"not {describe_condition(inner, depth + 1)}"
        case {"preset": name}:
            return _describe_value(name)
        case {"expression": text}:
            return _describe_value(text)
        case {"field": field}:
            return _describe_comparison(str(field), condition)
        case _:
            return "" if condition is None else _describe_value(condition)


def _describe_comparison(field: str, condition: Mapping[str, Any]) -> str:
    name = str(condition.get("operator") or "equals")
    operator = OPERATORS.get(name)
    words = SYMBOLS.get(name) or (operator.label.lower() if operator else name)
    value = "" if operator and operator.takes == "none" else f" {_describe_value(condition.get('value'))}"
    return f"{_strip_braces(shorten(field, MAX_VALUE))} {words}{value}"


def _describe_value(value: Any) -> str:
    if isinstance(value, dict | list) and value:
        is_short = (
            isinstance(value, list)
            and len(value) <= MAX_PARTS
            and not any(isinstance(each, dict | list) for each in value)
        )
        return _dump(value) if is_short else "{…}" if isinstance(value, dict) else "[…]"
    return _strip_braces(shorten(value, MAX_VALUE)) if isinstance(value, str) and value else _dump(value)


def _dump(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False, default=str), MAX_VALUE)


def _strip_braces(text: str) -> str:
    """Return a text that is one expression without its braces."""
    inner = text[2:-2] if text.startswith("{{") and text.endswith("}}") else text
    return text if "{{" in inner else inner.strip()
