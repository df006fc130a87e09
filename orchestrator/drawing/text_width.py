"""Estimate how wide a text is drawn, without a font: never less than DejaVu Sans Bold, the widest of the usual ones."""

import unicodedata
from functools import lru_cache

ASCII_WIDTHS = """
    35 46 53 84 70 101 88 31 46 46 53 84 38 42 38 37 70 70 70 70 70 70 70 70 70 70 40 40 84 84 84 59
    100 78 77 74 84 69 69 83 84 38 38 78 64 100 84 86 74 86 78 73 69 82 78 111 78 73 73 46 37 46 84 50
    50 68 72 60 72 68 44 72 72 35 35 67 35 105 72 69 72 72 50 60 48 72 66 93 65 66 59 72 37 72 84
"""
"""From the space to the tilde, in hundredths of the font size."""
WIDTHS = {chr(32 + index): int(width) / 100 for index, width in enumerate(ASCII_WIDTHS.split())}
LATIN, OTHER, OTHER_CAPITAL, WIDE = 1.0, 1.12, 1.35, 1.3
ELLIPSIS = "…"


@lru_cache(maxsize=4096)
def _measure_character(character: str) -> float:
    """Return the width of a character as a share of the font size."""
    if character in WIDTHS:
        return WIDTHS[character]
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(character) in ("W", "F") or ord(character) > 0xFFFF:
        return WIDE
    if ord(character) < 0x250 or character == ELLIPSIS:
        return LATIN
    return OTHER_CAPITAL if character.isupper() else OTHER


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
