"""The result of planning: a plan, or problems."""

from dataclasses import dataclass

from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of planning a definition."""

    plan: Plan | None
    """`None` when there is an error."""
    problems: list[Problem]
    """All problems, errors first. A plan may come with warnings."""

    def require(self) -> Plan:
        """Return the plan; raises DefinitionInvalid if there is none."""
        if self.plan is None:
            raise DefinitionInvalid(self.problems)
        return self.plan
