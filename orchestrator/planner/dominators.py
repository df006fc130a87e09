"""Reverse postorder and dominators of a directed graph."""


def reverse_postorder(successors: list[list[int]], root: int) -> list[int]:
    """Return the nodes reached from the entries, in reverse postorder."""
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


def immediate_dominators(successors: list[list[int]], order: list[int]) -> dict[int, int]:
    """Give the immediate dominator of each node that is reached."""
    place = {number: at for at, number in enumerate(order)}
    predecessors: dict[int, list[int]] = {number: [] for number in order}
    for number in order:
        for target in successors[number]:
            predecessors[target].append(number)
    found = {order[0]: order[0]}
    changed = True
    while changed:
        changed = False
        for number in order[1:]:
            known = [before for before in predecessors[number] if before in found]
            nearest = known[0]
            for before in known[1:]:
                nearest = _meet(nearest, before, found, place)
            if found.get(number) != nearest:
                found[number] = nearest
                changed = True
    return found


def _meet(one: int, other: int, dominators: dict[int, int], place: dict[int, int]) -> int:
    while one != other:
        while place[one] > place[other]:
            one = dominators[one]
        while place[other] > place[one]:
            other = dominators[other]
    return one
