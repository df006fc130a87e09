"""Collect the problems of a definition."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from orchestrator.errors import Problem, ProblemCode
from orchestrator.jsontools.suggestions import did_you_mean, find_closest, join_names

MAX_PROBLEMS = 1_000
"""Problems in one answer; the last one says how many are left out."""
MAX_SUGGESTIONS = 200
"""Suggestions in one report: each compares a name with all ids of the definition."""
MAX_COMPARISONS = 1_000
"""Unknown keys in one report that are compared with the known ones: each comparison takes 0.1 ms."""


@dataclass(slots=True)
class Report:
    """The problems collected so far."""

    problems: list[Problem] = field(default_factory=list)
    suggestions: int = 0
    """Suggestions that were looked for among all ids of the definition."""
    comparisons: int = 0
    """Unknown keys that were compared with the known ones."""
    unreadable_paths: list[str] = field(default_factory=list)
    """Values of the wrong type: other problems at or below them only follow from that."""

    def add_error(self, code: ProblemCode, path: str, message: str, hint: str | None = None) -> None:
        """Add a problem that makes the definition unusable."""
        self.problems.append(Problem("error", code, path, message, hint))

    def add_warning(self, code: ProblemCode, path: str, message: str, hint: str | None = None) -> None:
        """Add a likely mistake."""
        self.problems.append(Problem("warning", code, path, message, hint))

    def add_wrong_type(self, path: str, message: str) -> None:
        """Add a value of the wrong type, which is left out of the definition."""
        self.unreadable_paths.append(path)
        self.problems.append(Problem("error", "wrong_type", path, message))

    def suggest(self, name: object, known: Iterable[str]) -> str | None:
        """Return a hint with the closest of all ids of the definition; None after `MAX_SUGGESTIONS`."""
        self.suggestions += 1
        return did_you_mean(name, known) if self.suggestions <= MAX_SUGGESTIONS else None

    def find_closest_key(self, key: str, known: Iterable[str], similarity: float) -> str | None:
        """Return the known key that is most like this one, if any is; None after `MAX_COMPARISONS`."""
        self.comparisons += 1
        return find_closest(key, known, similarity) if self.comparisons <= MAX_COMPARISONS else None

    def list_problems(self) -> list[Problem]:
        """Return each problem once, errors first, without those that follow from a value of the wrong type."""
        unreadable = set(self.unreadable_paths)
        unique = dict.fromkeys(
            problem for problem in self.problems if problem.code == "wrong_type" or not _follows(problem, unreadable)
        )
        listed = sorted(unique, key=lambda problem: problem.severity)
        if len(listed) <= MAX_PROBLEMS:
            return listed
        more = len(listed) - MAX_PROBLEMS
        return [
            *listed[:MAX_PROBLEMS],
            Problem("error", "too_many_problems", "", f"and {more} more problems"),
        ]

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(problem.severity == "error" for problem in self.problems)


def suggest_choice(name: object, choices: Collection[str]) -> str:
    """Return a hint with the closest of a few choices, or with all of them."""
    return did_you_mean(name, choices) or f"use one of: {join_names(choices)}"


def _follows(problem: Problem, unreadable: Collection[str]) -> bool:
    """Return whether a problem lies at or below a value of the wrong type."""
    path = problem.path
    return bool(unreadable) and (
        path in unreadable or any(path[:at] in unreadable for at, letter in enumerate(path) if letter == "/")
    )
