"""Authenticate the caller and choose its customer. Without API keys only loopback requests are served."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.services import ServicesDep
from orchestrator.errors import OrchestratorError
from orchestrator.model.customers import DEFAULT_CUSTOMER
from orchestrator.service.customers import CUSTOMER_NAME, MAX_CUSTOMER
from orchestrator.service.services import Services
from orchestrator.store.api_keys import ApiKey
from orchestrator.store.workflows import WorkflowNotFound
from orchestrator.telemetry.context import log_context

LOGGED_PARAMETERS = ("run_id", "workflow_id")
"""Path parameters that log lines carry."""
ADMITTED_KEY = "orchestrator.admitted_key"
"""Entry of the ASGI scope with the verified API key, written by `admit_request`."""
HOST = re.compile(r"(?:(?P<name>[a-z0-9.-]+)|\[(?P<address>[0-9a-f:.]+)\])(?::[0-9]{1,5})?")
ORIGIN = re.compile(r"https?://(.*)")
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
OTHER_SITES = ("cross-site", "same-site")
"""Values of Sec-Fetch-Site for a page of another origin; another port of this machine is `same-site`."""
CREATE_KEY_HINT = "create an API key with `orchestrator keys create NAME`; a webhook can have a secret instead"
bearer = HTTPBearer(
    auto_error=False, scheme_name="key", description="An API key, created with `orchestrator keys create`."
)


class Unauthorized(OrchestratorError):
    """A valid API key is needed."""

    code = "unauthorized"


class Forbidden(OrchestratorError):
    """The key does not allow this."""

    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated sender of a request."""

    name: str
    customer_id: str | None
    """`None` for an administrator who did not choose one: all customers."""
    key: ApiKey | None = None
    """`None` for a local request without a key, which may do everything."""

    @property
    def creates_for(self) -> str:
        """Return the customer that owns what this caller creates."""
        return self.customer_id or DEFAULT_CUSTOMER

    def require_scope(self, scope: str, hint: str) -> None:
        """Raise Forbidden without a scope that only some requests of a route need; the hint says which."""
        if self.key is not None:
            _require_scope(self.key, scope, hint)


Customer = Annotated[
    str | None,
    Query(
        pattern=CUSTOMER_NAME,
        max_length=MAX_CUSTOMER,
        description="Customer ID, for administrators: limits the request to one customer.",
    ),
]
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


@dataclass(frozen=True, slots=True)
class RequireScope:
    """A dependency that requires a key with this scope: `read`, `run`, `edit` or `admin`."""

    scope: str

    async def __call__(self, request: Request, _: Credentials, customer_id: Customer = None) -> Caller:
        """Return the caller of a request that its route has admitted; raises WorkflowNotFound."""
        caller = identify_caller(request.scope[ADMITTED_KEY], customer_id)
        parameters = {name: value for name, value in request.path_params.items() if name in LOGGED_PARAMETERS}
        log_context.set({**parameters, "customer_id": caller.customer_id or "", "key": caller.name})
        return caller


def identify_caller(key: ApiKey | None, customer_id: str | None) -> Caller:
    """Return the caller with this key, who may have chosen a customer; raises WorkflowNotFound."""
    if key is None:
        return Caller("local", customer_id)
    if key.customer_id and customer_id not in (None, key.customer_id):
        # 404 and not 403: a key must not learn which other customers exist.
        raise WorkflowNotFound("not found for this API key")
    return Caller(key.name, key.customer_id or customer_id, key)


async def admit_request(request: Request, services: Services, gates: Sequence[RequireScope]) -> None:
    """Verify the API key and the scopes that a route requires, before the body is read.

    Raises Unauthorized, Forbidden and TooManyRequests.
    """
    if gates:
        request.scope[ADMITTED_KEY] = await _verify_key(request, services, [gate.scope for gate in gates])


async def _verify_key(request: Request, services: Services, scopes: Sequence[str]) -> ApiKey | None:
    """Return the API key, or `None` for a loopback request without one."""
    credentials = await bearer(request)
    if credentials is None:
        if await services.keys.is_configured():
            raise Unauthorized(hint="send the header `Authorization: Bearer ork_…`")
        _require_local(request)
        return None
    key = await services.keys.verify(credentials.credentials)
    if key is None:
        raise Unauthorized("the API key is unknown, expired or revoked")
    await request.app.state.limits.count(f"key:{key.id}")
    for scope in scopes:
        _require_scope(key, scope)
    return key


def _require_scope(key: ApiKey, scope: str, hint: str | None = None) -> None:
    if scope not in key.scopes and "admin" not in key.scopes:
        raise Forbidden(f"the API key {key.name!r} does not have the scope `{scope}`", hint=hint)


async def is_still_admitted(request: Request, services: Services) -> bool:
    """Return whether the caller of an open request would be admitted now: its key may be revoked or expire."""
    credentials = await bearer(request)
    if credentials is None:
        return not await services.keys.is_configured()
    return await services.keys.verify(credentials.credentials) is not None


async def require_local_caller(request: Request, services: ServicesDep) -> None:
    """Refuse requests from elsewhere as long as no API key exists; raises Unauthorized."""
    if explain_foreign(request) is not None and not await services.keys.is_configured():
        _require_local(request)


async def require_known_caller(request: Request, services: ServicesDep) -> Caller:
    """Require any valid API key, or a local request as long as no key exists; raises Unauthorized."""
    return identify_caller(await _verify_key(request, services, ()), None)


async def require_operator(request: Request, services: ServicesDep) -> Caller:
    """Require a caller that may see all customers; raises Unauthorized and Forbidden."""
    caller = await require_known_caller(request, services)
    if caller.customer_id is not None:
        raise Forbidden("this is about all customers", hint="use an API key without a customer")
    return caller


def _require_local(request: Request) -> None:
    reason = explain_foreign(request)
    if reason is not None:
        raise Unauthorized(
            f"without API keys only requests from this machine are accepted: {reason}", hint=CREATE_KEY_HINT
        )


def explain_foreign(request: Request) -> str | None:
    """Return why a request is not local: it comes from another host, or from a web page in a local browser."""
    headers = request.headers
    host = headers.get("host", "")
    origin = ORIGIN.fullmatch(headers.get("origin", f"http://{host}"))
    if (reason := _explain_remote(request)) is not None:
        return reason
    if headers.get("sec-fetch-site") in OTHER_SITES or origin is None or origin[1] != host:
        return "the request comes from a web page of another origin"
    return None


def is_link(request: Request) -> bool:
    """Return whether a person followed a link of any page to this machine: its text is not readable there."""
    headers = request.headers
    top_level = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
    return request.method == "GET" and top_level and "origin" not in headers and _explain_remote(request) is None


def _explain_remote(request: Request) -> str | None:
    if request.client is None or not _is_loopback(request.client.host):
        return "the request comes from another machine"
    if any(name in request.headers for name in PROXY_HEADERS):
        return "the request was forwarded by a proxy"
    if not _names_this_machine(request.headers.get("host", "")):
        return "the Host header must be localhost or a loopback address"
    return None


def _names_this_machine(host: str) -> bool:
    """Return whether a host, with or without a port, is localhost or a loopback address."""
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
Admin = Annotated[Caller, Depends(RequireScope("admin"))]
KnownCaller = Annotated[Caller, Depends(require_known_caller)]
