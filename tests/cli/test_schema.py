"""`schema --actions`, and services that read what it writes."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from tests.cli.commands import invoke
from tests.cli.support import write_nodes

OWN = """
from pydantic import BaseModel
from activities.registry import action

class Size(BaseModel):
    size: int

@action("gpu.train", timeout_seconds=60)
async def train(parameters: Size) -> None:
    '''Train a model.'''
"""


def test_what_one_environment_describes_another_one_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpu_actions.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    written = invoke("schema", "--actions", env={"ORCHESTRATOR_ACTION_MODULES": "gpu_actions"})
    file = tmp_path / "actions.json"
    file.write_text(written.stdout)
    env = {"ORCHESTRATOR_ACTION_SCHEMAS": str(file)}
    train = {"id": "a", "type": "action", "action": "gpu.train"}
    right = invoke("validate", str(write_nodes(tmp_path, {**train, "config": {"size": 3}})), env=env)
    wrong = invoke("validate", str(write_nodes(tmp_path, {**train, "config": {"size": "big"}})), env=env)
    without = invoke("validate", str(write_nodes(tmp_path, train)))

    assert [each["name"] for each in json.loads(written.stdout)] == ["gpu.train"]
    assert "gpu.train\tTrain a model." in invoke("actions", "list", env=env).stdout
    assert right.exit_code == 0, right.output
    assert "`size` of gpu.train must be a whole number, not text" in wrong.stdout
    assert "there is no action 'gpu.train'" in without.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "/ must be a list"),
        ('[{"name": "a", "sort": 1}]', "/0/sort"),
        ('[{"name": "a"}, {"name": "a"}]', "action 'a' is described twice"),
        ('[{"name": "a", "parameters": {"type": "text"}}]', "/0/parameters/type"),
        ("[", "named in ORCHESTRATOR_ACTION_SCHEMAS"),
    ],
)
def test_a_mistake_in_a_file_of_descriptions_names_its_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "actions.json"
    file.write_text(text)
    done = invoke("actions", "list", env={"ORCHESTRATOR_ACTION_SCHEMAS": str(file)})

    assert (done.exit_code, message in done.stderr, str(file) in done.stderr) == (2, True, True), done.stderr


def test_the_schema_of_definitions_has_own_actions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpu_actions_for_editors.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    printed = json.loads(invoke("schema", env={"ORCHESTRATOR_ACTION_MODULES": "gpu_actions_for_editors"}).stdout)
    train = {"id": "a", "type": "action", "action": "gpu.train", "config": {"size": "big"}}
    definition = {
        "name": "Train",
        "trigger": {"type": "manual"},
        "nodes": [train],
        "edges": [{"source": "trigger", "target": "a"}],
    }
    editor = Draft7Validator(printed)

    assert [list(each.absolute_path) for each in editor.iter_errors(definition)] == [["nodes", 0, "config", "size"]]
    train["config"] = {"size": 3}
    assert editor.is_valid(definition)
