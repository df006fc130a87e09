"""Compute the reverse postorder and the dominators of a directed graph.

Dominators after Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
"""


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
            processed = [before for before in predecessors[number] if before in dominators]
            nearest = processed[0]
            for before in processed[1:]:
                nearest = _intersect(nearest, before, dominators, position)
            if dominators.get(number) != nearest:
                dominators[number] = nearest
                changed = True
    return dominators


def _intersect(one: int, other: int, dominators: dict[int, int], position: dict[int, int]) -> int:
    """Return the nearest common dominator: walk up from whichever node comes later in the order."""
    while one != other:
        while position[one] > position[other]:
            one = dominators[one]
        while position[other] > position[one]:
            other = dominators[other]
    return one
