"""Render Mermaid text as SVG, without a browser."""

import asyncio
import sys

import mmdr

from orchestrator.errors import OperationRefused

# A process: the renderer holds the GIL while it works, so a thread would block the event loop.
COMMAND = (sys.executable, "-I", "-X", "utf8", "-m", mmdr.__name__)
MAX_LINES = 2_000
"""Limit of the text; the renderer itself fails at about a thousand."""
MAX_CHARACTERS = 200_000
TIMEOUT_SECONDS = 20.0
MAX_CONCURRENT = 2
"""Renderers that run at the same time; further requests wait."""
_slots = asyncio.Semaphore(MAX_CONCURRENT)


async def draw_svg(text: str) -> str:
    """Return the SVG; raises OperationRefused for a graph that is too large to lay out."""
    if len(text) > MAX_CHARACTERS or text.count("\n") > MAX_LINES:
        raise _make_refusal("it is too large")
    async with _slots:
        return await _run_renderer(text)


async def _run_renderer(text: str) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*COMMAND, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            picture, message = await process.communicate(text.encode())
    except TimeoutError:
        raise _make_refusal(f"rendering takes more than {TIMEOUT_SECONDS:g} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _make_refusal(message.decode(errors="replace").removeprefix("mmdr: ").strip()[-300:])
    return picture.decode()


def _make_refusal(why: str) -> OperationRefused:
    return OperationRefused(f"cannot render the graph as SVG: {why}", hint="request it as mermaid or json")
