"""Decide which loops run in batches, and what of the context a batch is given."""

from collections.abc import Iterable

from orchestrator.model.definition import Node
from orchestrator.planner.references import Use

NOT_GIVEN = ("secrets", "workflow", "run")
"""Secrets are resolved by actions; every batch is given the other two."""


def may_spread(node: Node, body: Iterable[Node]) -> bool:
    """Return whether the iterations of a loop may run in several workflows.

    `while` and `break_when` end the loop by what one iteration does. An event without a key ends one wait of all
    iterations, and each workflow has its own copy of it.
    """
    config = node.config
    is_concurrent = config.get("max_concurrency") not in (None, "", 0, 1)
    has_end = bool(config.get("while") or config.get("break_when"))
    takes_any_event = any(each.type == "wait" and each.config.get("key") in (None, "") for each in body)
    return is_concurrent and not has_end and not takes_any_event


def list_paths(uses: Iterable[Use], loop_variables: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return the paths into the context that templates name, without those inside another one."""
    left_out = {*NOT_GIVEN, *loop_variables}
    paths = {_make_path(name.root, name.path) for _, name in uses if name.root not in left_out}
    return tuple(path for path in sorted(paths) if not any(path[:length] in paths for length in range(1, len(path))))


def _make_path(root: str, path: Iterable[str | int]) -> tuple[str, ...]:
    keys = [root]
    for key in path:
        if not isinstance(key, str):  # an element of a list: the list is given as a whole
            break
        keys.append(key)
    return tuple(keys)
