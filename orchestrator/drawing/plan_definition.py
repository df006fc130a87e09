"""Restore a definition from a plan, for drawing: that of a run whose definition is not stored, or has changed since.

What only the author's text has is missing: descriptions, positions, labels of edges, and edges back to their own loop,
which a plan does not need.
"""

from collections.abc import Iterator
from typing import Any, assert_never

from orchestrator.model.definition import TRIGGER
from orchestrator.model.plan import (
    DEFAULT_TIMEOUT_SECONDS,
    Action,
    AnyNode,
    Call,
    Condition,
    Delay,
    End,
    Fallback,
    Loop,
    OnError,
    Parallel,
    Pause,
    Plan,
    Retry,
    RetryFrom,
    Scope,
    Set,
    Skip,
    Start,
    Switch,
    Wait,
)
from orchestrator.model.plan_nodes import list_inner_scopes


def restore_definition(plan: Plan, trigger_type: str) -> dict[str, Any]:
    """Return a definition with the graph of a plan."""
    nodes, edges = [], [_make_edge(TRIGGER, "next", target) for target in _list_starts(plan.scope)]
    scopes = [plan.scope]
    while scopes:
        scope = scopes.pop()
        for node in scope.nodes:
            nodes.append(_restore_node(node))
            edges += _list_edges(node, scope)
            scopes += list_inner_scopes(node)
    return {"id": plan.id, "name": plan.name, "trigger": {"type": trigger_type}, "nodes": nodes, "edges": edges}


def _list_starts(scope: Scope) -> list[str]:
    return [scope.nodes[rank].id for rank in scope.entries if scope.nodes[rank].kind != "trigger"]


def _list_entries(scope: Scope) -> list[str]:
    return [*(scope.nodes[rank].id for rank in scope.entries), *scope.exits]


def _list_edges(node: AnyNode, scope: Scope) -> Iterator[dict[str, Any]]:
    if isinstance(node, Loop):  # not a list of ids: of two where one leads to the other, only one would be an entry
        yield from (_make_edge(node.id, "body", target) for target in _list_entries(node.body))
    for port, ranks in node.ports.items():
        yield from (_make_edge(node.id, port, scope.nodes[rank].id) for rank in ranks)
    for port, targets in node.exits.items():
        yield from (_make_edge(node.id, port, target) for target in targets)


def _make_edge(source: str, port: str, target: str) -> dict[str, Any]:
    return {"source": source, "condition": port, "target": target}


def _restore_node(node: AnyNode) -> dict[str, Any]:
    return {
        "id": node.id,
        "type": node.kind,
        "name": node.name,
        "when": node.when,
        "on_error": _restore_on_error(node.on_error),
        "timeout_seconds": node.limit_seconds,
        **_restore_details(node),
    }


def _restore_details(node: AnyNode) -> dict[str, Any]:
    """Return the keys of a node's own type, as far as a drawing shows them."""
    match node:
        case Action():
            return _restore_action(node)
        case Condition():
            return {"condition": node.condition}
        case Switch():
            return {"config": {"value": node.value, "cases": {case.port: case.value for case in node.cases}}}
        case Loop():
            return {"item_variable": node.item}
        case Parallel():
            branches = [_list_entries(branch.scope) for branch in node.branches]
            return {"branches": branches, "config": {"join": node.join}}
        case Delay():
            config = {"config": {"cron": node.cron}} if node.cron else {}
            return {"delay_seconds": node.seconds, "delay_until": node.until, **config}
        case Wait():
            approval = {"approval": {"title": node.approval.title}} if node.approval else {}
            return {"config": {"event": node.event, **approval}}
        case Set():
            return {"config": node.values}
        case Call():
            return {"config": {"workflow_id": node.workflow}}
        case End():
            is_told = node.outcome == "failed" or (node.closes and not node.has_output)
            return {"config": {"outcome": node.outcome} if is_told else {}}
        case Start():
            return {}
        case _:
            assert_never(node)


def _restore_action(node: Action) -> dict[str, Any]:
    retry = node.retry.model_dump(exclude_defaults=True) if node.retry != Retry() else None
    timeout = node.timeout_seconds if node.timeout_seconds != DEFAULT_TIMEOUT_SECONDS else None
    compensate = {"action": node.compensate.action} if node.compensate else None
    return {"action": node.action, "retry": retry, "timeout_seconds": timeout, "compensate": compensate}


def _restore_on_error(policy: OnError | None) -> Any:
    match policy:
        case None:
            return None
        case Skip() | Pause():
            return policy.kind
        case Fallback():
            return {"fallback": policy.value}
        case RetryFrom():
            return {"retry_from": policy.node, "max": policy.max}
        case _:
            assert_never(policy)
