"""Decide which nodes may run before which.

Whether a variable may be set when a node reads it is decided in the lowest common region of setter and reader: the
innermost region that contains both. There each is either itself or the loop or parallel that contains it, and ranks
of one region can be compared.

    whole graph       init, each, done
      body of each      ask, both
        branch 0          left
        branch 1          right

    init  -> right    in the whole graph: init before each, so yes
    right -> done     in the whole graph: each before done, so yes
    left  -> right    in the body, both are in `both`: not in this iteration, but an earlier one may have set it
    ask   -> each     `each` computes `collect` and `break_when` after its body: yes

Without the loop around them, `left` would never precede `right`: branches do not see each other's variables. Whether a
name is there on every path is another question: `data_flow` answers it.
"""

from collections.abc import Iterator
from functools import cached_property

from orchestrator.planner.regions import Region, Regions


class Precedence:
    """Which nodes of a graph may run before which."""

    def __init__(self, regions: Regions) -> None:
        self.regions = regions
        self._cyclic: dict[int, bool] = {}

    def may_precede(self, setter: int, reader: int) -> bool:
        """Return whether a variable that one node sets may be set when another reads it."""
        # Ranks order the nodes of one region only, so both nodes are compared in the innermost region that contains
        # both (their lowest common ancestor in the tree of regions), each by the loop or parallel around it there:
        #
        #     load -> each {body: charge} -> both {branch 0: mail; branch 1: log}
        #
        #     load, charge     in the whole graph as load, each: load comes first
        #     charge, mail     in the whole graph as each, both: each comes first
        #     mail, log        in the whole graph as both, both: neither comes first, as branches do not see each other
        #     charge, charge   in the body: an iteration sees what the one before has set
        common = self.find_common(setter, reader)
        if common is None:
            return False
        region, first, then = common
        # A loop computes `collect` and `break_when` after its body.
        after_body = first == then == reader != setter
        return after_body or self.ranks[first] < self.ranks[then] or self._repeats(region)

    def find_common(self, one: int, other: int) -> tuple[Region, int, int] | None:
        """Return the innermost region that contains both nodes, and the nodes that contain them there."""
        representatives = {id(region): node for region, node in self._iterate_representatives(one)}
        for region, node in self._iterate_representatives(other):
            if id(region) in representatives:
                return region, representatives[id(region)], node
        return None

    def _iterate_representatives(self, number: int) -> Iterator[tuple[Region, int]]:
        """Yield the regions that contain a node, innermost first, each with the node that contains it there."""
        node: int | None = number
        while node is not None and (region := self.regions.innermost[node]) is not None:
            yield region, node
            node = region.owner

    @cached_property
    def ranks(self) -> dict[int, int]:
        """The rank of each node in its own region."""
        listed = [self.regions.whole, *(one for inside in self.regions.inside.values() for one in inside)]
        return {number: rank for region in listed for rank, number in enumerate(region.ranked)}

    def _repeats(self, region: Region | None) -> bool:
        """Return whether the nodes of a region may run more than once."""
        while region is not None:
            if region.port == "body" or self._has_cycle(region):
                return True
            region = region.parent
        return False

    def repeats_in_iteration(self, region: Region | None) -> bool:
        """Return whether the nodes of a region may run more than once in one iteration of the loop around it."""
        while region is not None:
            if self._has_cycle(region):
                return True
            region = None if region.port == "body" else region.parent
        return False

    def _has_cycle(self, region: Region) -> bool:
        if id(region) not in self._cyclic:
            ranks, home = self.ranks, self.regions.innermost
            self._cyclic[id(region)] = any(
                home[target] is region and ranks[target] <= ranks[number]
                for number in region.ranked
                for _, target in self.regions.iterate_onward(number)
            )
        return self._cyclic[id(region)]
