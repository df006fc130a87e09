"""What is known where branches meet again, and where the iterations of a loop have ended."""

from itertools import product

from orchestrator.model.definition import Node
from orchestrator.planner.data_flow.types import Type, drop_kinds, join
from orchestrator.planner.data_flow.walk import MAX_EXIT_SETS, Exits, TooComplex


def merge_branch(before: Type, after: Type, branch: Type, *, may_lose: bool) -> Type:
    """Return a name after the join, from its type before the branches, after those before, and at this one's end."""
    if before.may_be_absent:
        # What is missing at the end of the branch was not set in it.
        if not branch.may_be_absent and not may_lose:
            return branch
        found = drop_kinds(branch, "missing")
        return join(after, found) if found.kinds else after
    return join(after, branch)


def close_over_unions(sets: set[Exits]) -> set[Exits]:
    """Return the unions of any of the sets: iterations reach what each of them reaches."""
    closed = set(sets)
    while True:
        more = {one | other for one in closed for other in sets} | closed
        if len(more) > MAX_EXIT_SETS:
            raise TooComplex
        if more == closed:
            return closed
        closed = more


def combine_exits(choices: list[set[Exits]]) -> set[Exits]:
    """Return the unions of one set of each branch."""
    combined: set[Exits] = {frozenset()}
    for sets in choices:
        combined = {one | other for one, other in product(combined, sets)}
        if len(combined) > MAX_EXIT_SETS:
            raise TooComplex
    return combined


def continues_after_failure(node: Node) -> bool:
    """Return whether a loop continues after an iteration that has failed."""
    config = node.config
    return config.get("on_item_error") == "continue" or config.get("max_failures") not in (None, "")


def has_items(node: Node) -> bool:
    """Return whether a loop certainly has an iteration."""
    collection = node.collection
    if node.config.get("while"):
        return False
    return (isinstance(collection, list) and bool(collection)) or (
        isinstance(collection, int) and not isinstance(collection, bool) and collection > 0
    )
