"""IDs of runs: the ID of the workflow and 80 random bits, such as `order_flow-7k3m9q2x4t8wjb5n`. Replay-sensitive.

The digits are Crockford's base 32 in lower case: without `i`, `l`, `o` and `u`, which are easily misread.
"""

import secrets
from hashlib import sha256
from urllib.parse import quote

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
RANDOM_BITS = 80
MAX_NAME = 128
"""Characters of the workflow ID that a run ID begins with; no ID of a stored workflow is longer."""

UNNAMED = "run"
"""Begins the ID of a run whose definition has no ID."""


def draw_run_id(workflow_id: str) -> str:
    """Return a new ID for a run."""
    return format_run_id(workflow_id, secrets.randbits(RANDOM_BITS))


def derive_run_id(workflow_id: str, parent_id: str, seed: str) -> str:
    """Return the ID of a called run, which a replay repeats; `seed` is a random value of the caller."""
    # The random values of a Temporal workflow come from 64 bits: the ID of the caller adds its own.
    digest = sha256(f"{parent_id}/{seed}".encode("utf-8", "surrogatepass")).digest()
    return format_run_id(workflow_id, int.from_bytes(digest[: RANDOM_BITS // 8], "big"))


def format_run_id(workflow_id: str, number: int) -> str:
    """Return the ID of a run with this random number, ready for a URL."""
    digits = (DIGITS[number >> shift & 31] for shift in range(RANDOM_BITS - 5, -1, -5))
    name = quote(workflow_id, safe="", errors="replace")[:MAX_NAME] or UNNAMED
    return f"{name}-{''.join(digits)}"
