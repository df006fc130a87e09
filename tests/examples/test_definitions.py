"""The definitions in `examples/` keep to the contract's keys and come with input, mocks and a golden case."""

import json
from pathlib import Path

import pytest
import yaml

from orchestrator.planner.planner import check
from tests.example_files import EXAMPLES, load_example
from tests.golden import CASES

WORKFLOW_KEYS = {
    *("id", "name", "description", "status", "version", "trigger", "nodes", "edges"),
    *("variables", "settings"),
}
EDGE_KEYS = {"id", "source", "target", "label", "condition"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_uses_the_contracts_keys(path: Path) -> None:
    definition = load_example(path)

    assert definition.keys() == WORKFLOW_KEYS
    assert definition["id"] == path.stem
    assert all(edge.keys() <= EDGE_KEYS for edge in definition["edges"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid(path: Path) -> None:
    workflows = {other.stem: load_example(other) for other in EXAMPLES}

    assert check(load_example(path), workflows=workflows).problems == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_input_and_mocks(path: Path) -> None:
    assert json.loads(path.with_suffix(".input.json").read_text())
    assert yaml.safe_load(path.with_suffix(".actions.yaml").read_text())


def test_every_example_has_a_golden_case() -> None:
    cases = yaml.safe_load((CASES / "examples.yaml").read_text())

    assert {case["definition_file"] for case in cases} == {f"examples/{path.name}" for path in EXAMPLES}
