"""Who asks, and for which customer. Without any key, only this machine is served."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.services import ServicesDep
from orchestrator.errors import OrchestratorError
from orchestrator.service.customers import CUSTOMER_NAME, DEFAULT_CUSTOMER, MAX_CUSTOMER
from orchestrator.service.services import Services
from orchestrator.store.api_keys import ApiKey
from orchestrator.store.workflows import WorkflowNotFound
from orchestrator.telemetry.context import log_context

LOGGED_PARAMETERS = ("run_id", "workflow_id")
"""Parts of an address that log lines name."""
ADMITTED_KEYS = "orchestrator.admitted"
"""Key of a request's scope: who has been let in, by what was needed."""
HOST = re.compile(r"(?:(?P<name>[a-z0-9.-]+)|\[(?P<address>[0-9a-f:.]+)\])(?::[0-9]{1,5})?")
ORIGIN = re.compile(r"https?://(.*)")
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
OTHER_SITES = ("cross-site", "same-site")
"""What browsers say of a page that is not ours; another port of this machine is another page of the same site."""
CREATE_KEY_HINT = "`orchestrator keys create NAME` makes the first key; a webhook may have a secret instead"
bearer = HTTPBearer(auto_error=False, scheme_name="key", description="An API key: `orchestrator keys create`.")


class Unauthorized(OrchestratorError):
    """A valid API key is needed."""

    code = "unauthorized"


class Forbidden(OrchestratorError):
    """The key does not allow this."""

    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Caller:
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
class RequireScope:
    """A dependency that lets in who may: `read`, `run`, `edit` or `admin`."""

    scope: str

    async def __call__(
        self, request: Request, services: ServicesDep, credentials: Credentials, customer_id: Customer = None
    ) -> Caller:
        """Say who asks; raises Unauthorized, Forbidden, TooManyRequests and WorkflowNotFound."""
        caller = _identify_caller(await self.admit(request, services, credentials), customer_id)
        parameters = {name: value for name, value in request.path_params.items() if name in LOGGED_PARAMETERS}
        log_context.set({**parameters, "customer_id": caller.customer_id or "", "key": caller.name})
        return caller

    async def admit(
        self, request: Request, services: Services, credentials: HTTPAuthorizationCredentials | None
    ) -> ApiKey | None:
        """Check the key, once for each request; `None` is this machine, without any."""
        admitted = request.scope.setdefault(ADMITTED_KEYS, {})
        if self.scope not in admitted:
            admitted[self.scope] = await self._verify_key(request, services, credentials)
        key: ApiKey | None = admitted[self.scope]
        return key

    async def _verify_key(
        self, request: Request, services: Services, credentials: HTTPAuthorizationCredentials | None
    ) -> ApiKey | None:
        if credentials is None:
            if await services.keys.is_configured():
                raise Unauthorized(hint="send it as: Authorization: Bearer ork_…")
            _require_local(request)
            return None
        key = await services.keys.verify(credentials.credentials)
        if key is None:
            raise Unauthorized("the API key is not known, or no longer valid")
        await request.app.state.limits.count(f"key:{key.id}")
        if self.scope not in key.scopes and "admin" not in key.scopes:
            raise Forbidden(f"key {key.name!r} lacks the scope {self.scope!r}")
        return key


def _identify_caller(key: ApiKey | None, customer_id: str | None) -> Caller:
    if key is None:
        return Caller("local", customer_id)
    if key.customer_id and customer_id not in (None, key.customer_id):
        # Whether another customer exists is not for this one to know.
        raise WorkflowNotFound("there is nothing here for this key")
    return Caller(key.name, key.customer_id or customer_id)


async def admit_request(request: Request, services: Services, gates: Iterable[RequireScope]) -> None:
    """Let a request pass the gates of its route before anything of its body is read."""
    for gate in gates:
        await gate.admit(request, services, await bearer(request))


async def require_local_caller(request: Request, services: ServicesDep) -> None:
    """Refuse strangers while there are no keys: nothing has been opened to the world yet."""
    if _explain_foreign(request) is not None and not await services.keys.is_configured():
        _require_local(request)


def _require_local(request: Request) -> None:
    reason = _explain_foreign(request)
    if reason is not None:
        raise Unauthorized(f"without API keys only this machine is served: {reason}", hint=CREATE_KEY_HINT)


def _explain_foreign(request: Request) -> str | None:
    """Say what shows that somebody elsewhere asks, or a page on the web through a browser on this machine."""
    headers = request.headers
    origin = ORIGIN.fullmatch(headers.get("origin", "http://localhost"))
    if request.client is None or not _is_loopback(request.client.host):
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
    match = HOST.fullmatch(host.lower())
    return match is not None and (match["name"] == "localhost" or _is_loopback(match["name"] or match["address"]))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


Reader = Annotated[Caller, Depends(RequireScope("read"))]
Runner = Annotated[Caller, Depends(RequireScope("run"))]
Editor = Annotated[Caller, Depends(RequireScope("edit"))]
