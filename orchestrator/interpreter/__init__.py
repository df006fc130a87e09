"""Execute a plan: control flow alone. No Temporal, no I/O, no clock: `Effects` is asked for everything.

What this does with a given plan and history must never change (DESIGN, law 5). Replay-sensitive.
"""

from orchestrator.interpreter.execute import Outcome, execute, execute_branch

__all__ = ["Outcome", "execute", "execute_branch"]
