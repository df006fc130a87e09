"""`actions`: the actions that workflows can use."""

import json
import re

from activities import BUILTIN, load_builtin_registry
from tests.cli.commands import invoke


def test_actions_are_listed_with_descriptions() -> None:
    lines = [line.split("\t") for line in invoke("actions", "list").stdout.splitlines()]

    assert [name for name, _ in lines] == load_builtin_registry().list_names()
    assert all(does.endswith(".") for _, does in lines)


def test_json_lists_actions_with_their_schemas() -> None:
    listed = json.loads(invoke("actions", "list", "--json").stdout)

    assert len(listed) >= len(BUILTIN)
    assert all(entry["parameters"]["type"] == "object" for entry in listed)


def test_an_action_is_shown_with_its_parameters() -> None:
    result = invoke("actions", "show", "http.request")

    assert result.exit_code == 0
    assert re.search(r"^url\tstring\trequired\t", result.stdout, re.MULTILINE)
    assert re.search(r'^method\t.*\t"GET"\t', result.stdout, re.MULTILINE)


def test_a_misspelt_action_gets_a_suggestion() -> None:
    result = invoke("actions", "show", "email.sent")

    assert result.exit_code == 2
    assert result.stderr == "error: unknown action 'email.sent'\nhint: did you mean `email.send`?\n"
