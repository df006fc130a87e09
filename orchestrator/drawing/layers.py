"""Place the items of one scope: layers, the order within a layer, and coordinates.

Layers are the longest paths over edges that lead to a higher rank; an edge that spans several layers gets a waypoint in
each layer between, so that it has a lane of its own between the boxes. Edges to the same target share their waypoints:

    a ──┐ layer 0          a's edge to d and b's edge to d meet in the waypoint (d), which takes part in the order
    b  (d)  layer 1        of layer 1 and is placed like a box without a size
    c  (d)  layer 2
    └─d─┘   layer 3

All steps are linear, or sort: 10,000 nodes take a fraction of a second.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from orchestrator.drawing.isotonic import place_in_order

SWEEPS = 4
GAP_X = 36
"""Between boxes of a layer."""
LANE_X = 18
"""Between two lines that pass a layer."""
WAYPOINT_WEIGHT, SIDE_WEIGHT = 0.1, 0.01
"""Weights of waypoints, and of those of edges that leave by the side: boxes stay straight, and they make way."""
IDLE_WEIGHT = 0.001
"""Weight of what has no neighbour to be near."""
MAX_WAYPOINTS = 3
"""Waypoints for each item, on average; longer edges run beside the boxes instead."""


@dataclass(slots=True, eq=False)
class Item:
    """A box to place, or a waypoint of an edge. Items are numbered by rank."""

    width: int
    height: int
    margin: int = 0
    """What its edges and labels take at its right."""
    waypoint: bool = False
    weight: float = 1.0
    """How strongly it keeps its place beside others in its layer."""
    layer: int = 0
    left: int = 0
    top: int = 0

    @property
    def center(self) -> int:
        """Horizontal centre, where edges arrive."""
        return self.left + self.width // 2


@dataclass(slots=True, eq=False)
class Link:
    """An edge between two items."""

    source: int
    target: int
    offset: int
    """Where it leaves, from the left of its source; its width where it leaves by the side."""
    side: bool = False
    """Whether it leaves by the right side."""
    label: int = 0
    """Width of its label."""
    waypoints: list[int] | None = None
    """Items that it passes, from its source on; None where it runs beside the boxes."""

    @property
    def goes_back(self) -> bool:
        """Whether it leads to the same or a lower rank."""
        return self.target <= self.source


@dataclass(slots=True)
class Placement:
    """The items of a scope in layers."""

    items: list[Item]
    links: list[Link]
    layers: list[list[int]] = field(default_factory=list)
    """The items of each layer, from left to right."""
    chains: list[tuple[Link, range]] = field(default_factory=list)
    """The waypoints to each target, with the edge that begins highest."""
    segments: list[tuple[int, int, int]] = field(default_factory=list)
    """`(upper item, lower item, offset of the port)`, between neighbouring layers, each once."""


def place_items(items: list[Item], links: list[Link], *, last: int | None = None) -> Placement:
    """Assign layers, order and horizontal positions; `last` is below all others."""
    placement = Placement(items, links)
    _assign_layers(placement, last)
    _insert_waypoints(placement)
    _fill_layers(placement)
    above, below = _index_segments(placement)
    _order_layers(placement, above, below)
    _position_layers(placement, above, below)
    _straighten_chains(placement)
    return placement


def _assign_layers(placement: Placement, last: int | None) -> None:
    forward: list[list[int]] = [[] for _ in placement.items]
    for link in placement.links:
        if not link.goes_back:
            forward[link.source].append(link.target)
    for number, item in enumerate(placement.items):
        for target in forward[number]:
            placement.items[target].layer = max(placement.items[target].layer, item.layer + 1)
    if last is not None:
        placement.items[last].layer = max((item.layer for item in placement.items[:last]), default=-1) + 1


def _insert_waypoints(placement: Placement) -> None:
    """Insert the waypoints of long edges, the shortest first, within a budget."""
    items = placement.items
    budget = MAX_WAYPOINTS * len(items)
    spans = [(items[link.target].layer - items[link.source].layer, link) for link in placement.links]
    chosen: dict[tuple[int, bool], list[Link]] = {}
    for span, link in sorted((each for each in spans if not each[1].goes_back), key=lambda each: each[0]):
        budget -= span - 1
        if budget < 0:
            break
        chosen.setdefault((link.target, link.side), []).append(link)
    for (target, side), links in chosen.items():
        begin, end = min(items[link.source].layer for link in links) + 1, items[target].layer
        chain = range(len(items), len(items) + end - begin)
        weight = SIDE_WEIGHT if side else WAYPOINT_WEIGHT
        items.extend(Item(0, 0, waypoint=True, weight=weight, layer=layer) for layer in range(begin, end))
        for link in links:
            link.waypoints = list(chain[items[link.source].layer + 1 - begin :])
        placement.chains.append((links[0], chain))


def _fill_layers(placement: Placement) -> None:
    """Fill the layers in order of rank, and list the segments; a waypoint comes after the item before it."""
    items = placement.items
    keys: list[float] = [float(number) for number in range(len(items))]
    seen: dict[tuple[int, int, int], None] = {}
    for link in placement.links:
        if link.waypoints is None:
            continue
        at, offset = link.source, link.offset
        for number in (*link.waypoints, link.target):
            if items[number].waypoint:
                keys[number] = min(keys[number], link.source + 0.5)
            seen[at, number, offset] = None
            at, offset = number, 0
    placement.segments = list(seen)
    placement.layers = [[] for _ in range(max((item.layer for item in items), default=-1) + 1)]
    for number in sorted(range(len(items)), key=keys.__getitem__):
        placement.layers[items[number].layer].append(number)


LIMIT = 10**9
Neighbours = list[list[tuple[int, int, int]]]
"""For each item `(neighbour, offset in the neighbour, own offset)`, towards one side."""


def _index_segments(placement: Placement) -> tuple[Neighbours, Neighbours]:
    above: Neighbours = [[] for _ in placement.items]
    below: Neighbours = [[] for _ in placement.items]
    for upper, lower, offset in placement.segments:
        arrival = placement.items[lower].width // 2
        above[lower].append((upper, offset, arrival))
        below[upper].append((lower, arrival, offset))
    return above, below


def _order_layers(placement: Placement, above: Neighbours, below: Neighbours) -> None:
    """Order each layer by the barycentre of its neighbours, alternately downwards and upwards."""
    items, layers = placement.items, placement.layers
    position = [0.0] * len(items)

    def number_layer(layer: Sequence[int]) -> None:
        for at, number in enumerate(layer):
            position[number] = float(at)

    for layer in layers:
        number_layer(layer)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 1
        neighbours = above if downwards else below
        for layer in layers if downwards else reversed(layers):
            if len(layer) < 2:
                continue
            keys: dict[int, float] = {}
            for number in layer:
                near = neighbours[number]
                places = [position[other] + offset / (items[other].width + 1) for other, offset, _ in near]
                keys[number] = sum(places) / len(places) if places else position[number]
            layer.sort(key=keys.__getitem__)
            number_layer(layer)


def _position_layers(placement: Placement, above: Neighbours, below: Neighbours) -> None:
    """Place each layer as near as possible to where its neighbours want it, alternately downwards and upwards."""
    items = placement.items
    gaps = [_list_gaps(items, layer) for layer in placement.layers]
    left = [0.0] * len(items)
    for layer, distances in zip(placement.layers, gaps, strict=True):
        at = -sum(distances) / 2
        for number, distance in zip(layer, [*distances, 0], strict=True):
            left[number] = at
            at += distance
    rows = list(zip(placement.layers, gaps, strict=True))
    for sweep in range(SWEEPS + 1):
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        for layer, distances in rows if downwards else reversed(rows):
            wanted = [_find_wanted(left, number, neighbours[number]) for number in layer]
            if distances:
                weights = [items[number].weight if neighbours[number] else IDLE_WEIGHT for number in layer]
                wanted = place_in_order(wanted, weights, distances)
            for number, at in zip(layer, wanted, strict=True):
                left[number] = at
    for item, at in zip(items, left, strict=True):
        item.left = round(at)


def _find_wanted(left: list[float], number: int, near: Sequence[tuple[int, int, int]]) -> float:
    """Return where an item is straight below or above its neighbours, on average."""
    if not near:
        return left[number]
    return sum([left[other] + offset - own for other, offset, own in near]) / len(near)


def _list_gaps(items: list[Item], layer: Iterable[int]) -> list[int]:
    """Return the least distance of the left sides of neighbours in a layer."""
    return [_find_gap(items[before], items[after]) for before, after in pairwise(layer)]


def _find_gap(before: Item, after: Item) -> int:
    return before.width + before.margin + (LANE_X if before.waypoint or after.waypoint else GAP_X)


def _straighten_chains(placement: Placement) -> None:
    """Move waypoints below each other as far as their neighbours leave room, below the port where that is possible."""
    items = placement.items
    spots = {number: (layer, at) for layer in placement.layers for at, number in enumerate(layer)}
    for link, chain in placement.chains:
        port = items[link.source].left + link.offset
        run: list[int] = []
        low, high = -LIMIT, LIMIT
        for number in chain:
            least, most = _find_room(items, *spots[number])
            if max(low, least) > min(high, most):
                _align(items, run, min(max(port, low), high))
                run, low, high = [], -LIMIT, LIMIT
            run.append(number)
            low, high = max(low, least), min(high, most)
        last = items[link.target].center
        wanted = port if len(run) == len(chain) and low <= port <= high else last
        _align(items, run, min(max(wanted, low), high))


def _find_room(items: list[Item], layer: Sequence[int], at: int) -> tuple[int, int]:
    """Return how far an item can move to the left and to the right."""
    item, low, high = items[layer[at]], -LIMIT, LIMIT
    if at > 0:
        before = items[layer[at - 1]]
        low = min(before.left + _find_gap(before, item), item.left)
    if at + 1 < len(layer):
        after = items[layer[at + 1]]
        high = max(after.left - _find_gap(item, after), item.left)
    return low, high


def _align(items: list[Item], run: Iterable[int], left: int) -> None:
    for number in run:
        items[number].left = left
