"""Draw Mermaid text as SVG, without a browser."""

import asyncio
import sys

import mmdr

from orchestrator.errors import OperationRefused

# A process: the renderer holds the interpreter's lock for as long as it thinks, in a thread too.
COMMAND = (sys.executable, "-I", "-X", "utf8", "-m", mmdr.__name__)
MAX_LINES = 2_000
"""Of the text; the renderer gives up at about a thousand, after more and more time."""
MAX_CHARACTERS = 200_000
TIMEOUT_SECONDS = 20.0
MAX_CONCURRENT = 2
"""Pictures that are made at the same time; others wait."""
_slots = asyncio.Semaphore(MAX_CONCURRENT)


async def draw_svg(text: str) -> str:
    """Give the picture; raises OperationRefused for a graph that is too large to be laid out."""
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
        raise _make_refusal(f"it takes more than {TIMEOUT_SECONDS:g} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _make_refusal(message.decode(errors="replace").removeprefix("mmdr: ").strip()[-300:])
    return picture.decode()


def _make_refusal(why: str) -> OperationRefused:
    return OperationRefused(f"the graph cannot be drawn as a picture: {why}", hint="ask for it as mermaid or as json")
