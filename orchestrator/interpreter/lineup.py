"""Let the paths of a run that was read from its state take their places before any continues. Replay-sensitive.

Each path first comes back to where it stood: a wait, a delay or a node boundary. Else a path that ends at once could
cancel another one that has not begun again, and a wait that was first in line for an event could come second.
"""

import asyncio
import sys

LAST = sys.maxsize
"""The turn of what does not wait for an event."""


class Lineup:
    """Holds paths until all have come."""

    def __init__(self, *, is_open: bool) -> None:
        self.is_open = is_open
        """Nothing is held any longer."""
        self._places: list[tuple[int, asyncio.Future[None]]] = []

    async def pass_in_turn(self, turn: int = LAST) -> None:
        """Wait until the lineup opens; lower turns go first, equal ones in the order in which they came."""
        if not self.is_open:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._places.append((turn, place))
            await place

    def open(self) -> None:
        """Resume all of them, in turn."""
        self.is_open = True
        for _, place in sorted(self._places, key=lambda entry: entry[0]):
            if not place.done():
                place.set_result(None)
        self._places.clear()
