"""Names are completed as a shell asks for them."""

from pathlib import Path

import pytest

from tests.cli.commands import InProcess, invoke
from tests.cli.support import require_success, write_definition


def complete(words: str, env: dict[str, str]) -> list[str]:
    """Return what bash is offered after these words."""
    count = len(words.split(" ")) - 1
    asked = {"_ORCHESTRATOR_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    return invoke(env={**env, **asked}).stdout.split()


def test_actions_are_completed() -> None:
    assert complete("orchestrator actions show http", {}) == ["http.request"]


def test_without_an_api_nothing_is_offered(tmp_path: Path) -> None:
    assert complete("orchestrator runs show ", {"ORCHESTRATOR_API_URL": "http://127.0.0.1:1"}) == []


@pytest.mark.temporal
def test_workflows_and_runs_are_completed(command: InProcess, tmp_path: Path) -> None:
    require_success(command("workflows", "push", write_definition(tmp_path, "completed_name")))

    assert complete("orchestrator workflows show completed_n", command.env) == ["completed_name"]
