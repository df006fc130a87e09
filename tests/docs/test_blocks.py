"""The JSON and YAML of the documentation is what it says it is."""

import re
from pathlib import Path
from typing import Any

import pytest

from activities import load_builtin_registry
from orchestrator.cli.mocks import check_mocks
from orchestrator.cli.test import read_cases
from orchestrator.jsontools.documents import parse_document
from orchestrator.language.condition_reader import find_problems
from orchestrator.model.definition import NODE_TYPES, TRIGGER_TYPES
from orchestrator.planner.planner import check
from tests.docs.blocks import Block, list_pages, read_blocks

DATA = [block for page in list_pages() for block in read_blocks(page) if block.language in ("json", "yaml")]
OWN_ACTION = "there is no action 'greetings.greet'"
"""The example of docs/actions.md; tests/docs/test_action_project.py has it."""
DEFINITION = {
    "name": "page",
    "trigger": {"type": "manual"},
    "nodes": [{"id": "only", "type": "set", "config": {"x": 1}}],
    "edges": [{"source": "trigger", "target": "only"}],
}


def read_value(block: Block) -> Any:
    return parse_document(block.text, f"{block.name}.{block.language}").value


def list_errors(definition: dict[str, Any]) -> list[str]:
    problems = check(definition, registry=load_builtin_registry()).problems
    errors = [problem for problem in problems if problem.severity == "error"]
    return [f"{each.path}: {each.message}" for each in errors if OWN_ACTION not in each.message]


@pytest.mark.parametrize("block", DATA, ids=lambda block: block.name)
def test_a_block_can_be_read_and_is_valid(block: Block, tmp_path: Path) -> None:
    """Nodes are checked by tests/docs/test_pages.py, with the nodes that they lead to."""
    value = read_value(block)

    if isinstance(value, list) and any("expect" in each for each in value):
        (tmp_path / "page.tests.yaml").write_text(block.text)
        for name in re.findall(r"[\w.]+\.(?:json|yaml)\b", block.text):  # the files that the cases name
            (tmp_path / name).write_text("{}")
        read_cases(str(tmp_path / "page.yaml"))
    if not isinstance(value, dict):
        return
    if "nodes" in value:
        assert list_errors(value) == []
    elif value.keys() & set(load_builtin_registry().list_names()):
        check_mocks(value, block.name)
    elif value.get("type") in TRIGGER_TYPES and value["type"] not in NODE_TYPES:
        assert list_errors(DEFINITION | {"trigger": value}) == []
    elif {"field", "conditions", "condition"} & value.keys() and "id" not in value:
        assert find_problems(value, "") == []


def test_the_tutorial_and_how_tos_have_whole_definitions() -> None:
    whole = {block.page for block in DATA if isinstance(value := read_value(block), dict) and "nodes" in value}

    assert {"README.md", "docs/tutorial.md", "docs/how-to/approve.md", "docs/how-to/webhooks.md"} <= whole
