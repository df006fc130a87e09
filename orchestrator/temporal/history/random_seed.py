"""The seed of a workflow's random numbers and UUIDs: SipHash-1-3 of the run id, as in Temporal's core."""

MASK = (1 << 64) - 1
INITIAL = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
"""SipHash with a key of zeros begins with these."""

Words = tuple[int, int, int, int]


def compute_random_seed(run_id: str) -> int:
    """Return the seed of an execution."""
    data = run_id.encode() + b"\xff"  # Rust ends the hash of each text so
    whole = len(data) // 8 * 8
    words = INITIAL
    for start in range(0, whole, 8):
        words = _add_word(words, int.from_bytes(data[start : start + 8], "little"))
    words = _add_word(words, int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56)
    v0, v1, v2, v3 = words
    words = (v0, v1, v2 ^ 0xFF, v3)
    for _ in range(3):
        words = _mix(words)
    return words[0] ^ words[1] ^ words[2] ^ words[3]


def _add_word(words: Words, word: int) -> Words:
    v0, v1, v2, v3 = words
    v0, v1, v2, v3 = _mix((v0, v1, v2, v3 ^ word))
    return v0 ^ word, v1, v2, v3


def _mix(words: Words) -> Words:
    v0, v1, v2, v3 = words
    v0 = (v0 + v1) & MASK
    v1 = _rotate(v1, 13) ^ v0
    v0 = _rotate(v0, 32)
    v2 = (v2 + v3) & MASK
    v3 = _rotate(v3, 16) ^ v2
    v0 = (v0 + v3) & MASK
    v3 = _rotate(v3, 21) ^ v0
    v2 = (v2 + v1) & MASK
    v1 = _rotate(v1, 17) ^ v2
    return v0, v1, _rotate(v2, 32), v3


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> 64 - bits) & MASK
