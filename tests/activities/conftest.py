"""Real servers on loopback for the actions, and a caller that runs one attempt of an action."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import load_builtin_registry
from activities.resources import Resources
from activities.runtime import run_action
from orchestrator.settings import Settings
from tests.postgres import run_postgres
from tests.stream_server import read_http_request, run_stream_server

LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass
class Comparison:
    """A request that the server received."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass
class Web:
    """A small HTTP server: `routes` has the responses by path, `seen` the requests."""

    url: str
    seen: list[Comparison] = field(default_factory=list)
    routes: dict[str, Callable[[Comparison], bytes | Awaitable[bytes]]] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = await read_http_request(reader)
        parts = urlsplit(sent.target)
        request = Comparison(sent.method, parts.path, parse_qs(parts.query), sent.headers, sent.body)
        self.seen.append(request)
        answer = self.routes[parts.path](request)
        writer.write(answer if isinstance(answer, bytes) else await answer)
        await writer.drain()


def answer(status: int = 200, body: Any = b"", *, kind: str = "application/json", **headers: str) -> bytes:
    """Return an HTTP response."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Content-Type": kind, "Content-Length": str(len(content)), "Connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + content


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    made = Web("")
    async with run_stream_server(made.serve) as port:
        made.url = f"http://127.0.0.1:{port}"
        yield made


def make_environment(*, attempt: int = 1, seconds: float = 600.0, **more: Any) -> ActivityEnvironment:
    """Return the environment of an attempt with that time limit: the default of one second may pass in a stall."""
    environment = ActivityEnvironment()
    changed = {"attempt": attempt, "start_to_close_timeout": timedelta(seconds=seconds), **more}
    environment.info = type(environment.info)(**{**vars(environment.info), **changed})
    return environment


@dataclass
class Caller:
    """Runs attempts of actions as a worker does."""

    resources: Resources

    async def __call__(
        self, name: str, parameters: Any, *, attempt: int = 1, secrets: Any = None, seconds: float = 600.0
    ) -> Any:
        spec = load_builtin_registry().get(name)
        assert spec is not None
        environment = make_environment(attempt=attempt, seconds=seconds)
        context = {"run_id": "r", "workflow_id": "w", "customer_id": "c", "node_id": "n", "idempotency_key": "r:n"}
        sent = {"parameters": parameters, "context": context} | ({"secrets": secrets} if secrets else {})
        return await environment.run(run_action, spec, sent, self.resources)

    async def failure(self, name: str, parameters: Any, **more: Any) -> ApplicationError:
        """Run an attempt that must fail."""
        with pytest.raises(ApplicationError) as caught:
            await self(name, parameters, **more)
        return caught.value


@pytest.fixture
async def make_caller() -> AsyncIterator[Callable[..., Caller]]:
    made: list[Resources] = []

    def make(resolver: Any = None, secrets: Any = None, **values: Any) -> Caller:
        settings = Settings(**{"http_allowed_networks": LOOPBACK, **values})
        made.append(Resources(settings, resolver, secrets))
        return Caller(made[-1])

    yield make
    for resources in made:
        await resources.aclose()


@pytest.fixture
def call(make_caller: Callable[..., Caller]) -> Caller:
    return make_caller()


@pytest.fixture(scope="session")
def postgres() -> Iterator[SecretStr]:
    with run_postgres() as place:
        yield SecretStr(f"postgresql+asyncpg://{place}/postgres")
