"""Who asks, and for which customer. Without any key, only this machine is served."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.services import HouseDep
from orchestrator.errors import OrchestratorError
from orchestrator.service.customers import CUSTOMER_NAME, DEFAULT_CUSTOMER, MAX_CUSTOMER
from orchestrator.service.services import House
from orchestrator.store.api_keys import ApiKey
from orchestrator.store.workflows import WorkflowNotFound
from orchestrator.telemetry.context import about

ABOUT = ("run_id", "workflow_id")
"""Parts of an address that log lines name."""
ADMITTED = "orchestrator.admitted"
"""Key of a request's scope: who has been let in, by what was needed."""
HOST = re.compile(r"(?:(?P<name>[a-z0-9.-]+)|\[(?P<address>[0-9a-f:.]+)\])(?::[0-9]{1,5})?")
ORIGIN = re.compile(r"https?://(.*)")
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
OTHER_SITES = ("cross-site", "same-site")
"""What browsers say of a page that is not ours; another port of this machine is another page of the same site."""
MAKE_A_KEY = "`orchestrator keys create NAME` makes the first key; a webhook may have a secret instead"
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
        pattern=CUSTOMER_NAME,
        max_length=MAX_CUSTOMER,
        description="For administrators: whose definitions and runs are meant.",
    ),
]
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency that lets in who may: `read`, `run`, `edit` or `admin`."""

    scope: str

    async def __call__(
        self, request: Request, house: HouseDep, credentials: Credentials, customer_id: Customer = None
    ) -> Asker:
        """Say who asks; raises Unauthorized, Forbidden, TooManyRequests and WorkflowNotFound."""
        asker = _asker(await self.admit(request, house, credentials), customer_id)
        named = {name: value for name, value in request.path_params.items() if name in ABOUT}
        about.set({**named, "customer_id": asker.customer_id or "", "key": asker.name})
        return asker

    async def admit(
        self, request: Request, house: House, credentials: HTTPAuthorizationCredentials | None
    ) -> ApiKey | None:
        """Check the key, once for each request; `None` is this machine, without any."""
        known = request.scope.setdefault(ADMITTED, {})
        if self.scope not in known:
            known[self.scope] = await self._key(request, house, credentials)
        key: ApiKey | None = known[self.scope]
        return key

    async def _key(
        self, request: Request, house: House, credentials: HTTPAuthorizationCredentials | None
    ) -> ApiKey | None:
        if credentials is None:
            if await house.keys.configured():
                raise Unauthorized(hint="send it as: Authorization: Bearer ork_…")
            _require_local(request)
            return None
        key = await house.keys.verify(credentials.credentials)
        if key is None:
            raise Unauthorized("the API key is not known, or no longer valid")
        await request.app.state.limits.count(f"key:{key.id}")
        if self.scope not in key.scopes and "admin" not in key.scopes:
            raise Forbidden(f"key {key.name!r} lacks the scope {self.scope!r}")
        return key


def _asker(key: ApiKey | None, customer_id: str | None) -> Asker:
    if key is None:
        return Asker("local", customer_id)
    if key.customer_id and customer_id not in (None, key.customer_id):
        # Whether another customer exists is not for this one to know.
        raise WorkflowNotFound("there is nothing here for this key")
    return Asker(key.name, key.customer_id or customer_id)


async def admitted(request: Request, house: House, gates: Iterable[Needs]) -> None:
    """Let a request pass the gates of its route before anything of its body is read."""
    for gate in gates:
        await gate.admit(request, house, await bearer(request))


async def local_only(request: Request, house: HouseDep) -> None:
    """Refuse strangers while there are no keys: nothing has been opened to the world yet."""
    if _foreign(request) is not None and not await house.keys.configured():
        _require_local(request)


def _require_local(request: Request) -> None:
    foreign = _foreign(request)
    if foreign is not None:
        raise Unauthorized(f"without API keys only this machine is served: {foreign}", hint=MAKE_A_KEY)


def _foreign(request: Request) -> str | None:
    """Say what shows that somebody elsewhere asks, or a page on the web through a browser on this machine."""
    headers = request.headers
    origin = ORIGIN.fullmatch(headers.get("origin", "http://localhost"))
    if request.client is None or not _loopback(request.client.host):
        return "the request comes from another one"
    if any(name in headers for name in PROXY_HEADERS):
        return "the request came through a proxy"
    if not _names_this_machine(headers.get("host", "")):
        return "it is called localhost or by a loopback address"
    if headers.get("sec-fetch-site") in OTHER_SITES or origin is None or not _names_this_machine(origin[1]):
        return "the request comes from a page of another site"
    return None


def _names_this_machine(host: str) -> bool:
    """Tell whether a host, with or without a port, is this machine and nothing that only looks like it."""
    found = HOST.fullmatch(host.lower())
    return found is not None and (found["name"] == "localhost" or _loopback(found["name"] or found["address"]))


def _loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


Reader = Annotated[Asker, Depends(Needs("read"))]
Runner = Annotated[Asker, Depends(Needs("run"))]
Editor = Annotated[Asker, Depends(Needs("edit"))]
