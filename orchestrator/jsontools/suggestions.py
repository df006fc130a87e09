"""Suggest the name that a misspelt one was likely meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

MAX_NAME = 60
"""Characters of a name that are compared: the comparison takes quadratic time."""
MAX_KNOWN = 1_000
"""Known names that are compared."""
SIMILARITY = 0.6
"""Similarity from which a name is suggested."""


def did_you_mean(name: object, known: Iterable[str], prefix: str = "") -> str | None:
    """Return a hint that names the closest known name; `prefix` is the path in front of it."""
    closest = find_closest(name, known)
    return None if closest is None else f"did you mean `{prefix}{closest}`?"


def find_closest(name: object, known: Iterable[str], similarity: float = SIMILARITY) -> str | None:
    """Return the known name that is most like this one, if any is similar enough."""
    if not isinstance(name, str):
        return None
    text = name[:MAX_NAME]
    names = list(islice(known, MAX_KNOWN))
    same = (known_name for known_name in names if known_name.lower() == text.lower())
    return next(same, None) or next(iter(get_close_matches(text, names, 1, similarity)), None)


def join_names(names: Iterable[str]) -> str:
    """Return names as a list for a message."""
    return ", ".join(names)
