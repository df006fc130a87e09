"""The files of a new project, as `orchestrator init` writes them. `NAME` becomes the name of its Python module."""

ACTIONS = '''"""Actions of this project: each is a function that nodes of type `action` call by its name."""

from orchestrator.actions import ActionFailed, action


@action("NAME.greet")
def greet(name: str) -> dict[str, str]:
    """Greet someone by name."""
    if not name.strip():
        raise ActionFailed("the name is empty", recoverable=False)
    return {"text": f"Hello {name}!"}
'''
ACTION_TESTS = '''"""An action stays a function: its test calls it. Run with `python -m unittest`."""

import unittest

from NAME import greet
from orchestrator.actions import ActionFailed


class Greeting(unittest.TestCase):
    def test_someone_is_greeted_by_name(self) -> None:
        self.assertEqual(greet("Ada"), {"text": "Hello Ada!"})

    def test_an_empty_name_is_refused(self) -> None:
        with self.assertRaises(ActionFailed):
            greet(" ")
'''
WORKFLOW = """id: greeting
name: Greeting
description: Greets someone, if there is a name.
trigger: {type: manual}
nodes:
  - id: has_name
    type: condition
    condition: {field: input.name, operator: is_not_empty}
  - {id: greet, type: action, action: NAME.greet, config: {name: "{{ input.name | trim }}"}}
  - {id: done, type: end, config: {output: "{{ steps.greet.output.text }}"}}
  - {id: nobody, type: end, config: {output: Nobody is here.}}
edges:
  - {source: trigger, target: has_name}
  - {source: has_name, target: greet, condition: "true"}
  - {source: has_name, target: nobody, condition: "false"}
  - {source: greet, target: done}
"""
WORKFLOW_TESTS = """# Cases of greeting.yaml: `orchestrator test workflows/greeting.yaml`
- name: someone is greeted
  input: {name: " Ada "}
  actions:
    NAME.greet: {output: {text: "Hello {{ params.name }}!"}}
  expect:
    output: Hello Ada!
- name: without a name no action is called
  input: {}
  expect:
    output: Nobody is here.
    steps: {greet: null}
"""
PYPROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "PROJECT"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["durable-graphs"]

# Every worker that has this package installed serves its actions.
[project.entry-points."orchestrator.actions"]
NAME = "NAME"

[tool.setuptools]
py-modules = ["NAME"]
"""
CI = """name: workflows
on: [push, pull_request]
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: pip install .
      - run: orchestrator validate workflows --local
      - run: orchestrator test workflows
      - run: python -m unittest
  publish:
    needs: check
    if: github.ref == 'refs/heads/main'
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: pip install .
      - run: orchestrator workflows push workflows --activate
        env:
          ORCHESTRATOR_API_URL: ${{ vars.ORCHESTRATOR_API_URL }}
          ORCHESTRATOR_API_KEY: ${{ secrets.ORCHESTRATOR_API_KEY }}
"""
FILES = {
    "NAME.py": ACTIONS,
    "test_NAME.py": ACTION_TESTS,
    "workflows/greeting.yaml": WORKFLOW,
    "workflows/greeting.tests.yaml": WORKFLOW_TESTS,
    "pyproject.toml": PYPROJECT,
    ".env": "# Settings of commands in this folder. The module is found here without being installed.\n"
    "ORCHESTRATOR_ACTION_MODULES=NAME\n",
    ".gitignore": ".env\n.orchestrator/\n.venv/\n__pycache__/\n*.egg-info/\n",
    ".github/workflows/workflows.yml": CI,
}
"""Content by path; both may hold `NAME`, the content `PROJECT` too."""
