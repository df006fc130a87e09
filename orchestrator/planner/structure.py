"""What a definition must have, whatever it does: a name, nodes with ids and known types, keys that are used."""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.suggestions import did_you_mean, find_closest, join_names
from orchestrator.model.definition import NODE_TYPES, STATUSES, Definition, Node, Part
from orchestrator.model.node_types import COMMON_KEYS, KINDS
from orchestrator.model.run import RESERVED
from orchestrator.planner.report import Report

MAX_NODES = 50_000
MISTAKE = 0.7
"""Similarity to a known key from which an unknown one is a mistake and not a key of another tool."""
RESERVED_NAMES = (*RESERVED, "secrets")


def check(definition: Definition, report: Report) -> list[tuple[int, Node]]:
    """Check the outside; give the nodes that the rest can work with, with their places."""
    if not definition.name.strip():
        report.add_error("missing_name", "/name", "the workflow has no name")
    if definition.status not in STATUSES:
        hint = did_you_mean(definition.status, STATUSES) or f"one of {join_names(STATUSES)}"
        report.add_error("unknown_status", "/status", f"{definition.status!r} is no status", hint)
    for name in definition.variables:
        if name in RESERVED_NAMES:
            report.add_error("reserved_name", f"/variables/{escape(name)}", f"{name!r} is the engine's own name")
    _check_unknown_keys(definition, "", report)
    _check_unknown_keys(definition.trigger, "/trigger", report)
    _check_unknown_keys(definition.settings, "/settings", report)
    for index, edge in enumerate(definition.edges):
        _check_unknown_keys(edge, f"/edges/{index}", report)
    _check_edge_ids(definition, report)
    if not definition.nodes:
        report.add_error("no_nodes", "/nodes", "the workflow has no nodes")
    if len(definition.nodes) > MAX_NODES:
        report.add_error("too_many_nodes", "/nodes", f"there are more than {MAX_NODES:,} nodes")
        return []
    return _check_nodes(definition, report)


def _check_edge_ids(definition: Definition, report: Report) -> None:
    seen: set[str] = set()
    for index, edge in enumerate(definition.edges):
        if edge.id in seen:
            report.add_error("duplicate_id", f"/edges/{index}/id", f"another edge has the id {edge.id!r}")
        elif edge.id:
            seen.add(edge.id)


def _check_nodes(definition: Definition, report: Report) -> list[tuple[int, Node]]:
    seen: dict[str, int] = {}
    usable: list[tuple[int, Node]] = []
    for index, node in enumerate(definition.nodes):
        pointer = f"/nodes/{index}"
        if not node.id:
            report.add_error("missing_id", f"{pointer}/id", "the node has no id")
        elif node.id in seen:
            message = f"another node has the id {node.id!r} (/nodes/{seen[node.id]})"
            report.add_error("duplicate_id", f"{pointer}/id", message)
        elif node.id == "trigger" and node.type != "trigger":
            report.add_error("reserved_name", f"{pointer}/id", "the id 'trigger' is the start of the graph")
        if node.type not in KINDS:
            _report_unknown_type(node, f"{pointer}/type", report)
            continue
        _check_node_keys(node, pointer, report)
        if node.id and node.id not in seen:
            seen[node.id] = index
            usable.append((index, node))
    return usable


def _report_unknown_type(node: Node, pointer: str, report: Report) -> None:
    if not node.type:
        report.add_error("missing_type", pointer, "the node has no type", f"one of {join_names(NODE_TYPES)}")
        return
    hint = did_you_mean(node.type, NODE_TYPES) or f"one of {join_names(NODE_TYPES)}"
    report.add_error("unknown_type", pointer, f"there is no node type {node.type!r}", hint)


def _check_node_keys(node: Node, pointer: str, report: Report) -> None:
    """Refuse what the type does not use: it would be ignored (SPEC §1)."""
    kind = KINDS[node.type]
    _check_unknown_keys(node, pointer, report)
    for key in sorted(node.model_fields_set):
        known = key not in Node.model_fields or key in COMMON_KEYS or key in kind.keys
        if not known and getattr(node, key) not in (0, []):
            users = join_names(name for name, other in KINDS.items() if key in other.keys)
            message = f"a node of type {node.type} does not use {key!r}"
            report.add_error("unused_key", f"{pointer}/{key}", message, f"{key} is for {users}")
    if kind.config is not None:
        check_config_keys(node.config, kind.config, f"{pointer}/config", f"config of a {node.type}", report)
    if node.retry is not None and node.type != "action":
        report.add_warning("no_effect", f"{pointer}/retry", f"only actions are tried again, not a {node.type}")
    if node.timeout_seconds is not None:
        if not kind.times_out:
            report.add_warning("no_effect", f"{pointer}/timeout_seconds", f"a {node.type} has no timeout_seconds")
        elif node.timeout_seconds <= 0:
            report.add_error("out_of_bounds", f"{pointer}/timeout_seconds", "timeout_seconds must be above 0")
    for at, name in enumerate(node.outputs):
        if name in RESERVED_NAMES:
            report.add_error("reserved_name", f"{pointer}/outputs/{at}", f"{name!r} is the engine's own name")


def check_config_keys(value: Mapping[str, Any], known: Iterable[str], pointer: str, what: str, report: Report) -> None:
    """Name the keys that nothing reads: one close to a known key is a mistake, another may be a tool's own."""
    names = list(known)
    for key, content in value.items():
        if key in names:
            continue
        suggestion = find_closest(key, names, MISTAKE)
        path = f"{pointer}/{escape(key)}"
        if suggestion is not None:
            report.add_error("unknown_key", path, f"the {what} has no {key!r}", f"did you mean `{suggestion}`?")
        elif content not in (None, "", [], {}):
            report.add_warning("unknown_key", path, f"the {what} has no {key!r}: it is ignored")


def _check_unknown_keys(part: Part, pointer: str, report: Report) -> None:
    for key in part.model_extra or ():
        hint = did_you_mean(key, type(part).model_fields)
        report.add_warning("unknown_key", f"{pointer}/{escape(key)}", f"{key!r} is not known: it is ignored", hint)
