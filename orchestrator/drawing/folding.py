"""Fold the boxes of large graphs: a loop or parallel is then drawn as one node, without what it holds."""

from collections.abc import Collection

from orchestrator.drawing.scope_tree import TreeNode, TreeScope

MAX_VISIBLE = 400
"""Nodes up to which a graph is drawn whole."""


def fold_scopes(scopes: list[TreeScope], opened: Collection[str]) -> list[TreeScope]:
    """Fold all boxes of a large graph but those that are opened; return the scopes that are drawn.

    Scopes are given and returned each before those inside it.
    """
    if sum(len(scope.nodes) for scope in scopes) <= MAX_VISIBLE:
        return scopes
    held: dict[str, list[str]] = {}
    for scope in reversed(scopes):
        if scope.owner is not None:
            inside = [each for node in scope.nodes for each in (node.id, *held.get(node.id, ()))]
            held[scope.owner.id] = inside + held.get(scope.owner.id, [])
    drawn: list[TreeScope] = []
    shown: set[str] = set()
    for scope in scopes:
        if scope.parent is not None and (scope.parent.path not in shown or _is_folded(scope.owner, opened)):
            continue
        shown.add(scope.path)
        drawn.append(scope)
        for node in scope.nodes:
            if node.scopes and _is_folded(node, opened):
                node.scopes, node.folded = [], tuple(held[node.id])
    return drawn


def _is_folded(node: TreeNode | None, opened: Collection[str]) -> bool:
    return node is not None and node.id not in opened
