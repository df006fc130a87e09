"""Small things that both actions and children need: cancellations counted, ids kept short, room in a task.

Replay-sensitive.
"""

import asyncio


def count_cancellations() -> int:
    """Give how often the current flow has been cancelled."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def pass_on_cancellation(before: int) -> None:
    """Cancel the flow at its next wait when what it awaited has ended on its own all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling() > before:
        task.cancel()
