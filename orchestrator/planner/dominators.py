"""Compute the reverse postorder and the dominators of a directed graph.

Dominators after Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
"""

from heapq import heapify, heappop, heappush


def compute_reverse_postorder(successors: list[list[int]], root: int) -> list[int]:
    """Return the nodes that the root reaches, in reverse postorder."""
    seen = {root}
    order: list[int] = []
    stack = [(root, iter(successors[root]))]
    while stack:
        number, rest = stack[-1]
        for target in rest:
            if target not in seen:
                seen.add(target)
                stack.append((target, iter(successors[target])))
                break
        else:
            stack.pop()
            order.append(number)
    return order[::-1]


def compute_immediate_dominators(successors: list[list[int]], order: list[int]) -> dict[int, int]:
    """Return the immediate dominator of each node; `order` is the reverse postorder."""
    position = {number: at for at, number in enumerate(order)}
    predecessors: dict[int, list[int]] = {number: [] for number in order}
    for number in order:
        for target in successors[number]:
            predecessors[target].append(number)
    dominators = {order[0]: order[0]}
    changed = True
    while changed:
        changed = False
        for number in order[1:]:
            processed = [position[before] for before in predecessors[number] if before in dominators]
            nearest = _intersect(processed, order, dominators, position)
            if dominators.get(number) != nearest:
                dominators[number] = nearest
                changed = True
    return dominators


def _intersect(positions: list[int], order: list[int], dominators: dict[int, int], position: dict[int, int]) -> int:
    """Return the nearest common dominator: walk up from whichever node comes last in the order, until one is left.

    Paths that meet are walked once, so that thousands of edges to one error handler take linear time.
    """
    latest = [-at for at in positions]
    heapify(latest)
    while True:
        at = -latest[0]
        while latest and latest[0] == -at:
            heappop(latest)
        if not latest:
            return order[at]
        heappush(latest, -position[dominators[order[at]]])
