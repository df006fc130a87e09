"""Plan a definition: the only package that decides whether one is valid (SPEC §8)."""

from orchestrator.planner.planner import check, check_input, plan
from orchestrator.planner.verdict import Verdict

__all__ = ["Verdict", "check", "check_input", "plan"]
