"""A missing secret is told alike wherever it is noticed, and the message says what to set."""

import json
from pathlib import Path

import httpx
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import load_builtin_registry
from activities.resources import Resources
from activities.runtime import run_action
from orchestrator.settings import Settings
from tests.api.support import CLIENT_SECONDS, serve_api
from tests.temporal.world import World, make_definition

pytestmark = pytest.mark.temporal
CALL = {"type": "action", "action": "log.message", "config": {"message": "{{ secrets.crm_token }}"}}


@pytest.mark.parametrize(
    ("customer", "expected"),
    [
        (
            "default",
            "there is no secret 'crm_token': set ORCHESTRATOR_SECRET_CRM_TOKEN,"
            " or add it under 'default' to the ORCHESTRATOR_SECRETS_FILE",
        ),
        ("acme", "there is no secret 'crm_token': add it under 'acme' to the ORCHESTRATOR_SECRETS_FILE"),
    ],
)
async def test_validate_activate_and_the_step_say_the_same(
    world: World, tmp_path: Path, customer: str, expected: str
) -> None:
    # An API that knows no secret at all says nothing: only the workers may have them.
    secrets_file = tmp_path / "secrets.json"
    secrets_file.write_text(json.dumps({"*": {"another": "a value that is long enough"}}))
    definition = make_definition({"call": CALL}, "trigger -> call") | {"id": "needs-a-secret"}
    spec = load_builtin_registry().get("log.message")
    assert spec is not None
    argument = {
        "parameters": {"message": None},
        "context": {"customer_id": customer},
        "secrets": {"/message": [{"secret": "crm_token"}]},
    }

    async with (
        serve_api(world, tmp_path, secrets_file=secrets_file) as (_, address),
        httpx.AsyncClient(
            base_url=f"{address}/api/v1", params={"customer_id": customer}, timeout=CLIENT_SECONDS
        ) as api,
    ):
        validated = (await api.post("/workflows/validate", json=definition)).json()
        created = await api.post("/workflows", json=definition)
        activated = (await api.post("/workflows/needs-a-secret/activate")).json()
    with pytest.raises(ApplicationError) as failed:
        await ActivityEnvironment().run(run_action, spec, argument, Resources(Settings()))

    assert created.status_code == 201, created.text
    assert [each["message"] for each in validated["problems"]] == [expected]
    assert [each["message"] for each in activated["warnings"]] == [expected]
    assert failed.value.message == expected
