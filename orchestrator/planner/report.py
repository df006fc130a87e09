"""Collects problems, and says what was likely meant."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.errors import Problem, ProblemCode
from orchestrator.jsontools.suggestions import did_you_mean

MAX_PROBLEMS = 1_000
"""A definition with more is beyond reading; the last one says so."""
MAX_SUGGESTIONS = 200


@dataclass(slots=True)
class Report:
    """The problems found so far."""

    problems: list[Problem] = field(default_factory=list)
    suggestions: int = 0
    """Hints that were looked for among many words."""
    unreadable_paths: list[str] = field(default_factory=list)
    """Places that could not be read: nothing more is said of them."""

    def add_error(self, code: ProblemCode, path: str, message: str, hint: str | None = None) -> None:
        """Note what makes the definition unusable."""
        self.problems.append(Problem("error", code, path, message, hint))

    def add_warning(self, code: ProblemCode, path: str, message: str, hint: str | None = None) -> None:
        """Note what is doubtful."""
        self.problems.append(Problem("warning", code, path, message, hint))

    def suggest(self, name: object, known: Iterable[str]) -> str | None:
        """Give a hint, as long as few were needed: each is looked for among all names of the definition."""
        self.suggestions += 1
        return did_you_mean(name, known) if self.suggestions <= MAX_SUGGESTIONS else None

    def add_wrong_type(self, path: str, message: str) -> None:
        """Note a value of the wrong type."""
        self.unreadable_paths.append(path)
        self.problems.append(Problem("error", "wrong_type", path, message))

    def list_problems(self) -> list[Problem]:
        """Give all problems once, errors first, without those that only follow from a value of the wrong type."""
        unique = dict.fromkeys(
            problem for problem in self.problems if problem.code == "wrong_type" or not self._follows(problem)
        )
        listed = sorted(unique, key=lambda problem: problem.severity)
        if len(listed) <= MAX_PROBLEMS:
            return listed
        more = len(listed) - MAX_PROBLEMS
        return [
            *listed[:MAX_PROBLEMS],
            Problem("error", "too_many_problems", "", f"and {more} more problems"),
        ]

    def _follows(self, problem: Problem) -> bool:
        return any(problem.path == path or problem.path.startswith(f"{path}/") for path in self.unreadable_paths)

    @property
    def failed(self) -> bool:
        """Tell whether there is an error."""
        return any(problem.severity == "error" for problem in self.problems)
