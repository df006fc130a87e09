"""Who asks, and for which customer. Without any key, only this machine is served."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.house import HouseDep
from orchestrator.errors import OrchestratorError
from orchestrator.service import DEFAULT_CUSTOMER
from orchestrator.service.house import House
from orchestrator.store.definitions import WorkflowNotFound
from orchestrator.telemetry import about

ABOUT = ("run_id", "workflow_id")
"""Parts of an address that log lines name."""
bearer = HTTPBearer(auto_error=False, scheme_name="key", description="An API key: `orchestrator keys create`.")


class Unauthorized(OrchestratorError):
    """A valid API key is needed."""

    code = "unauthorized"


class Forbidden(OrchestratorError):
    """The key does not allow this."""

    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks."""

    name: str
    customer_id: str | None
    """`None`: an administrator, for all customers unless one was named."""

    @property
    def creates_for(self) -> str:
        """Give the customer whose a new thing is."""
        return self.customer_id or DEFAULT_CUSTOMER


Customer = Annotated[
    str | None,
    Query(
        pattern=r"^[^\x00-\x1f\x7f]+$",
        max_length=128,
        description="For administrators: whose definitions and runs are meant.",
    ),
]
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def needs(scope: str) -> Callable[..., Awaitable[Asker]]:
    """Make a dependency that lets in who may: `read`, `run`, `edit` or `admin`."""

    async def asker(request: Request, house: HouseDep, credentials: Credentials, customer_id: Customer = None) -> Asker:
        asker = await _asker(request, house, credentials, customer_id)
        named = {name: value for name, value in request.path_params.items() if name in ABOUT}
        about.set({**named, "customer_id": asker.customer_id or "", "key": asker.name})
        return asker

    async def _asker(request: Request, house: House, credentials: Any, customer_id: str | None) -> Asker:
        if credentials is None:
            if await house.keys.configured() or not _is_local(request):
                raise Unauthorized(hint="send it as: Authorization: Bearer ork_…")
            return Asker("local", customer_id)
        key = await house.keys.verify(credentials.credentials)
        if key is None:
            raise Unauthorized("the API key is not known, or no longer valid")
        await request.app.state.limits.count(f"key:{key.id}")
        if scope not in key.scopes and "admin" not in key.scopes:
            raise Forbidden(f"key {key.name!r} lacks the scope {scope!r}")
        if key.customer_id and customer_id not in (None, key.customer_id):
            # Whether another customer exists is not for this one to know.
            raise WorkflowNotFound("there is nothing here for this key")
        return Asker(key.name, key.customer_id or customer_id)

    return asker


async def local_only(request: Request, house: House) -> None:
    """Refuse strangers while there are no keys: nothing has been opened to the world yet."""
    if not _is_local(request) and not await house.keys.configured():
        raise Unauthorized("without API keys only this machine is served", hint="create a key, or sign the webhook")


def _is_local(request: Request) -> bool:
    """Tell whether the client is on this machine, and means it: a page on the web may send a browser here."""
    host = request.headers.get("host", "").rpartition("@")[2]
    name = host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    return request.client is not None and _loopback(request.client.host) and (name == "localhost" or _loopback(name))


def _loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


Reader = Annotated[Asker, Depends(needs("read"))]
Runner = Annotated[Asker, Depends(needs("run"))]
Editor = Annotated[Asker, Depends(needs("edit"))]
