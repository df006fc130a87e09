"""Estimate how wide a text is drawn, without a font: never less than DejaVu Sans Bold, the widest of the usual ones."""

import unicodedata
from functools import lru_cache

NARROW = frozenset("iljI.,:;'|!()[]{}/\\ `°·")
WIDE = frozenset("mwMW@%&—…")
ELLIPSIS = "…"


@lru_cache(maxsize=4096)
def _measure_character(character: str) -> float:
    """Return the width of a character as a share of the font size."""
    if character in NARROW:
        return 0.48
    if character in WIDE:
        return 1.12
    if character.isascii():
        return 0.86 if character.isupper() or character in "+<=>#~_$?" else 0.74
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    return 1.3 if unicodedata.east_asian_width(character) in ("W", "F") or ord(character) > 0xFFFF else 1.0


def measure_text(text: str, size: float) -> float:
    """Return the estimated width of a line of text in pixels, at a font size in pixels."""
    return sum(map(_measure_character, text)) * size


def clean_text(text: str) -> str:
    """Return a text as one line, without control characters, marks of direction and lone surrogates."""
    line = " ".join(text.split())
    return line if line.isascii() and line.isprintable() else "".join(filter(_is_drawn, line))


def _is_drawn(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me") or character == "\u200d"


def fit_text(text: str, size: float, width: float) -> str:
    """Return a text as one line, cut with an ellipsis where it is wider than `width` pixels."""
    line = clean_text(text[:2000])
    if measure_text(line, size) <= width:
        return line
    used = measure_text(ELLIPSIS, size)
    for index, character in enumerate(line):
        used += _measure_character(character) * size
        if used > width:
            return line[:index].rstrip() + ELLIPSIS
    return line
