"""Route the edges of one scope between its placed boxes: only horizontal and vertical pieces, none through a box.

Between two layers is a gap, with a track for each bundle of lines that turn there; at the right of all boxes are lanes
for edges back and for edges too long for waypoints:

    layer 0      a       b               a line leaves a box downwards (or by its side), turns in the gap below,
    gap 1        └──┐    ├────────┐      and arrives from above; a lane joins two gaps
    layer 1         c    d        │ lane
    gap 2           └────┴────────┘
"""

from bisect import bisect, insort
from dataclasses import dataclass, field

from orchestrator.drawing.layers import Link, Placement

STUB = 12
"""How far an edge that leaves by the side runs before it turns."""
SIDE_Y = 25
"""Where it leaves, below the top of its box."""
FIRST_TRACK, LABEL_TRACK = 16, 24
"""First track below a layer; where labels hang below boxes."""
LAST_TRACK = 18
"""Between the last track of a gap and the layer below, for arrows."""
TRACK, LANE = 9, 10
SNAP = 4
"""A line that would turn by less goes straight."""
MAX_COLUMNS = 50
"""Columns of lanes that are searched for a free place."""
Point = tuple[int, int]


@dataclass(slots=True, eq=False)
class Turn:
    """Lines that share one horizontal piece in a gap."""

    begin: int
    end: int
    leftwards: bool
    track: int = 0


@dataclass(slots=True)
class Gap:
    """The space above a layer, or below the last."""

    turns: dict[tuple[int, int, bool], Turn] = field(default_factory=dict)
    labelled: bool = False
    tracks: int = 0
    top: int = 0

    def find_y(self, turn: Turn) -> int:
        """Return where a turn is drawn."""
        return self.top + (LABEL_TRACK if self.labelled else FIRST_TRACK) + turn.track * TRACK

    @property
    def height(self) -> int:
        """Height with all tracks."""
        return (LABEL_TRACK if self.labelled else FIRST_TRACK) + max(self.tracks - 1, 0) * TRACK + LAST_TRACK


@dataclass(slots=True, eq=False)
class Lane:
    """A vertical piece at the right of all boxes, shared by the edges to one target."""

    target: int
    begin: int
    """The upper gap that it joins."""
    end: int
    x: int = 0


class Router:
    """Routes the links of a placement, and places its layers vertically around them."""

    def __init__(self, placement: Placement, top_gap: int, bottom_gap: int) -> None:
        self.items = placement.items
        self.links = placement.links
        self.layers = placement.layers
        self.fan_in = _count_fan_in(placement)
        self.gaps = [Gap() for _ in range(len(self.layers) + 1)]
        self.lanes: dict[tuple[int, bool], Lane] = {}
        self.right = max((item.left + item.width + item.margin for item in self.items), default=0)
        self.width = self.right
        self.height = 0
        self._route(top_gap, bottom_gap)

    def _route(self, top_gap: int, bottom_gap: int) -> None:
        self._open_lanes()
        paths = [list(self._list_turns(link)) for link in self.links]
        for gap in self.gaps:
            gap.tracks = _assign_tracks(list(gap.turns.values()))
        y = 0
        for index, gap in enumerate(self.gaps):
            gap.top = y
            if index == len(self.layers):
                y += max(gap.height, bottom_gap) if gap.turns else bottom_gap
                break
            y += gap.height if gap.turns or (index and self.layers[index]) else top_gap
            for number in self.layers[index]:
                self.items[number].top = y
            y += max((self.items[number].height for number in self.layers[index]), default=0)
        self.height = y
        self.paths = [self._draw(link, path) for link, path in zip(self.links, paths, strict=True)]

    def _open_lanes(self) -> None:
        """Give a lane to each target of edges that run beside the boxes, the shortest next to the boxes."""
        for link in self.links:
            if link.waypoints is None:
                begin, end = sorted((self.items[link.source].layer + 1, self.items[link.target].layer))
                lane = self.lanes.setdefault((link.target, link.side), Lane(link.target, begin, end))
                lane.begin, lane.end = min(lane.begin, begin), max(lane.end, end)
        columns = _pack_lanes(sorted(self.lanes.values(), key=lambda lane: (lane.end - lane.begin, lane.begin)))
        for lane, column in columns:
            lane.x = self.right + LANE + column * LANE
        if columns:
            self.width = max(lane.x for lane, _ in columns) + LANE

    def _find_port(self, link: Link) -> int:
        return self.items[link.source].left + link.offset

    def _list_turns(self, link: Link) -> list[tuple[int, Turn | None, int, int]]:
        """Return the gaps that a link passes, each as `(gap, turn, x before it, x after it)`; None goes straight."""
        x, begin = self._find_port(link), self.items[link.source].layer + 1
        if link.label and not link.side:
            self.gaps[begin].labelled = True
        if link.waypoints is None:
            lane = self.lanes[link.target, link.side]
            end, center = self.items[link.target].layer, self.items[link.target].center
            return [
                (begin, self._turn(begin, (link.source, x, True), x, lane.x), x, lane.x),
                (end, self._turn(end, (link.target, -1, True), lane.x, center), lane.x, center),
            ]
        hops, at = [], (link.source, link.offset)
        for index, number in enumerate((*link.waypoints, link.target)):
            center = self._find_arrival(number, x)
            key = (number, -1, False) if self.fan_in[number] > 1 else (*at, False)
            hops.append((begin + index, self._turn(begin + index, key, x, center), x, center))
            x, at = center, (number, 0)
        return hops

    def _find_arrival(self, number: int, x: int) -> int:
        """Return where a line from above arrives: straight below where it comes from, if that is nearly the middle."""
        center = self.items[number].center
        return x if self.fan_in[number] == 1 and abs(center - x) <= SNAP else center

    def _turn(self, gap: int, key: tuple[int, int, bool], begin: int, end: int) -> Turn | None:
        """Return the turn of a bundle in a gap, widened to hold a line; None where the line goes straight down."""
        if begin == end:
            return None
        turn = self.gaps[gap].turns.get(key)
        if turn is None:
            turn = self.gaps[gap].turns[key] = Turn(min(begin, end), max(begin, end), leftwards=end < begin)
        turn.begin, turn.end = min(turn.begin, begin, end), max(turn.end, begin, end)
        return turn

    def _draw(self, link: Link, hops: list[tuple[int, Turn | None, int, int]]) -> list[Point]:
        source, target = self.items[link.source], self.items[link.target]
        x = self._find_port(link)
        points = [(x, source.top + source.height)]
        if link.side:
            y = source.top + min(SIDE_Y, source.height // 2)
            points = [(source.left + source.width, y), (x, y)]
        for gap, turn, before, after in hops:
            if turn is not None:
                y = self.gaps[gap].find_y(turn)
                points += [(before, y), (after, y)]
        points.append((hops[-1][3], target.top))
        return simplify(points)


def _count_fan_in(placement: Placement) -> list[int]:
    """Return how many lines arrive at each item from the layer above."""
    counts = [0] * len(placement.items)
    for _, lower, _ in placement.segments:
        counts[lower] += 1
    return counts


def _assign_tracks(turns: list[Turn]) -> int:
    """Give each turn a track, so that no two overlap and few lines cross; return the number of tracks.

    Of lines to the left, the leftmost has the upper track; of those to the right, the rightmost.
    """
    leftwards = sorted((turn for turn in turns if turn.leftwards), key=lambda turn: turn.begin)
    rightwards = sorted((turn for turn in turns if not turn.leftwards), key=lambda turn: -turn.end)
    count = _stack_tracks([(turn, turn.begin, turn.end) for turn in leftwards], 0)
    offset = count if _overlap(leftwards, rightwards) else 0
    return max(count, _stack_tracks([(turn, -turn.end, -turn.begin) for turn in rightwards], offset))


def _stack_tracks(turns: list[tuple[Turn, int, int]], offset: int) -> int:
    """Put each turn below all earlier ones that it overlaps; return the number of tracks, `offset` included."""
    ends: list[int] = []
    count = 0
    for turn, begin, end in turns:
        while ends and ends[-1] < begin - TRACK:
            ends.pop()
        turn.track = offset + len(ends)
        ends.append(end)
        count = max(count, len(ends))
    return offset + count if turns else 0


def _overlap(leftwards: list[Turn], rightwards: list[Turn]) -> bool:
    """Return whether a turn to the left overlaps one to the right."""
    spans = sorted(
        [(turn.begin, turn.end, True) for turn in leftwards] + [(turn.begin, turn.end, False) for turn in rightwards]
    )
    reach = {True: -(10**9), False: -(10**9)}
    for begin, end, leftward in spans:
        if reach[not leftward] > begin - TRACK:
            return True
        reach[leftward] = max(reach[leftward], end)
    return False


def _pack_lanes(lanes: list[Lane]) -> list[tuple[Lane, int]]:
    """Give each lane the first column where it overlaps no other; after `MAX_COLUMNS`, one of its own."""
    columns: list[list[tuple[int, int]]] = []
    packed = []
    for lane in lanes:
        free = (at for at, taken in enumerate(columns[:MAX_COLUMNS]) if _is_free(taken, lane))
        column = next(free, len(columns))
        if column == len(columns):
            columns.append([])
        insort(columns[column], (lane.begin, lane.end))
        packed.append((lane, column))
    return packed


def _is_free(taken: list[tuple[int, int]], lane: Lane) -> bool:
    at = bisect(taken, (lane.begin, lane.end))
    return (at == 0 or taken[at - 1][1] < lane.begin) and (at == len(taken) or taken[at][0] > lane.end)


def simplify(points: list[Point]) -> list[Point]:
    """Drop points that repeat, or that lie on a straight line between their neighbours."""
    kept: list[Point] = []
    for point in points:
        if kept and kept[-1] == point:
            continue
        if len(kept) > 1 and (kept[-2][0] == kept[-1][0] == point[0] or kept[-2][1] == kept[-1][1] == point[1]):
            kept[-1] = point
            continue
        kept.append(point)
    return kept
