"""What an activity is sent is a contract with workers in other languages: docs/actions.md has its bytes."""

import json
import re
from pathlib import Path
from typing import Any

from orchestrator.model.activity_input import ActivityInput

PAGE = Path(__file__).parents[2] / "docs" / "actions.md"


def read_documented_input() -> dict[str, Any]:
    section = PAGE.read_text().partition("## Workers in other languages")[2]
    block = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert block is not None
    document: dict[str, Any] = json.loads(block[1])
    return document


def test_the_documented_input_is_what_is_sent() -> None:
    documented = read_documented_input()

    sent = ActivityInput.from_json(documented).to_json()

    assert json.dumps(sent) == json.dumps(documented)


def test_a_call_without_secrets_names_none_and_always_its_customer() -> None:
    """An empty customer meant the default one, so that everything that reads it had to know."""
    call = ActivityInput({"a": 1}, run_id="r", workflow_id="w", node_id="n", idempotency_key="k")
    context = {"run_id": "r", "workflow_id": "w", "customer_id": "default", "node_id": "n", "idempotency_key": "k"}

    assert json.dumps(call.to_json()) == json.dumps({"parameters": {"a": 1}, "context": context})


def test_whatever_an_input_lacks_is_empty() -> None:
    assert ActivityInput.from_json({}) == ActivityInput({}, "", "", "", "")
