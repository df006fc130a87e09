"""How much the tests of the slow tier do: what fits into CI, or TEST_SCALE times as much."""

import os

SCALE = float(os.environ.get("TEST_SCALE", "1"))


def scale(count: int) -> int:
    """Return a count, or a time in seconds, at this scale; at least 1."""
    return max(1, round(count * SCALE))
