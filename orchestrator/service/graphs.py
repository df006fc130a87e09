"""Draw graphs of workflows, off the event loop."""

import asyncio
from collections.abc import Mapping
from typing import Any

from orchestrator.drawing.formats import Format, draw
from orchestrator.service.plans import Plans
from orchestrator.temporal.payloads import measure_json

SMALL_BYTES = 20_000
"""Size of a definition up to which it is drawn in a thread: it takes less than 50 ms of processor time."""


class Graphs:
    """Draws definitions; large ones in a process, within its limits of time and memory."""

    def __init__(self, plans: Plans) -> None:
        self.plans = plans

    async def draw(self, customer_id: str, definition: Mapping[str, Any], drawing_format: Format) -> str:
        """Return a definition in a format; an invalid one is drawn as far as possible. Raises TooCostly and Busy."""
        if measure_json(definition) <= SMALL_BYTES:
            return await asyncio.to_thread(draw, definition, drawing_format)
        return await self.plans.call(customer_id, draw, definition, drawing_format)
