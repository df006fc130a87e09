"""Find the nodes that may still begin in a pass, by the edges of the plan. Replay-sensitive."""

from collections.abc import Iterable, Mapping

from orchestrator.interpreter.passes import Pass
from orchestrator.model.plan import AnyNode, Pause, RetryFrom
from orchestrator.model.plan_nodes import iterate_nodes, list_inner_scopes


def may_begin(each: Pass, node_id: str) -> bool:
    """Return whether a node may begin in what is left of a pass: one of its scope, or of the scopes inside it.

    An operator who is asked about a failed step can go back to any node that has run.
    """
    nodes = each.scope.nodes
    ranks = {node.id: rank for rank, node in enumerate(nodes)}
    pending = list(each.frame.active)
    in_progress = each.frame.open and nodes[ranks[each.frame.open.step.node_id]]
    if in_progress:
        if node_id in _list_inner_ids(in_progress):
            return True
        pending += _list_targets(in_progress, ranks)
    visited = [False] * len(nodes)
    while pending:
        rank = pending.pop()
        if visited[rank]:
            continue
        visited[rank] = True
        if nodes[rank].id == node_id or node_id in _list_inner_ids(nodes[rank]):
            return True
        pending += _list_targets(nodes[rank], ranks)
    return False


def _list_inner_ids(node: AnyNode) -> list[str]:
    return [inner.id for scope in list_inner_scopes(node) for inner in iterate_nodes(scope)]


def _list_targets(node: AnyNode, ranks: Mapping[str, int]) -> Iterable[int]:
    """Return the ranks that may be activated when a node, or one inside it, is left."""
    scopes = list_inner_scopes(node)
    every = [node, *(inner for scope in scopes for inner in iterate_nodes(scope))]
    if any(isinstance(each.on_error, Pause) for each in every):
        return range(len(ranks))
    outside = [target for each in every for targets in each.exits.values() for target in targets]
    outside += [target for each in every for scope in list_inner_scopes(each) for target in scope.exits]
    outside += [each.on_error.node for each in every if isinstance(each.on_error, RetryFrom)]
    inside = [rank for targets in node.ports.values() for rank in targets]
    return [*inside, *(ranks[target] for target in outside if target in ranks)]
