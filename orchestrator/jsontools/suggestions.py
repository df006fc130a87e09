"""Suggest what a misspelt name was likely meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: object, known: Iterable[str]) -> str | None:
    """Give a hint naming the closest of the known words."""
    close = closest(word, known)
    return None if close is None else f"did you mean {close!r}?"


def closest(word: object, known: Iterable[str]) -> str | None:
    """Find the word that was likely meant."""
    words = list(known)
    text = str(word)
    same = [name for name in words if name.lower() == text.lower()]
    return next(iter(same or get_close_matches(text, words, 1, 0.7)), None)


def listed(words: Iterable[str]) -> str:
    """List words for a message."""
    return ", ".join(words)
