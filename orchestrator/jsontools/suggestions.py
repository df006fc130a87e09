"""Suggest what a misspelt name was likely meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: object, known: Iterable[str]) -> str | None:
    """Give a hint naming the closest of the known names."""
    close = find_closest(name, known)
    return None if close is None else f"did you mean {close!r}?"


def find_closest(name: object, known: Iterable[str]) -> str | None:
    """Find the name that was likely meant."""
    names = list(known)
    text = str(name)
    same = [name for name in names if name.lower() == text.lower()]
    return next(iter(same or get_close_matches(text, names, 1, 0.7)), None)


def join_names(names: Iterable[str]) -> str:
    """List names for a message."""
    return ", ".join(names)
