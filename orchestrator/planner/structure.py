"""Check what every definition needs: a name, nodes with ids and known types, and no unused keys."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.jsontools.pointer import escape
from orchestrator.jsontools.suggestions import find_closest, join_names
from orchestrator.model.definition import NODE_TYPES, STATUSES, Definition, Node, Part
from orchestrator.model.node_types import COMMON_KEYS, KINDS
from orchestrator.model.run import RESERVED_NAMES
from orchestrator.planner.policies import check_timeout
from orchestrator.planner.report import Report, suggest_choice

MAX_NODES = 50_000
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MISTAKE = 0.7
"""Similarity to a known key from which an unknown one is a mistake and not a key of another tool."""
MISTAKE_BESIDE_CONFIG = 0.8
"""The same for keys that belong into `config`: an `icon` beside it is no `cron`."""


def check(definition: Definition, report: Report) -> list[tuple[int, Node]]:
    """Check the structure; return the nodes that further checks can use, with their indexes."""
    if not definition.name.strip():
        report.add_error("missing_name", "/name", "the workflow has no name")
    elif CONTROL.search(definition.name):
        report.add_error("bad_name", "/name", "the name contains control characters", "remove them")
    if definition.status not in STATUSES:
        hint = suggest_choice(definition.status, STATUSES)
        report.add_error("unknown_status", "/status", f"unknown status {definition.status!r:.60}", hint)
    for name in definition.variables:
        check_reserved(name, f"/variables/{escape(name)}", report)
    _check_unknown_keys(definition, "", report)
    _check_unknown_keys(definition.trigger, "/trigger", report)
    _check_unknown_keys(definition.settings, "/settings", report)
    for index, edge in enumerate(definition.edges):
        _check_unknown_keys(edge, f"/edges/{index}", report)
    _check_edge_ids(definition, report)
    if not definition.nodes:
        report.add_error("no_nodes", "/nodes", "the workflow has no nodes", "add at least one node")
    if len(definition.nodes) > MAX_NODES:
        message = f"the workflow has {len(definition.nodes):,} nodes, more than the maximum of {MAX_NODES:,}"
        report.add_error("too_many_nodes", "/nodes", message, "move parts into workflows that it calls")
        return []
    return _check_nodes(definition, report)


def check_reserved(name: str, pointer: str, report: Report) -> None:
    """Report a variable that would hide data of the run."""
    if name in RESERVED_NAMES:
        report.add_error("reserved_name", pointer, f"{name!r} is a reserved name", "use another name")


def _check_edge_ids(definition: Definition, report: Report) -> None:
    seen: set[str] = set()
    for index, edge in enumerate(definition.edges):
        if edge.id in seen:
            report.add_error(
                "duplicate_id", f"/edges/{index}/id", f"the id {edge.id!r:.60} is already used by another edge"
            )
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
            message = f"the id {node.id!r:.60} is already used by /nodes/{seen[node.id]}"
            report.add_error("duplicate_id", f"{pointer}/id", message, "give each node an id of its own")
        elif node.id == "trigger" and node.type != "trigger":
            message = "the id 'trigger' is reserved for the start of the graph"
            report.add_error("reserved_name", f"{pointer}/id", message, "use another id")
        if node.type not in KINDS:
            _report_unknown_type(node, f"{pointer}/type", report)
            likely = find_closest(node.type, NODE_TYPES)
            if likely is None:
                continue
            node = node.model_copy(update={"type": likely})  # the rest is checked as what was likely meant
        _check_node_keys(node, pointer, report)
        if node.id and node.id not in seen:
            seen[node.id] = index
            usable.append((index, node))
    return usable


def _report_unknown_type(node: Node, pointer: str, report: Report) -> None:
    hint = suggest_choice(node.type, NODE_TYPES)
    if node.type:
        report.add_error("unknown_type", pointer, f"there is no node type {node.type!r:.60}", hint)
    else:
        report.add_error("missing_type", pointer, "the node has no type", hint)


def _check_node_keys(node: Node, pointer: str, report: Report) -> None:
    """Report keys that the node's type does not use: they would be ignored (SPEC §1)."""
    kind = KINDS[node.type]
    _check_unknown_keys(node, pointer, report, kind.config or ())
    for key in sorted(node.model_fields_set):
        known = key not in Node.model_fields or key in COMMON_KEYS or key in kind.keys
        if not known and getattr(node, key) not in (0, []):
            users = join_names(name for name, other in KINDS.items() if key in other.keys)
            message = f"a node of type {node.type} does not use `{key}`"
            report.add_error("unused_key", f"{pointer}/{key}", message, f"remove it; `{key}` belongs to type {users}")
    if kind.config is not None:
        what, closed = f"config of the {node.type} node", node.type != "trigger"
        check_config_keys(node.config, kind.config, f"{pointer}/config", what, report, closed=closed)
    if node.retry is not None and node.type != "action":
        message = f"`retry` has no effect on a node of type {node.type}: only actions are retried"
        report.add_warning("no_effect", f"{pointer}/retry", message)
    if node.timeout_seconds is not None:
        if not kind.times_out:
            message = f"`timeout_seconds` has no effect on a node of type {node.type}"
            hint = _suggest_config("timeout_seconds") if "timeout_seconds" in (kind.config or ()) else None
            report.add_warning("no_effect", f"{pointer}/timeout_seconds", message, hint)
        else:
            check_timeout(node.timeout_seconds, f"{pointer}/timeout_seconds", report)
    for index, name in enumerate(node.outputs):
        check_reserved(name, f"{pointer}/outputs/{index}", report)


def check_config_keys(
    value: Mapping[str, Any], known: Iterable[str], pointer: str, what: str, report: Report, *, closed: bool = False
) -> None:
    """Report unknown keys: an error where nothing else may be there (`closed`) or when one is close to a known key.

    Others are warnings, as another tool may use them.
    """
    names = list(known)
    for key, content in value.items():
        if key in names:
            continue
        closest = report.find_closest_key(key, names, MISTAKE)
        path = f"{pointer}/{escape(key)}"
        message = f"unknown key {key!r:.60} in {what}"
        known_keys = f"known keys: {join_names(names)}" if names else None
        if closest is not None:
            report.add_error("unknown_key", path, message, f"did you mean `{closest}`?")
        elif content in (None, "", [], {}):
            continue
        elif closed:
            report.add_error("unknown_key", path, message, known_keys or "remove it: this node has no config")
        else:
            report.add_warning("unknown_key", path, f"{message}: it is ignored", known_keys)


def _suggest_config(key: str) -> str:
    return f"write it in `config`: config.{key}"


def _check_unknown_keys(part: Part, pointer: str, report: Report, config: Iterable[str] = ()) -> None:
    """Report unknown keys: an error when one is a key of its `config`, or close to one or to a known one.

    Others are warnings, as another tool may use them.
    """
    names = [field.alias or name for name, field in type(part).model_fields.items()]
    for key in part.model_extra or ():
        path, message = f"{pointer}/{escape(key)}", f"unknown key {key!r:.60}"
        if key in config:
            report.add_error("unknown_key", path, message, _suggest_config(key))
            continue
        closest = report.find_closest_key(key, names, MISTAKE)
        if closest is not None:
            report.add_error("unknown_key", path, message, f"did you mean `{closest}`?")
        elif config and (in_config := report.find_closest_key(key, config, MISTAKE_BESIDE_CONFIG)):
            report.add_error("unknown_key", path, message, f"did you mean `config.{in_config}`?")
        else:
            report.add_warning("unknown_key", path, f"{message}: it is ignored")
