"""The result of planning: a plan or its problems."""

from dataclasses import dataclass

from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the planner says."""

    plan: Plan | None
    """`None` when there is an error."""
    problems: list[Problem]
    """All of them, errors first; warnings too where there is a plan."""

    def require(self) -> Plan:
        """Give the plan; raises DefinitionInvalid."""
        if self.plan is None:
            raise DefinitionInvalid(self.problems)
        return self.plan
