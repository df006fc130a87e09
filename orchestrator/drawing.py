"""Draw Mermaid text as SVG, without a browser."""

import asyncio

import mmdr

from orchestrator.errors import OperationRefused


async def svg(text: str) -> str:
    """Give the picture; raises OperationRefused for a graph that is too large to be laid out."""
    try:
        return str(await asyncio.to_thread(mmdr.render(text).svg))
    except ValueError as error:
        raise OperationRefused(
            f"the graph cannot be drawn as a picture: {error}", hint="ask for it as mermaid or as json"
        ) from error
