"""Register the search attributes of runs in a namespace."""

import asyncio
import contextlib

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import ServerUnavailable
from orchestrator.temporal.search_attributes import KEYS


async def register_attributes(client: Client, namespace: str) -> None:
    """Register the search attributes of runs; raises ServerUnavailable where one has a different type."""
    request = ListSearchAttributesRequest(namespace=namespace)
    registered = await client.operator_service.list_search_attributes(request, retry=True)
    wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in KEYS}
    for name, kind in wanted.items():
        registered_type = registered.custom_attributes.get(name, kind)
        if registered_type != kind:
            raise ServerUnavailable(f"the search attribute {name} has a different type in this Temporal namespace")
    missing = {name: kind for name, kind in wanted.items() if name not in registered.custom_attributes}
    if missing:
        addition = AddSearchAttributesRequest(namespace=namespace, search_attributes=missing)
        with contextlib.suppress(_AlreadyRegistered):
            await _add(client, addition)
    await _wait_until_visible(client, namespace, set(wanted))


class _AlreadyRegistered(Exception):
    """Another process has registered them meanwhile."""


async def _add(client: Client, request: AddSearchAttributesRequest) -> None:
    try:
        await client.operator_service.add_search_attributes(request, retry=True)
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            raise _AlreadyRegistered from error
        raise


async def _wait_until_visible(client: Client, namespace: str, names: set[str]) -> None:
    """Wait until the server knows the attributes: it takes up to a few seconds."""
    request = ListSearchAttributesRequest(namespace=namespace)
    while True:
        registered = await client.operator_service.list_search_attributes(request, retry=True)
        if names <= registered.custom_attributes.keys():
            return
        await asyncio.sleep(0.05)
