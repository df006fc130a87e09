"""What goes wrong on our side is answered, logged, and costs the client nothing but this answer."""

import asyncio
import json
import logging
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx
import pytest

from orchestrator.service.services import Services
from orchestrator.store.database import ValueRefused

pytestmark = pytest.mark.temporal


async def request_raw(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], path: str) -> tuple[int, Any]:
    """Ask on a connection that stays open; gives status and body."""
    reader, writer = connection
    writer.write(f"GET /api/v1{path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def test_an_internal_error_is_reported_and_logged_and_the_connection_stays_open(
    served_api: tuple[Services, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def raise_fault(*_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError("nobody has foreseen this")

    monkeypatch.setattr(served_api[0].workflows.definitions, "list_definitions", raise_fault)
    address = urlsplit(served_api[1])
    connection = await asyncio.open_connection(address.hostname, address.port)
    with caplog.at_level(logging.ERROR):
        status, body = await request_raw(connection, "/workflows")
    monkeypatch.undo()
    after, _ = await request_raw(connection, "/workflows")
    connection[1].close()

    assert (status, body["code"], after) == (500, "internal", 200)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


async def test_a_value_that_cannot_be_stored_is_a_client_error(
    api: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> NoReturn:
        raise ValueRefused

    monkeypatch.setattr(services.workflows.definitions, "list_definitions", refuse)
    refused = await api.get("/workflows")

    assert (refused.status_code, refused.json()["code"]) == (422, "value_refused")
