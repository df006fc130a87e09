"""Paths of iterations, branches and batches inside a run: `each[2]`, `rows[0]/cells[3]`, `each[500..999]`."""

import re

BATCH = re.compile(r"(?P<loop>.+)\[(?P<first>\d+)\.\.(?P<last>\d+)\]")
INDEX = re.compile(r"\[(\d+)\]")


def make_batch_path(inner_path: str, first: int, last: int) -> str:
    """Return the path of a batch of iterations; the steps inside have paths of their own iterations."""
    return f"{inner_path}[{first}..{last}]"


def read_batch_path(path: str) -> tuple[str, int] | None:
    """Return the inner path of the loop of a batch, and its first iteration; `None` for another path."""
    batch = BATCH.fullmatch(path)
    return None if batch is None else (batch["loop"], int(batch["first"]))


def is_batch_path(path: str) -> bool:
    """Return whether a path is that of a batch."""
    return BATCH.fullmatch(path) is not None


def is_inside(path: str, scope_path: str) -> bool:
    """Return whether a path is that of a scope, or of one inside it; the empty path is the whole run."""
    if not scope_path or path == scope_path or path.startswith(f"{scope_path}/"):
        return True
    batch = BATCH.fullmatch(scope_path)
    if batch is None or not path.startswith(batch["loop"]):
        return False
    index = INDEX.match(path, len(batch["loop"]))
    return index is not None and int(batch["first"]) <= int(index[1]) <= int(batch["last"])
