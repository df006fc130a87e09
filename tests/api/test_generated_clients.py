"""Clients generated from the description of the API call every operation of a real one."""

import asyncio
import contextlib
import importlib
import inspect
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import httpx
import pytest

from api.app import PREFIX
from tests.api.clients.calls import CALLS, Call
from tests.api.support import CLIENT_SECONDS, serve_api
from tests.temporal.world import World

pytestmark = [pytest.mark.temporal, pytest.mark.slow, pytest.mark.long, pytest.mark.process]
FILES = Path(__file__).with_name("clients")
SECONDS = 300
"""For one program: the generators and compilers of a loaded machine."""
DEADLINE_SECONDS = 150
TYPESCRIPT = ("calls.ts", "package.json", "package-lock.json", "tsconfig.json")


async def run_program(*line: object, folder: Path) -> str:
    """Run a program and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *map(str, line), cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, output.decode()[-8000:]
    return output.decode()


@pytest.fixture(scope="module")
async def address(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, str]]:
    """The address of an API, and the key of its administrator."""
    async with serve_api(world, tmp_path_factory.mktemp("served")) as (services, url):
        _, key = await services.keys.create(None, "clients", ("admin",))
        yield url, key


@pytest.fixture(scope="module")
async def description(address: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the description, as a user downloads it."""
    url, key = address
    file = tmp_path_factory.mktemp("description") / "openapi.json"
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=CLIENT_SECONDS) as client:
        file.write_bytes((await client.get(f"{url}{PREFIX}/openapi.json")).raise_for_status().content)
    return file


def list_operations(description: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return `METHOD /path` and the description of each operation."""
    paths = json.loads(description.read_text())["paths"]
    return {
        operation["operationId"]: (f"{method.upper()} {path}", operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


@pytest.fixture(scope="module")
async def python_client(description: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a generated client, and what the generator printed. It has an environment of its own.

    Its requirements do not go with ours: it needs an older typer.
    """
    folder = tmp_path_factory.mktemp("python")
    await run_program(sys.executable, "-m", "venv", "venv", folder=folder)
    python = folder / "venv" / "bin" / "python"
    await run_program(
        *(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", FILES / "python.lock"), folder=folder
    )
    (folder / "config.yaml").write_text("post_hooks: []")
    printed = await run_program(
        *(folder / "venv" / "bin" / "openapi-python-client", "generate", "--path", description, "--meta", "none"),
        *("--output-path", folder / "generated_client", "--config", folder / "config.yaml"),
        folder=folder,
    )
    return folder, printed


def test_the_python_generator_leaves_nothing_out_but_yaml(python_client: tuple[Path, str], description: Path) -> None:
    folder, printed = python_client
    warnings = [line for line in printed.splitlines() if line.startswith(("WARNING", "ERROR", "Unsupported"))]
    unsupported = [line for line in warnings if line == "Unsupported content type application/yaml"]
    modules = [file for file in (folder / "generated_client" / "api").rglob("*.py") if file.stem != "__init__"]

    assert len(warnings) == 2 * len(unsupported), printed
    assert len(modules) == len(list_operations(description))


@contextmanager
def import_from(folder: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("generated_client")
    finally:
        sys.path.remove(str(folder))


def find_module(package: ModuleType, operation: str) -> ModuleType:
    """Return the module of an operation: `api/<tag>/<operation in snake case>.py`."""
    name = "".join(f"_{each.lower()}" if each.isupper() else each for each in operation)
    (file,) = Path(str(package.__file__)).parent.glob(f"api/*/{name}.py")
    return importlib.import_module(f"{package.__name__}.api.{file.parent.name}.{name}")


def make_body(module: ModuleType, value: Any) -> Any:
    """Return a body as the model that the operation takes."""
    annotation = inspect.signature(module.asyncio_detailed).parameters["body"].annotation
    models = [each for each in (annotation, *get_args(annotation)) if hasattr(each, "from_dict")]
    return read_with_first(models, value) if models else value


def read_with_first(models: list[Any], value: Any) -> Any:
    """Return a body as the first model that takes it: of a union, the one with its `kind`."""
    for model in models[:-1]:
        with contextlib.suppress(ValueError, KeyError):
            return model.from_dict(value)
    return models[-1].from_dict(value)


async def send(module: ModuleType, client: Any, call: Call, kept: dict[str, str]) -> Any:
    """Send a request and return the answer, which must be a success."""
    arguments = {
        name: kept[value[1:]] if isinstance(value, str) and value.startswith("$") else value
        for name, value in call.arguments.items()
    }
    if call.body is not None:
        arguments["body"] = make_body(module, call.body)
    answer = await module.asyncio_detailed(client=client, **arguments)
    assert answer.status_code < 400, (call, answer.content)
    return answer


async def test_a_generated_python_client_calls_every_operation(
    python_client: tuple[Path, str], description: Path, address: tuple[str, str]
) -> None:
    kept: dict[str, str] = {}
    operations = list_operations(description)
    with import_from(python_client[0]) as package:
        url, key = address
        async with package.AuthenticatedClient(
            base_url=url, token=key, timeout=httpx.Timeout(CLIENT_SECONDS)
        ) as client:
            for call in CALLS:
                module = find_module(package, call.operation)
                answer = await send(module, client, call, kept)
                async with asyncio.timeout(DEADLINE_SECONDS):
                    while call.until is not None and answer.parsed.status != call.until:
                        await asyncio.sleep(0.05)
                        answer = await send(module, client, call, kept)
                (_, operation) = operations[call.operation]
                content = operation["responses"][str(int(answer.status_code))].get("content", {})
                is_described = bool(content.get("application/json", {}).get("schema"))
                assert answer.parsed is not None or not is_described, (call, answer)
                if call.keeps is not None:
                    kept[call.keeps] = answer.parsed.id

    assert {call.operation for call in CALLS} == operations.keys()


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js and npm are not installed")
async def test_a_generated_typescript_client_calls_every_operation(
    description: Path, address: tuple[str, str], tmp_path: Path
) -> None:
    """It is compiled with strict types, so that what is missing in the description is an error before any call."""
    for name in TYPESCRIPT:
        shutil.copy(FILES / name, tmp_path)
    modules = tmp_path / "node_modules"
    await run_program("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=tmp_path)
    # Without the option, keys with a default must be written in requests.
    generator = modules / "openapi-typescript" / "bin" / "cli.js"
    await run_program(
        *("node", generator, description, "--default-non-nullable=false", "-o", "schema.d.ts"), folder=tmp_path
    )
    await run_program("node", modules / "typescript" / "bin" / "tsc", "-p", ".", folder=tmp_path)
    printed = await run_program("node", tmp_path / "build" / "calls.js", *address, folder=tmp_path)

    assert sorted(json.loads(printed)) == sorted(name for name, _ in list_operations(description).values())
