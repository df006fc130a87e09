"""The description of the API: complete, and true of whatever anybody sends."""

import asyncio
import sys
from pathlib import Path

import pytest

from api.app import PREFIX, create_app
from orchestrator.service.house import House
from tests.api.conftest import opened
from tests.temporal.world import World

pytestmark = pytest.mark.temporal
CONFIG = Path(__file__).with_name("schemathesis.toml")
SECONDS = 60


def test_every_operation_is_described_well_enough_to_make_a_client_from(house: House) -> None:
    description = create_app(house).openapi()
    operations = [
        (path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]

    ids = [operation["operationId"] for _, _, operation in operations]
    assert len(set(ids)) == len(ids)
    assert len(ids) > 40
    known = description["components"]["schemas"]
    for path, method, operation in operations:
        assert operation.get("summary"), (method, path)
        assert operation.get("description"), (method, path)
        refused = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        if path.startswith(PREFIX):
            assert {"401", "503"} <= set(refused), (method, path)
            for answer in refused.values():
                (content,) = answer["content"].items()
                assert content[0] == "application/problem+json"
                assert content[1]["schema"]["$ref"].rpartition("/")[2] in known
        if method in ("post", "put") and "requestBody" in operation and "/hooks/" not in path:
            assert "example" in str(operation["requestBody"]) or "$ref" in str(operation["requestBody"])


@pytest.mark.slow
async def test_schemathesis_finds_nothing(world: World, tmp_path: Path) -> None:
    async with opened(world, tmp_path) as (house, address):
        _, key = await house.keys.create("acme", "schemathesis", ("read", "run", "edit"))
        process = await asyncio.create_subprocess_exec(
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG),
            *("run", f"{address}{PREFIX}/openapi.json", "--header", f"Authorization: Bearer {key}"),
            *("--checks", "all", "--generation-deterministic", "--request-timeout", "30"),
            *("--max-time", str(SECONDS), "--no-color"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await asyncio.wait_for(process.communicate(), 4 * SECONDS)

    assert process.returncode == 0, told.decode()[-8000:]
