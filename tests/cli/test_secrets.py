"""Secrets on the command line: names and owners, never values."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import InProcess
from tests.cli.shell import Dev
from tests.cli.support import require_success

VALUE = "s3cret-value"
SECRETS = {
    "acme": {"shop_key": {"value": VALUE, "hosts": ["api.shop.example"]}, "known": None},
    "*": {"relay": {"value": VALUE, "actions": ["email.send", "log.message"]}},
}


@pytest.fixture
def command(tmp_path: Path) -> InProcess:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps(SECRETS))
    return InProcess(
        {
            "ORCHESTRATOR_HOME": str(tmp_path),
            "ORCHESTRATOR_SECRETS_FILE": str(path),
            "ORCHESTRATOR_SECRET_CRM_TOKEN": VALUE,
            "ORCHESTRATOR_TASK_QUEUES": '{"gpu": ["acme"]}',
        }
    )


def test_secrets_are_listed_with_their_owners_and_without_their_values(command: InProcess) -> None:
    lines = command("secrets", "list").out.splitlines()
    entries = require_success(command("secrets", "list", "--json", "--customer", "default"))

    assert [line.split("\t") for line in lines] == [
        ["relay", "*", "", "email.send, log.message"],
        ["known", "acme", "", ""],
        ["shop_key", "acme", "api.shop.example", ""],
        ["crm_token", "default", "", ""],
    ]
    assert [(each["name"], each["customer"]) for each in json.loads(entries)] == [
        ("relay", "*"),
        ("crm_token", "default"),
    ]
    assert VALUE not in "".join(lines) + entries


def write_definition(tmp_path: Path, **more: Any) -> str:
    node = {
        "id": "a",
        "type": "action",
        "action": "log.message",
        "config": {"message": "{{ secrets.crm_token }}"},
        "task_queue": "gpu",
    }
    definition = {
        "id": "w",
        "name": "w",
        "trigger": {"type": "manual"},
        "nodes": [node],
        "edges": [{"source": "trigger", "target": "a"}],
    }
    path = tmp_path / "w.json"
    path.write_text(json.dumps(definition | more))
    return str(path)


def test_validate_checks_for_the_customer_of_the_definition(command: InProcess, tmp_path: Path) -> None:
    of_acme = command("validate", write_definition(tmp_path, customer_id="acme"))
    of_nobody = command("validate", write_definition(tmp_path))

    assert of_acme.code == 0
    assert (
        "warning missing_secret: there is no secret 'crm_token': add it under 'acme' to the ORCHESTRATOR_SECRETS_FILE"
    ) in of_acme.out
    assert of_nobody.code == 2
    assert "error bad_task_queue: there is no task queue 'gpu' for this customer" in of_nobody.out
    assert "missing_secret" not in of_nobody.out


@pytest.mark.temporal
def test_activate_warns_like_validate(dev: Dev, tmp_path: Path) -> None:
    command = InProcess(dev.env)
    require_success(command("workflows", "push", write_definition(tmp_path, id="warns-of-a-secret")))

    activated = command("workflows", "activate", "warns-of-a-secret")

    assert activated.code == 0
    assert activated.err.strip() == (
        "/nodes/0/config/message: warning missing_secret: there is no secret 'crm_token': set "
        "ORCHESTRATOR_SECRET_CRM_TOKEN, or add it under 'default' to the ORCHESTRATOR_SECRETS_FILE"
    )


@pytest.mark.temporal
def test_strict_commands_refuse_warnings(dev: Dev, tmp_path: Path) -> None:
    command = InProcess(dev.env)
    path = write_definition(tmp_path, id="strict-about-a-secret")

    pushed = command("workflows", "push", "--activate", "--strict", path)
    require_success(command("workflows", "push", path))
    activated = command("workflows", "activate", "--strict", "strict-about-a-secret")

    assert (pushed.code, activated.code) == (2, 2)
    assert "1 problem, checked by" in pushed.err
    assert "nothing was stored" in pushed.err
    assert "missing_secret" in activated.err + activated.out


def test_a_task_queue_of_temporal_is_refused_at_the_start(command: InProcess, tmp_path: Path) -> None:
    command.env["ORCHESTRATOR_TASK_QUEUES"] = '{"/_sys/orchestrator/1": ["acme"]}'

    refused = command("validate", write_definition(tmp_path))

    assert refused.code == 2
    assert "ORCHESTRATOR_TASK_QUEUES: the task queue '/_sys/orchestrator/1' is reserved for Temporal" in refused.err
