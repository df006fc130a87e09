"""The only place that judges a definition: a Plan, or every problem it has (SPEC §8)."""

from orchestrator.planner.planner import check, check_input, plan
from orchestrator.planner.verdict import Verdict

__all__ = ["Verdict", "check", "check_input", "plan"]
