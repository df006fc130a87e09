"""The description of the API is complete, and true for any request."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from schemathesis.specs.openapi.definitions import OPENAPI_31

from api.app import PREFIX, create_app
from api.description import name_component
from api.examples import RESPONSES
from orchestrator.model.definition import build_definition_schema
from orchestrator.service.services import Services
from tests.api.support import serve_api
from tests.scale import scale
from tests.temporal.world import World

pytestmark = pytest.mark.temporal
CONFIG = Path(__file__).with_name("schemathesis.toml")
SECONDS = scale(20)


@pytest.fixture(scope="module")
def openapi(services: Services) -> dict[str, Any]:
    return create_app(services).openapi()


def list_operations(openapi: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, each) for path, methods in openapi["paths"].items() for method, each in methods.items()]


def test_operations_have_unique_ids(openapi: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in list_operations(openapi)]

    assert len(set(ids)) == len(ids)
    assert len(ids) > 40


def test_operations_have_a_summary_and_a_description(openapi: dict[str, Any]) -> None:
    lacking = [
        (method, path)
        for path, method, operation in list_operations(openapi)
        if not (operation.get("summary") and operation.get("description"))
    ]

    assert lacking == []


def test_operations_describe_their_errors_as_problems(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    for path, method, operation in list_operations(openapi):
        if not path.startswith(PREFIX):
            continue
        refused = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"401", "503"} <= set(refused), (method, path)
        for answer in refused.values() if method != "head" else ():
            ((media_type, content),) = answer["content"].items()
            assert media_type == "application/problem+json"
            assert content["schema"]["$ref"].rpartition("/")[2] in schemas


def test_answers_to_head_have_no_content(openapi: dict[str, Any]) -> None:
    """Generated clients parsed the empty body as JSON."""
    answers = [
        answer
        for _, method, operation in list_operations(openapi)
        for answer in operation["responses"].values()
        if method == "head"
    ]

    assert [each for each in answers if "content" in each] == []
    assert answers


def test_operations_show_an_example_of_their_body(openapi: dict[str, Any]) -> None:
    for path, method, operation in list_operations(openapi):
        if method in ("post", "put") and "requestBody" in operation and "/hooks/" not in path:
            content = operation["requestBody"]["content"]["application/json"]
            assert has_example(content, openapi["components"]["schemas"]), (method, path)


def has_example(part: Any, known: dict[str, Any]) -> bool:
    """Return whether there is an example: beside the schema, in it, in a referenced schema, or for one of its keys."""
    found: set[str] = set()

    def search(part: Any) -> bool:
        if isinstance(part, list):
            return any(map(search, part))
        if not isinstance(part, dict):
            return False
        if part.get("examples"):
            return True
        name = part.get("$ref", "").rpartition("/")[2]
        if name and name not in found:
            found.add(name)
            return search(known[name])
        properties = list(part.get("properties", {}).values())
        return any(search(part.get(key)) for key in ("schema", "anyOf", "oneOf", "allOf", "items")) or search(
            properties
        )

    return search(part)


def test_the_check_finds_a_body_without_an_example() -> None:
    known = {"Plain": {"properties": {"reason": {"type": "string"}}}, "Own": {"properties": {"examples": {}}}}

    for name in known:
        assert not has_example(
            {"schema": {"anyOf": [{"$ref": f"#/components/schemas/{name}"}, {"type": "null"}]}}, known
        )


@pytest.mark.parametrize("model", RESPONSES, ids=name_component)
def test_the_example_of_a_response_is_valid(model: type[BaseModel], services: Services) -> None:
    description = create_app(services).openapi()
    schemas = description["components"]["schemas"]
    (example,) = schemas[name_component(model)]["examples"]

    assert model.model_validate(example).model_dump(mode="json") == example
    schema = {"$ref": f"#/components/schemas/{name_component(model)}", "components": {"schemas": schemas}}
    assert [error.message for error in Draft202012Validator(schema).iter_errors(example)] == []


def test_main_answers_have_examples(services: Services) -> None:
    description = create_app(services).openapi()
    operations = {each["operationId"]: each for path in description["paths"].values() for each in path.values()}
    wanted = {
        "getRun": "200", "startRun": "202", "runDefinition": "202", "rerunRun": "202", "listRuns": "200",
        "createWorkflow": "201", "getWorkflow": "200", "listWorkflows": "200", "getSchedule": "200",
        "sendEventToWorkflows": "202", "listDeliveries": "200",
    }  # fmt: skip

    for name, status in wanted.items():
        content = operations[name]["responses"][status]["content"]["application/json"]
        assert has_example(content, description["components"]["schemas"]), name


def test_the_description_is_openapi_3_1(services: Services) -> None:
    description = create_app(services).openapi()

    problems = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(OPENAPI_31).iter_errors(description)
    ]
    assert problems == []
    for schema in description["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    known = {f"#/components/schemas/{name}" for name in description["components"]["schemas"]}
    assert {each for each in iterate_names(description) if each.startswith("#/components/schemas/")} <= known


def iterate_names(part: Any) -> Iterator[str]:
    """Yield every reference; one beside other keywords of a schema would be ambiguous."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
            assert not part.keys() & {"anyOf", "oneOf", "type"}, part
        part = list(part.values())
    for each in part if isinstance(part, list) else ():
        yield from iterate_names(each)


def test_a_client_can_be_generated_with_typed_requests_and_responses(services: Services) -> None:
    description = create_app(services).openapi()
    operations = {each["operationId"]: each for path in description["paths"].values() for each in path.values()}
    schemas = description["components"]["schemas"]

    for name in ("createWorkflow", "saveWorkflow", "validateWorkflow"):
        content = operations[name]["requestBody"]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Definition"}
    assert schemas["Definition"]["properties"].keys() == build_definition_schema()["properties"].keys()
    for name in ("startRun", "runDefinition", "rerunRun"):
        content = operations[name]["responses"]["202"]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/RunStarted"}
    for name in ("createWorkflow", "saveWorkflow", "validateWorkflow", "validateWorkflows", "runDefinition"):
        bodies = operations[name]["requestBody"]["content"]
        assert bodies["application/yaml"]["schema"] == bodies["application/json"]["schema"]
    (stream,) = operations["streamRun"]["responses"]["200"]["content"].values()
    assert (list(stream), stream["schema"]["type"]) == (["schema"], "string")
    for name in ("RunEvent", "StepEvent", "SignalEvent"):
        assert f"`{name}`" in stream["schema"]["description"]
        assert schemas[name]["properties"]


@pytest.mark.slow
async def test_schemathesis_finds_nothing(world: World, tmp_path: Path) -> None:
    async with serve_api(world, tmp_path) as (services, address):
        _, key = await services.keys.create("acme", "schemathesis", ("read", "run", "edit"))
        process = await asyncio.create_subprocess_exec(
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG),
            *("run", f"{address}{PREFIX}/openapi.json", "--header", f"Authorization: Bearer {key}"),
            *("--generation-deterministic", "--request-timeout", "120"),
            *("--max-time", str(SECONDS), "--no-color"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS + 300)

    assert process.returncode == 0, output.decode()[-8000:]


def iterate_parts(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of a document with its path."""
    if isinstance(value, dict):
        yield path, value
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from iterate_parts(each, f"{path}/{key}")


def test_every_property_is_described(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]

    missing = [
        f"{path}/{name}"
        for path, part in iterate_parts(schemas)
        if part.get("type") == "object" and isinstance(part.get("properties"), dict)
        for name, each in part["properties"].items()
        if "description" not in each and "const" not in each
    ]

    assert missing == []


def test_a_default_is_one_of_the_choices(openapi: dict[str, Any]) -> None:
    """A generator of clients left out every operation that takes a definition: its defaults were no choices."""
    impossible = [
        path
        for path, part in iterate_parts(openapi)
        if isinstance(part.get("enum"), list) and "default" in part and part["default"] not in part["enum"]
    ]

    assert impossible == []
