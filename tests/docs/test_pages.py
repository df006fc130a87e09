"""The pages that are written from the code say what the code says now, and leave nothing out."""

import asyncio
import json
import re
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from activities import load_builtin_registry
from activities.registry import ActionContext
from docs.pages import actions, definition, settings
from orchestrator.errors import ProblemCode
from orchestrator.model.definition import NODE_TYPES
from orchestrator.planner.editor_schema import build_editor_schema
from orchestrator.planner.planner import check
from orchestrator.planner.problem_codes import CODES
from orchestrator.planner.trigger_checks import CONFIG_KEYS
from orchestrator.settings import Settings
from orchestrator.timing.schedule import OVERLAPS

DOCS = Path("docs")
PAGES = {
    "definition.md": definition.generate_page,
    "actions.md": actions.generate_page,
    "settings.md": settings.generate_page,
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_writes(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name]()


def test_the_schema_file_is_what_the_code_writes() -> None:
    schema = build_editor_schema(load_builtin_registry().describe())

    assert json.loads((DOCS / "definition.schema.json").read_text()) == schema


def test_every_node_type_action_setting_and_code_is_documented() -> None:
    text = {name: (DOCS / name).read_text() for name in PAGES}

    assert [name for name in NODE_TYPES if f"### {name}\n" not in text["definition.md"]] == []
    assert [key for key in CONFIG_KEYS["schedule"] if f"\n| `{key}` |" not in text["definition.md"]] == []
    assert [name for name in OVERLAPS if f"\n| `{name}` |" not in text["definition.md"]] == []
    assert [code for code in CODES if f"| `{code}` |" not in text["definition.md"]] == []
    assert [name for name in load_builtin_registry().list_names() if f"### {name}\n" not in text["actions.md"]] == []
    assert [name for name in Settings.model_fields if name.upper() not in text["settings.md"]] == []


def test_every_code_that_can_be_reported_is_in_the_table() -> None:
    assert list(CODES) == list(get_args(ProblemCode))


def test_examples_of_the_page_are_valid_nodes() -> None:
    assert check(definition.SMALLEST, registry=load_builtin_registry()).problems == []
    for name, node in definition.EXAMPLES.items():
        others = [
            {"id": i, "type": "set", "config": {"id": 1}}
            for i in ("review", "pay", "reserve", "mail", "invoice", "archive")
        ]
        provision = {"id": "provision", **definition.SMALLEST}
        made = {
            "name": name,
            "trigger": {"type": "manual"},
            "nodes": [node, *others],
            "edges": [{"source": "trigger", "target": node["id"]}] if name != "trigger" else [],
        }
        verdict = check(made, registry=load_builtin_registry(), workflows={"provision": provision})

        assert [problem for problem in verdict.problems if problem.severity == "error"] == []


def test_the_action_of_the_page_works() -> None:
    module = ModuleType("own")
    sources = re.findall(r"```python\n(.*?)```", (DOCS / "actions.md").read_text(), re.DOTALL)
    source = next(each for each in sources if "BaseModel" in each)
    exec(compile(source, "own", "exec"), vars(module))
    spec = module.charge.__orchestrator_action__
    context = ActionContext("r", "w", "c", "n", 1, "key")

    result = asyncio.run(spec.function(module.Charge(customer="a", cents=5), context))

    assert result.charge_id == "ch_key"
