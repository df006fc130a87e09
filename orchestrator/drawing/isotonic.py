"""Place values in a given order, as near as possible to where each wants to be (isotonic regression)."""

from collections.abc import Sequence


def place_in_order(wanted: Sequence[float], weights: Sequence[float], distances: Sequence[float]) -> list[float]:
    """Return positions that minimise the weighted squares of the ways to those wanted.

    Each is at least `distances[i]` after the one before. Neighbours that would come too close move as one block to
    their mean ("pool adjacent violators"), in linear time.
    """
    shifts = [0.0]
    for distance in distances:
        shifts.append(shifts[-1] + distance)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, count
    for at, weight, shift in zip(wanted, weights, shifts, strict=False):
        mean, count = at - shift, 1
        while blocks and blocks[-1][0] > mean:
            other, other_weight, other_count = blocks.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight, count = weight + other_weight, count + other_count
        blocks.append((mean, weight, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + shift for mean, shift in zip(means, shifts, strict=False)]
