"""The result of planning: a plan, or problems."""

from dataclasses import dataclass, field

from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.model.plan import Plan
from orchestrator.planner.data_flow.types import ANY, Type


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of planning a definition."""

    plan: Plan | None
    """`None` when there is an error."""
    problems: list[Problem]
    """All problems, errors first. A plan may come with warnings."""
    output: Type = field(default=ANY, compare=False)
    """What a run returns, where it is known: for a workflow that is called."""

    def require(self, *, strict: bool = False) -> Plan:
        """Return the plan; raises DefinitionInvalid if there is none, or if `strict` and there are warnings."""
        if self.plan is None or (strict and self.problems):
            raise DefinitionInvalid(self.problems)
        return self.plan
