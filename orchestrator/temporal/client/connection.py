"""Connect to Temporal and translate its errors."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, ListWorkflowExecutionsRequest
from temporalio.client import Client, GrpcCompression
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from orchestrator.errors import OperationRefused, RunNotFound, ServerUnavailable
from orchestrator.settings import Settings
from orchestrator.telemetry.tracing import create_interceptors
from orchestrator.temporal.payload_store.driver import build_data_converter, require_store
from orchestrator.temporal.payload_store.objects import StoreRejected
from orchestrator.temporal.search_attributes import KEYS

logger = logging.getLogger(__name__)
CONNECT_SECONDS = 5
NAMESPACE_SECONDS = 10.0
"""How long a starting process waits for the namespace on a server that answers: a new one appears a moment later."""
RETRY_SECONDS = 0.5
TRANSIENT_STATUSES = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.RESOURCE_EXHAUSTED,  # too many requests; what is too large is refused before it is sent
)
DENIED_STATUSES = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
STATUS = re.compile(r'Status \{ code: (?P<code>\w+), message: "(?P<message>(?:[^"\\]|\\.)*)"')
"""The status in the text of a RuntimeError of the SDK's core, which has no other way to say it."""
DENIED_CODES = ("Unauthenticated", "PermissionDenied")


class NamespaceNotFound(ServerUnavailable):
    """The Temporal server has no such namespace."""


class AccessDenied(ServerUnavailable):
    """The Temporal server rejected our credentials."""


async def connect(settings: Settings) -> Client:
    """Connect to Temporal; raises ServerUnavailable."""
    address = settings.temporal_address
    loopback = address.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")
    key = settings.temporal_api_key
    try:
        async with asyncio.timeout(CONNECT_SECONDS * 2):
            return await Client.connect(
                address,
                namespace=settings.temporal_namespace,
                api_key=key.get_secret_value() if key else None,
                tls=_tls(settings),
                data_converter=build_data_converter(settings),
                interceptors=create_interceptors(),
                connect_timeout=timedelta(seconds=CONNECT_SECONDS),
                # Compression costs more than it saves on loopback.
                grpc_compression=GrpcCompression.NONE if loopback else GrpcCompression.GZIP,
            )
    except (RuntimeError, RPCError, TimeoutError) as error:
        raise explain_core_error(f"no Temporal server answers at {address}", error) from error


async def wait_and_connect(settings: Settings) -> Client:
    """Connect a process that serves; waits `temporal_wait_seconds` for the server, its namespace and the payload store.

    So the order in which they start does not matter. Raises ServerUnavailable.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + settings.temporal_wait_seconds
    waiting = False
    while True:
        try:
            client = await connect(settings)
            await require_store(settings, await read_namespace_id(client))
        except (AccessDenied, StoreRejected):
            raise
        except ServerUnavailable as error:
            if isinstance(error, NamespaceNotFound):
                deadline = min(deadline, clock() + NAMESPACE_SECONDS)
            if clock() >= deadline:
                raise
            if not waiting:
                logger.warning("waiting: %s", error)
            waiting = True
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return client


async def read_namespace_id(client: Client) -> str:
    """Return the ID that the server has given the namespace: no other one has it.

    Raises NamespaceNotFound, and ServerUnavailable.
    """
    request = DescribeNamespaceRequest(namespace=client.namespace)
    async with translate_rpc_errors():
        timeout = timedelta(seconds=CONNECT_SECONDS)
        described = await client.workflow_service.describe_namespace(request, retry=True, timeout=timeout)
        return described.namespace_info.id


def explain_core_error(message: str, error: BaseException) -> ServerUnavailable:
    """Return what an error of the SDK's core means, with the status that the server answered, if it did."""
    status = STATUS.search(str(error))
    if status is None:
        hint = "start one with `orchestrator dev`, or set ORCHESTRATOR_TEMPORAL_ADDRESS"
        return ServerUnavailable(message, hint=hint)
    if status["code"] in DENIED_CODES:
        return _deny_access(status["message"])
    return ServerUnavailable(f"{message}: {status['code']}: {status['message'][:300]}")


def _deny_access(message: str) -> AccessDenied:
    hint = "check the settings ORCHESTRATOR_TEMPORAL_API_KEY, …_TLS_CERT and …_NAMESPACE"
    return AccessDenied(f"the Temporal server rejected our credentials: {message}", hint=hint)


def _tls(settings: Settings) -> bool | TLSConfig:
    files = (settings.temporal_tls_ca, settings.temporal_tls_cert, settings.temporal_tls_key)
    if not any(files) and settings.temporal_tls_server_name is None:
        return settings.temporal_tls or settings.temporal_api_key is not None
    ca, cert, key = (path.read_bytes() if path else None for path in files)
    return TLSConfig(
        server_root_ca_cert=ca, client_cert=cert, client_private_key=key, domain=settings.temporal_tls_server_name
    )


async def require_attributes(client: Client) -> None:
    """Raise ServerUnavailable where the namespace lacks the search attributes of runs."""
    query = " OR ".join(f"{key.name} IS NOT NULL" for key in KEYS)
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, page_size=1, query=query)
    try:
        await client.workflow_service.list_workflow_executions(request, retry=True)
    except RPCError as error:
        if error.status != RPCStatusCode.INVALID_ARGUMENT:
            raise
        hint = "register the search attributes: see docs/operations.md"
        raise ServerUnavailable(f"the Temporal namespace is not ready: {error.message}", hint=hint) from error


@asynccontextmanager
async def translate_rpc_errors(run_id: str | None = None) -> AsyncIterator[None]:
    """Translate Temporal's errors; raises RunNotFound, ServerUnavailable and OperationRefused."""
    try:
        yield
    except RPCError as error:
        if (namespace := _find_missing_namespace(error)) is not None:
            raise NamespaceNotFound(
                f"the Temporal server has no namespace {namespace!r}",
                hint="set ORCHESTRATOR_TEMPORAL_NAMESPACE, or create it: see docs/operations.md",
            ) from error
        if error.status == RPCStatusCode.NOT_FOUND and run_id is not None:
            raise RunNotFound(f"there is no run {run_id!r}") from error
        if error.status in TRANSIENT_STATUSES:
            raise ServerUnavailable(f"the Temporal server does not answer: {error.message}") from error
        if error.status in DENIED_STATUSES:
            raise _deny_access(error.message) from error
        if error.status == RPCStatusCode.INVALID_ARGUMENT:
            raise OperationRefused(f"the Temporal server rejected the request: {error.message}") from error
        raise


def _find_missing_namespace(error: RPCError) -> str | None:
    failure = NamespaceNotFoundFailure()
    for detail in error.grpc_status.details:
        if detail.Unpack(failure):
            return failure.namespace
    return None
