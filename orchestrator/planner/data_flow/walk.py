"""Walk the sets of active nodes of one scope, in the order of their ranks (docs/flow.md)."""

import heapq
from collections.abc import Callable

from orchestrator.planner.data_flow.narrowing import join_states
from orchestrator.planner.data_flow.types import Type
from orchestrator.planner.regions import Region, Regions

MAX_ROUNDS = 16
"""Passes through a loop or a cycle until nothing changes; types are at most eight levels deep."""
MAX_EXIT_SETS = 32
"""Sets of nodes outside that the paths of a scope may reach."""

Exits = frozenset[int]


class TooComplex(Exception):
    """The walk has taken too long."""


class Walk:
    """The states of one scope that are still to be walked, by active ranks and nodes reached outside."""

    def __init__(self, regions: Regions, region: Region, spend: Callable[[int], None]) -> None:
        self.regions, self.region, self.spend = regions, region, spend
        self.ranks = {number: at for at, number in enumerate(region.ranked)}
        self.queue: list[tuple[int, int, Exits]] = []
        self.states: dict[tuple[int, Exits], dict[str, Type]] = {}
        self.done: dict[tuple[int, Exits], dict[str, Type]] = {}
        self.ends: dict[Exits, dict[str, Type]] = {}
        self.active = 0
        self.exits: Exits = frozenset()
        self.rounds: dict[tuple[int, Exits], int] = {}
        self.cyclic = any(
            target in self.ranks and self.ranks[target] <= rank
            for number, rank in self.ranks.items()
            for _, target in regions.iterate_onward(number)
        )

    def activate(self, number: int) -> None:
        """Start at an entry of the scope."""
        if number in self.ranks:
            self.active |= 1 << self.ranks[number]
        else:
            self.exits |= {number}

    def push(self, active: int, exits: Exits, state: dict[str, Type]) -> None:
        """Add a state to walk from."""
        if not active:
            self.end(exits, state)
            return
        key = (active, exits)
        self.spend(len(state))
        waiting = self.states.get(key)
        if waiting is not None:
            self.states[key] = dict(join_states([waiting, state]))
            return
        if self.cyclic and key in self.done:
            joined = dict(join_states([self.done[key], state]))
            if joined == self.done[key]:
                return
            self.rounds[key] = self.rounds.get(key, 0) + 1
            if self.rounds[key] > MAX_ROUNDS:
                raise TooComplex
            state = joined
        self.states[key] = state
        heapq.heappush(self.queue, ((active & -active).bit_length() - 1, active, exits))

    def pop(self) -> tuple[int, int, Exits, dict[str, Type]]:
        """Return the node of lowest rank to run next, what else is active, and the state."""
        rank, active, exits = heapq.heappop(self.queue)
        state = self.states.pop((active, exits))
        if self.cyclic:
            self.done[active, exits] = dict(state)
        return self.region.ranked[rank], active & ~(1 << rank), exits, state

    def end(self, exits: Exits, state: dict[str, Type]) -> None:
        """End the scope."""
        known = self.ends.get(exits)
        self.ends[exits] = state if known is None else dict(join_states([known, state]))
        if len(self.ends) > MAX_EXIT_SETS:
            raise TooComplex

    def leave(self, number: int, port: str, active: int, exits: Exits, reached: Exits, state: dict[str, Type]) -> None:
        """Activate what a port leads to."""
        targets = [*self.regions.graph.successors[number].get(port, ()), *reached] if port else []
        for target in targets:
            if target in self.ranks:
                active |= 1 << self.ranks[target]
            elif not self.regions.ends_path(number, target):
                exits |= {target}
        self.push(active, exits, state)
